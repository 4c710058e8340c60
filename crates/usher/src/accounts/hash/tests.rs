#![expect(clippy::unwrap_used, reason = "a hash that cannot be made or read is a failed test")]

use super::{BadPepper, Encoded, HashFault, Memory, NotAHash, Params, Peppers, nfc};
use aws_lc_rs::pbkdf2;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use proptest::prelude::*;
use std::num::NonZeroU32;

const PASSWORD: &str = "correct horse battery";

fn cheap() -> Params {
    Params::new(64, 1, 1).unwrap()
}

fn made(password: &str, peppers: &Peppers) -> Encoded {
    Encoded::create(password, [7; 16], cheap(), peppers, &mut Memory::new()).unwrap()
}

fn right(encoded: &Encoded, password: &str) -> bool {
    encoded.verify(password, &Peppers::none(), &mut Memory::new()).unwrap()
}

fn read(text: &str) -> Encoded {
    Encoded::parse(text).unwrap()
}

#[test]
fn a_new_hash_knows_its_password_and_no_other() {
    let encoded = read(&made(PASSWORD, &Peppers::none()).to_string());
    assert!(encoded.to_string().starts_with("$argon2id$v=19$m=64,t=1,p=1$"));
    assert!(right(&encoded, PASSWORD));
    for wrong in ["", "correct horse batter", "correct horse battery ", "Correct horse battery"] {
        assert!(!right(&encoded, wrong), "{wrong:?}");
    }
}

#[test]
fn no_byte_of_a_long_password_is_ignored() {
    let long = "x".repeat(1000);
    let encoded = made(&long, &Peppers::none());
    assert!(right(&encoded, &long));
    assert!(!right(&encoded, &format!("{}y", &long[..999])));
}

#[test]
fn the_default_cost_is_64_mib_three_times() {
    let salt = [1; 16];
    let mut memory = Memory::new();
    let encoded = Encoded::create(PASSWORD, salt, Params::default(), &Peppers::none(), &mut memory).unwrap();
    assert!(encoded.to_string().starts_with("$argon2id$v=19$m=65536,t=3,p=1$"));
    assert!(encoded.verify(PASSWORD, &Peppers::none(), &mut memory).unwrap());
    assert_eq!(memory.kib(), 65_536);
    memory.clear();
    assert_eq!(memory.kib(), 0);
}

#[test]
fn composed_and_decomposed_letters_are_one_password() {
    let encoded = made("caf\u{e9} caf\u{e9} caf\u{e9}", &Peppers::none());
    assert!(right(&encoded, "cafe\u{301} cafe\u{301} cafe\u{301}"));
    // And an argon2id hash that another program made of the decomposed form still opens.
    let theirs = "cafe\u{301} cafe\u{301} cafe\u{301}";
    let raw = super::argon2id(cheap(), theirs.as_bytes(), &[7; 16], 32, &mut Memory::new()).unwrap();
    let text = format!("$argon2id$v=19$m=64,t=1,p=1${}${}", b64(&[7; 16]), b64(&raw));
    assert!(right(&read(&text), theirs));
}

#[test]
fn memory_left_over_from_a_larger_hash_changes_nothing() {
    let mut memory = Memory::new();
    let large = Params::new(1024, 1, 1).unwrap();
    Encoded::create("other", [9; 16], large, &Peppers::none(), &mut memory).unwrap();
    let after = Encoded::create(PASSWORD, [7; 16], cheap(), &Peppers::none(), &mut memory).unwrap();
    assert_eq!(after, made(PASSWORD, &Peppers::none()));
    memory.shrink_to(64);
    assert_eq!(memory.kib(), 64);
}

#[test]
fn the_argon2_reference_tool_agrees() {
    // From the reference implementation's tests: "password", "somesalt", 64 MiB, two passes.
    let text = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
    assert!(right(&read(text), "password"));
    assert!(!right(&read(text), "passwore"));
}

#[test]
fn a_pepper_is_needed_named_and_replaceable() {
    let mut old = Peppers::none();
    old.add("k1", &[1; 32]).unwrap();
    let encoded = read(&made(PASSWORD, &old).to_string());
    assert!(encoded.to_string().starts_with("$argon2id-hmac$v=19$m=64,t=1,p=1,k=k1$"));
    let mut memory = Memory::new();
    assert_eq!(encoded.verify(PASSWORD, &old, &mut memory), Ok(true));
    assert!(!encoded.needs_rehash(&cheap(), &old));
    assert_eq!(encoded.verify(PASSWORD, &Peppers::none(), &mut memory), Err(HashFault::PepperMissing("k1".to_owned())));
    let mut other = Peppers::none();
    other.add("k1", &[2; 32]).unwrap();
    assert_eq!(encoded.verify(PASSWORD, &other, &mut memory), Ok(false));
    let mut both = old.clone();
    both.add("k2", &[3; 32]).unwrap();
    assert_eq!(encoded.verify(PASSWORD, &both, &mut memory), Ok(true));
    assert!(encoded.needs_rehash(&cheap(), &both));
    assert!(made(PASSWORD, &Peppers::none()).needs_rehash(&cheap(), &both));
}

#[test]
fn a_weak_or_doubled_pepper_is_refused() {
    let mut peppers = Peppers::none();
    assert_eq!(peppers.add("k1", &[1; 31]), Err(BadPepper::Short));
    assert_eq!(peppers.add("K$1", &[1; 32]), Err(BadPepper::Id));
    assert_eq!(peppers.add("", &[1; 32]), Err(BadPepper::Id));
    peppers.add("k1", &[1; 32]).unwrap();
    assert_eq!(peppers.add("k1", &[2; 32]), Err(BadPepper::Taken));
    assert!(!format!("{peppers:?}").contains("01"));
}

#[test]
fn the_scrypt_accounts_of_takeout_log_in() {
    let params = ::scrypt::Params::new(15, 8, 1).unwrap();
    let mut key = [0; 32];
    ::scrypt::scrypt(PASSWORD.as_bytes(), b"8 bytes!", &params, &mut key).unwrap();
    let encoded = Encoded::takeout(b"8 bytes!", &key).unwrap();
    assert_eq!(encoded.to_string(), format!("$scrypt$ln=15,r=8,p=1${}${}", b64(b"8 bytes!"), b64(&key)));
    assert_eq!(read(&encoded.to_string()), encoded);
    assert!(right(&encoded, PASSWORD));
    assert!(!right(&encoded, "correct horse batterz"));
    assert!(encoded.needs_rehash(&Params::default(), &Peppers::none()));
    assert!(matches!(Encoded::takeout(b"short", &key), Err(NotAHash::Length)));
}

#[test]
fn bcrypt_in_its_three_spellings_logs_in() {
    for version in [::bcrypt::Version::TwoA, ::bcrypt::Version::TwoB, ::bcrypt::Version::TwoY] {
        let text = ::bcrypt::hash_with_salt(PASSWORD, 4, [3; 16]).unwrap().format_for_version(version);
        let encoded = read(&text);
        assert_eq!(encoded.to_string(), text);
        assert!(right(&encoded, PASSWORD));
        assert!(!right(&encoded, "wrong"));
        assert!(encoded.needs_rehash(&cheap(), &Peppers::none()));
    }
    // One of crypt_blowfish's published vectors.
    assert!(right(&read("$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"), "U*U"));
}

#[test]
fn an_imported_bcrypt_password_reads_72_bytes_as_it_was_made() {
    let long = "y".repeat(80);
    let text = ::bcrypt::hash_with_salt(&long, 4, [3; 16]).unwrap().to_string();
    assert!(right(&read(&text), &long));
    assert!(right(&read(&text), &long[..72]));
    assert!(!right(&read(&text), &long[..71]));
}

#[test]
fn imported_passwords_are_tried_as_typed_and_in_nfc() {
    for stored in ["caf\u{e9}", "cafe\u{301}"] {
        let text = ::bcrypt::hash_with_salt(stored, 4, [3; 16]).unwrap().to_string();
        assert!(right(&read(&text), "cafe\u{301}"), "{stored:?}");
    }
}

fn derived(algorithm: pbkdf2::Algorithm, rounds: u32, salt: &[u8], length: usize) -> Vec<u8> {
    let mut out = vec![0; length];
    pbkdf2::derive(algorithm, NonZeroU32::new(rounds).unwrap(), salt, PASSWORD.as_bytes(), &mut out);
    out
}

fn b64(bytes: &[u8]) -> String {
    STANDARD_NO_PAD.encode(bytes)
}

#[test]
fn pbkdf2_of_passlib_and_django_logs_in() {
    let long = derived(pbkdf2::PBKDF2_HMAC_SHA512, 1000, b"sixteen bytes ok", 64);
    let passlib =
        format!("$pbkdf2-sha512$1000${}${}", b64(b"sixteen bytes ok").replace('+', "."), b64(&long).replace('+', "."));
    let short = derived(pbkdf2::PBKDF2_HMAC_SHA256, 1000, b"Zu9TfVP3kYwq", 32);
    let django = format!("pbkdf2_sha256$1000$Zu9TfVP3kYwq${}", STANDARD.encode(&short));
    for text in [passlib, django] {
        let encoded = read(&text);
        assert!(right(&encoded, PASSWORD), "{text}");
        assert!(!right(&encoded, "wrong"), "{text}");
        assert!(encoded.needs_rehash(&cheap(), &Peppers::none()));
        assert_eq!(read(&encoded.to_string()), encoded);
    }
    // passlib's own documentation gives this one; Python's hashlib agrees.
    let theirs = "$pbkdf2-sha256$6400$.6UI/S.nXIk8jcbdHx3Fhg$98jZicV16ODfEsEZeYPGHU3kbrUrvUEXOPimVSQDD44";
    assert!(right(&read(theirs), "password"));
}

#[test]
fn parameters_decide_whether_to_rehash() {
    let encoded = made(PASSWORD, &Peppers::none());
    assert!(!encoded.needs_rehash(&cheap(), &Peppers::none()));
    for other in [(128, 1, 1), (64, 2, 1), (64, 1, 2)] {
        let params = Params::new(other.0, other.1, other.2).unwrap();
        assert!(encoded.needs_rehash(&params, &Peppers::none()), "{other:?}");
    }
    let short_salt = format!("$argon2id$v=19$m=64,t=1,p=1${}${}", b64(&[7; 8]), b64(&[7; 32]));
    assert!(read(&short_salt).needs_rehash(&cheap(), &Peppers::none()));
}

#[test]
fn hostile_and_weak_texts_are_refused() {
    let (salt, tag) = (b64(&[7; 16]), b64(&[7; 32]));
    for (text, why) in [
        (String::new(), NotAHash::Scheme),
        (PASSWORD.to_owned(), NotAHash::Scheme),
        (format!("$argon2i$v=19$m=64,t=1,p=1${salt}${tag}"), NotAHash::Scheme),
        (format!("$argon2d$v=19$m=64,t=1,p=1${salt}${tag}"), NotAHash::Scheme),
        ("$1$salt$md5crypt".to_owned(), NotAHash::Scheme),
        ("$2x$04$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW".to_owned(), NotAHash::Scheme),
        (format!("argon2id$v=19$m=64,t=1,p=1${salt}${tag}"), NotAHash::Scheme),
        (format!("$argon2id$v=16$m=64,t=1,p=1${salt}${tag}"), NotAHash::Form),
        (format!("$argon2id$v=19$t=1,m=64,p=1${salt}${tag}"), NotAHash::Form),
        (format!("$argon2id$v=19$m=64,t=1,p=1,k=k1${salt}${tag}"), NotAHash::Form),
        (format!("$argon2id-hmac$v=19$m=64,t=1,p=1${salt}${tag}"), NotAHash::Form),
        (format!("$argon2id$v=19$m=+64,t=1,p=1${salt}${tag}"), NotAHash::Form),
        (format!("$argon2id$v=19$m=064,t=1,p=1${salt}${tag}"), NotAHash::Form),
        (format!("$argon2id$v=19$m=64,t=0,p=1${salt}${tag}"), NotAHash::Form),
        (format!("$argon2id$v=19$m=64,t=1,p=1${salt}${tag}$"), NotAHash::Form),
        (format!("$argon2id$v=19$m=64,t=1,p=1${salt}=${tag}"), NotAHash::Form),
        (format!("$argon2id$v=19$m=64,t=1,p=1$${tag}"), NotAHash::Length),
        (format!("$argon2id$v=19$m=64,t=1,p=1${salt}$"), NotAHash::Length),
        (format!("$argon2id$v=19$m=64,t=1,p=1${salt}${}", b64(&[7; 15])), NotAHash::Length),
        (format!("$argon2id$v=19$m=4294967295,t=1,p=1${salt}${tag}"), NotAHash::TooCostly),
        (format!("$argon2id$v=19$m=99999999999,t=1,p=1${salt}${tag}"), NotAHash::TooCostly),
        (format!("$argon2id$v=19$m=262145,t=1,p=1${salt}${tag}"), NotAHash::TooCostly),
        (format!("$argon2id$v=19$m=262144,t=9,p=1${salt}${tag}"), NotAHash::TooCostly),
        (format!("$argon2id$v=19$m=64,t=4000000,p=1${salt}${tag}"), NotAHash::TooCostly),
        (format!("$argon2id$v=19$m=262144,t=1,p=4294967295${salt}${tag}"), NotAHash::TooCostly),
        (format!("$scrypt$ln=14,r=8,p=1${salt}${tag}"), NotAHash::TooCheap),
        (format!("$scrypt$ln=15,r=7,p=1${salt}${tag}"), NotAHash::TooCheap),
        (format!("$scrypt$ln=15,r=8,p=0${salt}${tag}"), NotAHash::TooCheap),
        (format!("$scrypt$ln=19,r=8,p=1${salt}${tag}"), NotAHash::TooCostly),
        (format!("$scrypt$ln=63,r=8,p=1${salt}${tag}"), NotAHash::TooCostly),
        (format!("$scrypt$ln=300,r=8,p=1${salt}${tag}"), NotAHash::TooCostly),
        (format!("$scrypt$ln=15,r=8,p=33${salt}${tag}"), NotAHash::TooCostly),
        (format!("$scrypt$ln=15,r=4294967295,p=4294967295${salt}${tag}"), NotAHash::TooCostly),
        ("$2a$17$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW".to_owned(), NotAHash::TooCostly),
        ("$2a$99$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW".to_owned(), NotAHash::TooCostly),
        ("$2a$03$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW".to_owned(), NotAHash::Form),
        ("$2a$+5$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW".to_owned(), NotAHash::Form),
        ("$2a$05$short".to_owned(), NotAHash::Form),
        (format!("$pbkdf2-sha256$999${salt}${tag}"), NotAHash::TooCheap),
        (format!("$pbkdf2-sha256$5000001${salt}${tag}"), NotAHash::TooCostly),
        (format!("$pbkdf2-sha256$9999999999${salt}${tag}"), NotAHash::TooCostly),
        (format!("$pbkdf2-sha1$10000${salt}${tag}"), NotAHash::Scheme),
        (format!("pbkdf2_sha256$10000$seasalt${tag}="), NotAHash::Length),
        (format!("pbkdf2_sha256$10000$${tag}="), NotAHash::Length),
        (format!("$argon2id$v=19$m=64,t=1,p=1${salt}${}", "A".repeat(100_000)), NotAHash::Form),
        (format!("$argon2id$v=19$m=64,t=1,p=1${salt}é${tag}"), NotAHash::Form),
    ] {
        assert_eq!(Encoded::parse(&text).err(), Some(why), "{text:.120}");
    }
}

#[test]
fn what_may_be_configured_may_be_read_back() {
    assert!(Params::new(262_144, 8, 1).is_ok());
    assert!(Params::new(262_144, 9, 1).is_err());
    assert!(Params::new(8, 1, 2).is_err());
    assert!(Params::new(64, 17, 1).is_err());
    assert!(Params::default().meets_floor());
    for (memory, passes, enough) in [(47_104, 1, true), (19_456, 2, true), (19_456, 1, false), (12_287, 9, false)] {
        assert_eq!(Params::new(memory, passes, 1).unwrap().meets_floor(), enough, "{memory} {passes}");
    }
}

#[test]
fn the_dummy_costs_the_same_and_opens_to_nothing() {
    let mut peppers = Peppers::none();
    peppers.add("k1", &[1; 32]).unwrap();
    let dummy = Encoded::dummy(cheap(), &peppers);
    assert_eq!(dummy.verify("", &peppers, &mut Memory::new()), Ok(false));
    assert!(!dummy.needs_rehash(&cheap(), &peppers));
}

#[test]
fn a_hash_is_not_printed_by_accident() {
    let encoded = made(PASSWORD, &Peppers::none());
    assert_eq!(format!("{encoded:?}"), "Encoded(argon2id ***)");
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        m in 8_u32..4096, t in 1_u32..16, k in proptest::option::of("[a-z0-9]{1,16}"),
        salt in proptest::collection::vec(any::<u8>(), 8..64), tag in proptest::array::uniform32(any::<u8>()),
    ) {
        let (name, id) = k.map_or(("argon2id", String::new()), |k| ("argon2id-hmac", format!(",k={k}")));
        let text = format!("${name}$v=19$m={m},t={t},p=1{id}${}${}", b64(&salt), b64(&tag));
        prop_assert_eq!(Encoded::parse(&text).unwrap().to_string(), text);
    }

    #[test]
    fn nfc_of_nfc_is_itself(text in "\\PC{0,40}") {
        let once = nfc(&text);
        let twice = nfc(&once);
        prop_assert_eq!(twice.as_str(), once.as_str());
    }
}
