use super::*;
use crate::secret::Rng;
use proptest::prelude::*;
use usher_db::FromValue;

fn secret() -> Plain {
    Plain::mint(Kind::Refresh, &Rng::seeded(1))
}

#[test]
fn the_checksum_is_the_one_that_everybody_computes() {
    assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    assert_eq!(crc32(b""), 0);
}

#[test]
fn a_secret_survives_its_own_text() {
    for kind in Kind::ALL {
        let secret = Plain::mint(kind, &Rng::os());
        let again = Plain::parse(kind, secret.expose()).map(|same| (same.digest(), same.kind()));
        assert_eq!(again, Ok((secret.digest(), kind)));
        assert_eq!(Kind::of(secret.expose()), Some(kind));
        assert_eq!(secret.expose().len(), 53);
    }
}

#[test]
fn a_secret_of_one_kind_is_none_of_another() {
    for other in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Refresh) {
        assert_eq!(Plain::parse(other, secret().expose()).err(), Some(NotASecret));
        // Not even with the prefix changed, since the checksum covers it; nor by digest.
        let renamed = secret().expose().replacen("usr_", other.prefix(), 1);
        assert_eq!(Plain::parse(other, &renamed).err(), Some(NotASecret));
        assert_ne!(Plain::from_bytes(other, &[7; 32]).digest(), Plain::from_bytes(Kind::Refresh, &[7; 32]).digest());
    }
}

#[test]
fn prefixes_are_distinct_and_four_characters_long() {
    let prefixes: std::collections::BTreeSet<_> = Kind::ALL.map(Kind::prefix).into_iter().collect();
    assert_eq!(prefixes.len(), Kind::ALL.len());
    assert!(prefixes.iter().all(|prefix| prefix.len() == 4 && prefix.starts_with("us") && prefix.ends_with('_')));
}

#[test]
fn secrets_print_as_stars() {
    let secret = secret();
    let body = &secret.expose()[4..];
    let printed = format!("{secret:?} {:?}", MacKey::new(&[7; 32]));
    assert_eq!(printed, "usr_*** MacKey(***)");
    assert!(!printed.contains(body));
}

#[test]
fn two_secrets_are_never_the_same() {
    let rng = Rng::seeded(1);
    assert_ne!(Plain::mint(Kind::Personal, &rng).digest(), Plain::mint(Kind::Personal, &rng).digest());
}

#[test]
fn a_digest_is_kept_as_64_hexadecimal_digits() {
    let digest = Digest::of(b"abc");
    let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(usher_db::Value::from(digest), usher_db::Value::Text(text.into()));
    assert_eq!(Digest::from_value(usher_db::Value::Text(text.into())), Some(digest));
    for other in [text.to_uppercase(), text[1..].to_owned(), format!("{text}0"), text.replace('b', "g")] {
        assert_eq!(other.parse::<Digest>(), Err(NotADigest), "{other}");
    }
    assert_eq!(Digest::from_value(usher_db::Value::Null), None);
    assert_eq!(Digest::from_value(usher_db::Value::Int(1)), None);
    assert_eq!(format!("{digest:?}"), "ba7816bf…");
}

#[test]
fn a_tag_covers_where_the_parts_are_cut() {
    let key = MacKey::new(&[7; 32]);
    let tag = key.tag(&[b"ab", b"c"]);
    assert!(key.verify(&[b"ab", b"c"], &tag));
    let cuts: [&[&[u8]]; 5] = [&[b"a", b"bc"], &[b"abc"], &[b"ab", b"c", b""], &[b"", b"ab", b"c"], &[b"c", b"ab"]];
    for parts in cuts {
        assert!(!key.verify(parts, &tag), "{parts:?}");
    }
}

#[test]
fn a_tag_is_whole_and_of_one_key() {
    let key = MacKey::new(&[7; 32]);
    let tag = key.tag(&[b"part"]);
    assert!(!MacKey::new(&[8; 32]).verify(&[b"part"], &tag));
    for wrong in [&tag[..31], &tag[..16], &[], &[tag.as_slice(), &[0]].concat(), &[0; 32]] {
        assert!(!key.verify(&[b"part"], wrong));
    }
}

#[test]
fn a_tag_is_hmac_sha_256_over_lengths_and_parts() {
    let bare = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]), b"\0\0\0\0\0\0\0\x02ab\0\0\0\0\0\0\0\0");
    assert_eq!(MacKey::new(&[7; 32]).tag(&[b"ab", b""]), bare.as_ref());
}

proptest! {
    #[test]
    fn text_that_we_never_made_is_no_secret(text in ".{0,80}", shaped in "usr_[A-Za-z0-9_-]{49}") {
        prop_assert!(Plain::parse(Kind::Refresh, &text).is_err());
        // One in four thousand million of these has a right checksum by chance.
        prop_assert!(Plain::parse(Kind::Refresh, &shaped).is_err());
    }

    #[test]
    fn one_changed_byte_is_noticed(at in 0..53_usize, to in any::<u8>()) {
        let secret = secret();
        let mut bytes = secret.expose().as_bytes().to_vec();
        prop_assume!(bytes[at] != to);
        bytes[at] = to;
        prop_assert!(Plain::parse(Kind::Refresh, &String::from_utf8_lossy(&bytes)).is_err());
    }

    #[test]
    fn a_secret_cut_or_grown_is_refused(cut in 0..53_usize, more in "[ A-Za-z0-9_=-]{1,10}") {
        let secret = secret();
        prop_assert!(Plain::parse(Kind::Refresh, &secret.expose()[..cut]).is_err());
        let grown = format!("{}{more}", secret.expose());
        prop_assert!(Plain::parse(Kind::Refresh, &grown).is_err());
    }
}

#[test]
fn digests_are_the_same_only_when_all_their_bytes_are() {
    let digest = "11".repeat(32).parse::<Digest>();
    for byte in 0..32 {
        let mut other = "11".repeat(32);
        other.replace_range(2 * byte + 1..2 * byte + 2, "0");
        assert_ne!(digest, other.parse(), "byte {byte} differs");
    }
}
