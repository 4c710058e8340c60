#![expect(clippy::unwrap_used, reason = "a name that fails to parse is a failed test")]

use super::{MAX_BYTES, Username, UsernameError, lookup_key};
use proptest::prelude::*;

fn key(text: &str) -> String {
    Username::parse(text).unwrap().key().to_owned()
}

fn look(text: &str) -> String {
    Username::parse(text).unwrap().skeleton_key().to_owned()
}

#[test]
fn names_addresses_and_numbers_are_names() {
    for name in [
        "a",
        "alice",
        "Alice Miller",
        "o'brien",
        "alice+films@example.com",
        "root@localhost",
        "иван@example.com",
        "Иван Петров",
        "4711",
        "50 cent",
        "山田太郎",
        "ひらがなカタカナ漢字",
        "김철수",
        "דוד",
        "محمد7",
        "josé",
        "Nguyễn",
        "DOMAIN\\alice",
        "urn:uuid:0",
    ] {
        assert!(Username::parse(name).is_ok(), "{name}: {:?}", Username::parse(name));
    }
}

#[test]
fn each_broken_rule_has_its_own_sentence() {
    let long = "a".repeat(MAX_BYTES + 1);
    let huge = "a".repeat(1 << 20);
    for (name, why) in [
        ("", UsernameError::Empty),
        ("   ", UsernameError::Empty),
        (&long, UsernameError::TooLong),
        (&huge, UsernameError::TooLong),
        (" alice", UsernameError::Spaces),
        ("alice ", UsernameError::Spaces),
        ("alice  miller", UsernameError::Spaces),
        ("alice\u{3000}\u{3000}miller", UsernameError::Spaces),
        ("alice\u{200B}", UsernameError::Invisible),
        ("ali\u{200D}ce", UsernameError::Invisible),
        ("alice\u{202E}nimda", UsernameError::Invisible),
        ("alice\n", UsernameError::Invisible),
        ("ali\0ce", UsernameError::Invisible),
        ("alice\u{00A0}miller", UsernameError::Invisible),
        ("ali\u{FE0F}ce", UsernameError::Invisible),
        ("alice\u{E0061}", UsernameError::Invisible),
        ("alice😀", UsernameError::Character('😀')),
        ("alice→", UsernameError::Character('→')),
        ("\u{0301}alice", UsernameError::Character('\u{0301}')),
        ("аdmin", UsernameError::MixedScript),
        ("pаypal@example.com", UsernameError::MixedScript),
        ("alice@exаmple.com", UsernameError::MixedScript),
        ("1דוד", UsernameError::Direction),
        ("דוד.", UsernameError::Direction),
        ("a@b@c", UsernameError::Email),
        ("a@", UsernameError::Email),
        ("@b", UsernameError::Email),
        ("a b@c", UsernameError::Email),
        ("a@b c", UsernameError::Email),
        ("a@.b", UsernameError::Email),
        ("a@b..c", UsernameError::Email),
        ("a@b.", UsernameError::Email),
        ("a..b@c", UsernameError::Email),
        ("\"a\"@b", UsernameError::Email),
        ("a@-b", UsernameError::Email),
        ("a@b＠c", UsernameError::Email),
    ] {
        assert_eq!(Username::parse(name), Err(why), "{name:?}");
        assert!(why.to_string().ends_with('.'));
    }
}

#[test]
fn case_and_width_do_not_make_another_name() {
    for same in ["admin", "ADMIN", "Admin", "ａｄｍｉｎ", "ＡＤＭＩＮ", "ａdmin"] {
        assert_eq!(key(same), "admin", "{same}");
    }
    assert_eq!(key("STRASSE"), key("straße"));
    assert_eq!(key("ΣΊΣΥΦΟΣ"), key("σίσυφος"));
    assert_eq!(key("É"), key("e\u{0301}"));
    assert_eq!(key("Alice@Example.COM"), "alice@example.com");
}

#[test]
fn a_name_keeps_the_form_its_owner_chose() {
    let name = Username::parse("Alice Miller").unwrap();
    assert_eq!(name.display(), "Alice Miller");
    assert_eq!(name.to_string(), "Alice Miller");
    assert_eq!(name.email(), None);
}

#[test]
fn an_address_is_split_once() {
    let name = Username::parse("Alice@Films.Example").unwrap();
    assert_eq!(name.email(), Some(("alice", "films.example")));
}

#[test]
fn names_that_look_alike_have_one_skeleton() {
    // Wholly Cyrillic, so no script is mixed: only the skeleton tells.
    assert_eq!(look("асе"), look("ace"));
    assert_ne!(key("асе"), key("ace"));
    assert_eq!(look("PauI"), look("Paul"));
    assert_eq!(look("rnaria"), look("maria"));
    assert_eq!(look("b0b"), look("bob"));
    assert_ne!(look("alice"), look("bob"));
}

#[test]
fn a_login_finds_every_spelling_and_judges_none() {
    assert_eq!(lookup_key(" ADMIN ").as_deref(), Some("admin"));
    assert_eq!(lookup_key("a@b@c").as_deref(), Some("a@b@c"));
    assert_eq!(lookup_key("аdmin"), Some("аdmin".to_owned()));
    assert_eq!(lookup_key(""), None);
    assert_eq!(lookup_key("  "), None);
    assert_eq!(lookup_key(&"a".repeat(MAX_BYTES + 1)), None);
    assert_eq!(lookup_key(&"a".repeat(1 << 20)), None);
}

#[test]
fn folding_any_character_twice_changes_nothing() {
    for c in '\0'..=char::MAX {
        let once = super::text::fold(c.encode_utf8(&mut [0; 4]));
        assert_eq!(super::text::fold(&once), once, "{:x}", u32::from(c));
    }
}

/// ASCII moved to the full-width forms, as a Japanese keyboard types it.
fn widen(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '!'..='~' => char::from_u32(u32::from(c) + 0xFEE0).unwrap(),
            _ => c,
        })
        .collect()
}

proptest! {
    #[test]
    fn parsing_what_was_parsed_changes_nothing(text in "[\\p{L}\\p{Nd}]{1,12}( [a-zA-Z0-9]{1,12})?") {
        if let Ok(name) = Username::parse(&text) {
            prop_assert_eq!(&Username::parse(name.display()).unwrap(), &name);
            if let Ok(again) = Username::parse(name.key()) {
                prop_assert_eq!(again.key(), name.key());
            }
        }
    }

    #[test]
    fn every_case_and_width_has_one_key(text in "[a-zA-Z0-9][a-zA-Z0-9._+-]{0,30}") {
        let name = key(&text);
        prop_assert_eq!(&key(&text.to_uppercase()), &name);
        prop_assert_eq!(&key(&text.to_lowercase()), &name);
        prop_assert_eq!(&key(&widen(&text)), &name);
    }
}
