#![expect(clippy::unwrap_used, reason = "a file that cannot be made is a failed test")]

use super::{MIN_LENGTH_STRICT, Policy, Weakness};
use std::io::Write;

fn faults(password: &str) -> Vec<Weakness> {
    Policy::default().check(password, &["alice", "Usher"]).err().unwrap_or_default()
}

#[test]
fn good_passwords_of_every_kind_are_taken() {
    let emoji = "🦆🐝🌵🥁🧊🪁🧦🎈🪵🧭🪴🧲🥨🪀🧵🪞".repeat(4);
    for password in [
        "correct horse battery staple",
        "my dragon ate a baseball",
        "vmqzkxwjrphtydbnclfg",
        "pflaumenbaumwipfel",
        "Tr0ub4dor&3-xkcd",
        "  spaces  matter  too  ",
        "дождь над тихим морем",
        "alice rides trams on sundays",
        &emoji,
    ] {
        assert_eq!(faults(password), [], "{password}");
    }
}

#[test]
fn each_fault_is_named() {
    for (password, expected) in [
        ("vjq3xkcd8mz", Weakness::TooShort { min: 12 }),
        ("", Weakness::TooShort { min: 12 }),
        ("aaaaaaaaaaaaaaaaaaaaaaaa", Weakness::Guessable { bits: 9 }),
        // Seven digits count: 12, then 01 twice, then 0.
        ("123456789012345678901234567890", Weakness::Guessable { bits: 23 }),
        ("internationalization", Weakness::Common),
        ("uncharacteristically", Weakness::Common),
        ("understandingmichael", Weakness::Common),
        ("Alice-Alice-Usher-2026", Weakness::Context),
    ] {
        assert!(faults(password).contains(&expected), "{password}: {:?}", faults(password));
    }
}

#[test]
fn a_giant_password_is_refused_before_it_is_looked_at() {
    assert_eq!(faults(&"a".repeat(1 << 20)), [Weakness::TooLong]);
    assert_eq!(faults(&"é".repeat(513)), [Weakness::TooLong]);
    assert!(!faults(&"é".repeat(512)).contains(&Weakness::TooLong));
}

#[test]
fn length_is_counted_in_composed_characters() {
    // Eleven characters, however they are typed.
    for password in ["žćđšéàüöñçx", "z\u{30c}c\u{301}đs\u{30c}e\u{301}a\u{300}u\u{308}o\u{308}n\u{303}c\u{327}x"]
    {
        assert!(faults(password).contains(&Weakness::TooShort { min: 12 }), "{password}");
    }
}

#[test]
fn strict_asks_for_fifteen() {
    let strict = Policy::new(MIN_LENGTH_STRICT);
    assert_eq!(strict.check("vjq3xkcd8mzp4w", &[]), Err(vec![Weakness::TooShort { min: 15 }]));
    assert_eq!(strict.check("vjq3xkcd8mzp4wt", &[]), Ok(()));
}

#[test]
fn no_kind_of_character_is_asked_for() {
    assert_eq!(faults("vmqzkxwjrphtyd"), []);
    assert_eq!(faults("7305918264730591826407"), []);
}

#[test]
fn a_breached_password_is_refused_in_either_normal_form() {
    use aws_lc_rs::digest;
    let known = "caf\u{e9} olé volé gelé zelé";
    let digest = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, known.as_bytes());
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(digest.as_ref()).unwrap();
    let policy = Policy::default().with_breached(file.path()).unwrap();
    assert_eq!(policy.check(known, &[]), Err(vec![Weakness::Breached]));
    assert_eq!(policy.check(&known.replace('é', "e\u{301}"), &[]), Err(vec![Weakness::Breached]));
    assert_eq!(policy.check("another password entirely", &[]), Ok(()));
}

#[test]
fn every_weakness_is_a_sentence() {
    for weakness in [
        Weakness::TooShort { min: 12 },
        Weakness::TooLong,
        Weakness::Guessable { bits: 9 },
        Weakness::Common,
        Weakness::Context,
        Weakness::Breached,
    ] {
        assert!(weakness.to_string().ends_with('.'));
    }
}
