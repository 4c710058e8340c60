#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]
use super::*;
use crate::secret::Rng;
use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

const NOW: Time = Time(1_795_000_000_000);
const HOUR: Duration = Duration::from_secs(3600);

fn keys() -> MediaKeys {
    MediaKeys::new(1, &[7; 32]).unwrap()
}

fn fields() -> Fields {
    Fields {
        exp: Time(NOW.0 + 4 * 3_600_000),
        gid: 0x0123_4567_89ab_cdef,
        generation: 3,
        bucket: 9,
        download: true,
        hls: false,
    }
}

fn path(text: &str) -> CanonicalPath {
    CanonicalPath::decode(text.as_bytes()).unwrap()
}

fn file_token(text: &str) -> String {
    mint(&keys(), &fields(), Scope::File(&path(text)), None, NOW, &Rng::seeded(1)).unwrap()
}

fn folder_token(text: &str) -> String {
    mint(&keys(), &fields(), Scope::Folder(&path(text)), None, NOW, &Rng::seeded(1)).unwrap()
}

fn verify(token: &str, to: &str) -> Result<Verified, TokenError> {
    Token::parse(token)?.verify(&keys(), &path(to), NOW)
}

#[test]
fn a_file_token_opens_its_file_in_every_spelling_and_nothing_else() {
    let token = file_token("a/k%20x.mp4");
    assert_eq!(token.len(), ENCODED);
    let verified = verify(&token, "a/k%20x.mp4").unwrap();
    assert_eq!(verified.fields, fields());
    assert!(!verified.folder);
    assert!(verify(&token, "%61/%6b%20x%2emp4").is_ok());
    for other in ["a/k", "a", "a/k%20x.mp4/y", "b/k%20x.mp4", "A/k%20x.mp4", "a/k%20x.mp", ""] {
        assert_eq!(verify(&token, other), Err(TokenError::Forged), "{other}");
    }
    assert_eq!(verify(&token, "a/k%20x.mp4/"), Err(TokenError::NotAFolder));
}

#[test]
fn a_folder_token_opens_what_is_below_and_no_sibling() {
    let token = folder_token("a/b");
    for below in ["a/b/", "a/b", "a/b/c", "a/b/c/d.ts"] {
        assert_eq!(verify(&token, below).unwrap().depth, 2, "{below}");
    }
    for other in ["a/bc", "a/bc/d", "a", "a/", "", "a/c/b", "b/a/b"] {
        assert_eq!(verify(&token, other), Err(TokenError::Forged), "{other}");
    }
    let root = folder_token("");
    assert!(verify(&root, "").is_ok());
    assert!(verify(&root, "x/y").is_ok());
}

#[test]
fn a_file_token_is_no_folder_token_of_the_same_name() {
    assert_eq!(verify(&file_token("a"), "a/x"), Err(TokenError::Forged));
    // Turning the flag and the depth changes what the MAC covers.
    let mut bytes = Token::parse(&file_token("a")).unwrap().0;
    bytes[2] |= FOLDER;
    bytes[3] = 1;
    assert_eq!(Token(bytes).verify(&keys(), &path("a/x"), NOW), Err(TokenError::Forged));
}

#[test]
fn only_76_characters_of_the_alphabet_are_a_token() {
    let token = file_token("a");
    for bad in [
        String::new(),
        token[..75].to_owned(),
        format!("{token}A"),
        format!("{token}="),
        format!("{}=", &token[..75]),
        format!("{}==", &token[..74]),
        format!("{}+", &token[..75]),
        format!("{}/", &token[..75]),
        format!("{} ", &token[..75]),
        format!("{}é", &token[..74]),
    ] {
        assert_eq!(Token::parse(&bad), Err(TokenError::Malformed), "{bad}");
    }
}

#[test]
fn any_flipped_bit_is_refused() {
    let good = Token::parse(&file_token("a")).unwrap();
    for bit in 0..LENGTH * 8 {
        let mut bytes = good.0;
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(Token(bytes).verify(&keys(), &path("a"), NOW).is_err(), "bit {bit}");
    }
}

#[test]
fn an_old_key_verifies_until_its_time_and_an_unknown_one_never() {
    let old = file_token("a");
    let mut keys = MediaKeys::new(2, &[8; 32]).unwrap();
    let unknown = Token::parse(&old).unwrap().verify(&keys, &path("a"), NOW);
    assert_eq!(unknown, Err(TokenError::UnknownKey));
    assert!(keys.add_verifying(1, &[7; 32], NOW + HOUR));
    assert!(!keys.add_verifying(1, &[9; 32], NOW + HOUR), "a key id is never given twice");
    assert!(!keys.add_verifying(0, &[9; 32], NOW + HOUR));
    assert!(!keys.add_verifying(255, &[9; 32], NOW + HOUR));
    let token = Token::parse(&old).unwrap();
    assert!(token.verify(&keys, &path("a"), NOW).is_ok());
    assert_eq!(token.verify(&keys, &path("a"), NOW + HOUR), Err(TokenError::UnknownKey));
    let new = mint(&keys, &fields(), Scope::File(&path("a")), None, NOW, &Rng::seeded(2)).unwrap();
    assert_eq!(Token::parse(&new).unwrap().0[1], 2, "the signing key signs");
    assert!(Token::parse(&new).unwrap().verify(&keys, &path("a"), NOW + HOUR).is_ok());
}

#[test]
fn the_layout_is_the_written_one() {
    let token = Token::parse(&file_token("a/b")).unwrap();
    assert_eq!(token.0[..4], [1, 1, DOWNLOAD, 0]);
    assert_eq!(token.0[4..8], u32::try_from(fields().exp.seconds()).unwrap().to_be_bytes());
    assert_eq!(token.0[8..16], fields().gid.to_be_bytes());
    assert_eq!(token.0[16..24], [0, 0, 0, 3, 0, 0, 0, 9]);
    assert_eq!(token.0[24..32], [0; 8]);
    // The MAC, computed here in one piece.
    let message = [MEDIA_DOMAIN, &token.0[..41], &[0, 0, 0, 3], b"a/b"].concat();
    let expected = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]), &message);
    assert_eq!(token.0[41..], expected.as_ref()[..16]);
}

#[test]
fn two_urls_of_one_file_differ() {
    let rng = Rng::seeded(5);
    let make = || mint(&keys(), &fields(), Scope::File(&path("a")), None, NOW, &rng).unwrap();
    assert_ne!(make(), make());
}

#[test]
fn a_token_bound_to_a_network_serves_that_network_alone() {
    let mint_for = |client: &str| {
        let client = Some(client.parse().unwrap());
        let token = mint(&keys(), &fields(), Scope::File(&path("a")), client, NOW, &Rng::seeded(1)).unwrap();
        verify(&token, "a").unwrap()
    };
    let admits = |token: &Verified, client: &str| token.admits(&keys(), client.parse().unwrap(), NOW);
    let v4 = mint_for("192.0.2.7");
    assert!(admits(&v4, "192.0.2.200"));
    assert!(admits(&v4, "::ffff:192.0.2.9"), "the same network in its mapped form");
    assert!(!admits(&v4, "192.0.3.7"));
    assert!(!admits(&v4, "2001:db8::1"));
    let v6 = mint_for("2001:db8:1:2::3");
    assert!(admits(&v6, "2001:db8:1:ffff::1"));
    assert!(!admits(&v6, "2001:db8:2::1"));
    assert!(admits(&verify(&file_token("a"), "a").unwrap(), "198.51.100.1"), "unbound by default");
}

#[test]
fn lives_follow_the_playing_time_and_end_with_the_parent() {
    const LIFE: (Duration, Duration) = (Duration::from_secs(4 * 3600), Duration::from_secs(24 * 3600));
    let life = |kind, plays_for| expiry(kind, plays_for, LIFE, None, NOW).since(NOW);
    assert_eq!(life(Kind::Video, Some(HOUR * 3)), HOUR * 7);
    assert_eq!(life(Kind::Audio, Some(Duration::from_secs(200))), HOUR * 4);
    assert_eq!(life(Kind::Video, Some(HOUR * 40)), HOUR * 24);
    assert_eq!(life(Kind::Video, Some(Duration::MAX)), HOUR * 24);
    assert_eq!(life(Kind::Video, None), HOUR * 24);
    assert_eq!(life(Kind::Picture, None), HOUR * 4);
    assert_eq!(expiry(Kind::Video, None, LIFE, Some(NOW + HOUR), NOW), NOW + HOUR);
    assert_eq!(expiry(Kind::Picture, None, LIFE, Some(NOW + HOUR * 99), NOW), NOW + HOUR * 4);
}

#[test]
fn no_url_lives_longer_than_seven_days() {
    let for_ever = Fields { exp: Time(i64::MAX), ..fields() };
    let token = mint(&keys(), &for_ever, Scope::File(&path("a")), None, NOW, &Rng::seeded(1)).unwrap();
    assert_eq!(verify(&token, "a").unwrap().fields.exp, NOW + CEILING);
}

#[test]
fn a_log_line_names_the_url_and_opens_nothing() {
    let token = file_token("a");
    let mac = Token::parse(&token).unwrap().0;
    let tag = format!("123456789abcdef#{:02x}{:02x}{:02x}{:02x}", mac[41], mac[42], mac[43], mac[44]);
    assert_eq!(redact(&format!("/m/{token}/a/m/b")), format!("/m/{tag}/a/m/b"));
    assert_eq!(redact(&format!("https://host/m/{token}?dl=1")), format!("https://host/m/{tag}?dl=1"));
    assert_eq!(redact(&format!("/m/{token}A/a")), "/m/[malformed]/a");
    assert_eq!(redact(&format!("/m/{}/a", &token[..75])), "/m/[malformed]/a");
    assert_eq!(redact(&format!("/M/{token}/a")), format!("/M/{tag}/a"), "wherever it stands");
    assert_eq!(redact(&format!("/m/x/m/{token}/a")), format!("/m/[malformed]/m/{tag}/a"));
    assert_eq!(redact("/m/\n"), "/m/[malformed]");
    assert_eq!(redact("/library/film\n"), "/library/film\\u{a}");
    assert_eq!(format!("{:?}", Token::parse(&token).unwrap()), tag);
    assert!(!format!("{:?}", keys()).contains("07"));
}

proptest! {
    #[test]
    fn a_redacted_line_never_holds_the_token(seed: u64, before in "[a-z/]{0,9}", after in "[a-z/?#]{0,9}") {
        let token = mint(&keys(), &fields(), Scope::File(&path("a")), None, NOW, &Rng::seeded(seed)).unwrap();
        let line = redact(&format!("{before}/m/{token}/{after}"));
        prop_assert!(!line.contains(&token[60..]));
    }

    #[test]
    fn a_folder_token_opens_exactly_what_is_below(
        folder in proptest::collection::vec("[ab]{1,2}", 0..3), asked in proptest::collection::vec("[ab]{1,2}", 0..5)
    ) {
        let token = folder_token(&folder.join("/"));
        prop_assert_eq!(verify(&token, &asked.join("/")).is_ok(), asked.starts_with(&folder));
    }
}
