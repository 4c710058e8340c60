//! Every parser of strangers' text, with bytes drawn by rule. `fuzz/` finds bytes by coverage for the same bodies.

mod bodies;

use proptest::prelude::*;
use std::path::Path;

/// Bytes with a word that brings this parser further than noise does.
fn fitting(name: &str) -> BoxedStrategy<Vec<u8>> {
    let number = || proptest::collection::vec(any::<u8>(), 8);
    let after = |text: &'static str| (number(), text).prop_map(|(number, text)| [number, text.into_bytes()].concat());
    let text = |text: &'static str| text.prop_map(String::into_bytes).boxed();
    match name {
        "byte_range" => after("(bytes=)?[0-9, -]{0,50}").boxed(),
        "conditions" => after("(W/|\"|a|,|\\*| ){0,30}|(Sun|Mon), [0-9]{2} Nov [0-9]{4} [0-9:]{8} GMT").boxed(),
        "config_file" => {
            text("(\\[server\\]|\\[\\[app\\]\\]|name|listen|service_name|=|\"a\"|\"|'|7|true|\n|#| ){0,40}")
        }
        "config_values" => text("https?://[a-zA-Z0-9.:\\[\\]-]{0,30}/?"),
        "cookie" => text("[A-Za-z0-9_-]{0,140}"),
        "forwarded" => text("(for=|proto=|host=|https|\"|;|,| |1.2.3.4|\\[::1\\]|_x|:80){0,20}"),
        "hash_text" => text("\\$?(argon2id|scrypt|2b|pbkdf2-sha256|pbkdf2_sha256)\\$[a-z0-9=,$./A-Z+]{0,120}"),
        "head_framing" => {
            text("\\PC(Content-Length|Transfer-Encoding|:| |\r\n|\n|chunked|5|0|GET / HTTP/1.1\r\n){0,20}")
        }
        "http_date" => text("(Sun|Mon|Sunday|Nov|Feb|[0-9]{2}|[0-9]{4}|GMT|,|:|-| ){0,20}"),
        "import_table" => text("(username|password|admin|,|\"|\n|t|a|\\[|\\{|\\}|\\]|:|null){0,30}"),
        "import_users" => text("(authorization=)?['\"]?(\\{|\\}|\"a\"|:|,|\\\\|\"|7|null){0,20}['\"]?"),
        "jws" => text("[A-Za-z0-9_-]{0,90}\\.[A-Za-z0-9_-]{0,90}\\.[A-Za-z0-9_-]{0,90}"),
        "key_set" => text(
            "\\{\"keys\":\\[\\{\"kid\":\"k\",\"kty\":\"(EC|RSA|OKP)\",\"crv\":\"(P-256|Ed25519)\",\
            \"x\":\"[A-Za-z0-9_-]{43}\",\"y\":\"[A-Za-z0-9_-]{43}\",\"n\":\"[A-Za-z0-9_-]{9}\",\"e\":\"AQAB\"\\}\\]\\}",
        ),
        "media_path" => text("(\\.|%2e|%2E|/|%2f|a|%5c|%00|%c3%a9|~){0,20}"),
        "media_token" => text("[A-Za-z0-9_-]{76}|(/|m|\\?|#|[A-Za-z0-9_-]{76}){0,9}"),
        "names" => text("[\\PC ]{0,40}|[a-z.]{1,9}@[a-z.-]{1,9}"),
        "otpauth" => text(
            "otpauth://totp/[a-z:%2-]{0,9}\\?(secret=[A-Z2-7]{16,40}=?|issuer=[a-z%:]{0,5}|algorithm=SHA(1|256|512)|\
            digits=[68]|period=30|&|[a-z]=){0,12}",
        ),
        "passcode" => text("([0-9]{3}[ -]?){2}|([0-9a-zA-Z]{4}[- ]?){6}"),
        "refresh_token" => text("usr_[A-Za-z0-9_-]{0,140}"),
        "secret" => text("us[rptiwvd]_[A-Za-z0-9_-]{49}"),
        "signed_header" => text("(\\\\u[0-9a-f]{3,6}){1,12}|(\\\\u00[0-7][0-9a-f]){1,20}"),
        "takeout_body" => {
            text("\\{(\"(User|pass|CODE|x)\"|:|,|\"a\"|null|7|\\{|\\}){0,12}\\}|//?api/(token|code)|[Bb]earer  ?x")
        }
        "user_code" => {
            text("[BCDFGHJKLMNPQRSTVWXZbcdf]{4}[ -]?[BCDFGHJKLMNPQRSTVWXZ]{4}|[1-9A-IK-NP-Za-i]{6}|[\\PC ]{5,10}")
        }
        "username" => text("[\\p{L}\\p{Nd}]{1,12}( [a-zA-Z0-9]{1,12})?|[a-z]{1,5}@[a-z.]{1,9}"),
        "webauthn_answer" => prop_oneof![
            // An attestation object whose key is noise, an authenticator's data, and what a browser says it signed.
            proptest::collection::vec(any::<u8>(), 37..200)
                .prop_map(|noise| [b"\xA3\x63fmt\x64none\x67attStmt\xA0\x68authData\x58\xA4".as_slice(), &noise].concat()),
            proptest::collection::vec(any::<u8>(), 37..60),
            text("\\{(\"type\":\"webauthn.(get|create)\"|,|\"challenge\":\"[A-Za-z0-9_-]{4}\"|\"crossOrigin\":true){1,5}\\}"),
        ]
        .boxed(),
        _ => proptest::collection::vec(any::<u8>(), 0..600).boxed(),
    }
}

fn any_parser() -> impl Strategy<Value = (&'static str, Vec<u8>)> {
    proptest::sample::select(bodies::ALL).prop_flat_map(|(name, _)| {
        let noise = proptest::collection::vec(any::<u8>(), 0..120);
        (Just(name), prop_oneof![noise, "\\PC{0,60}".prop_map(String::into_bytes), fitting(name)])
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256 * 27))]
    #[test]
    fn every_parser_keeps_its_promise_for_any_bytes((name, data) in any_parser()) {
        bodies::run(name, &data);
    }
}

/// What fuzzing found once stays found.
#[test]
fn every_parser_keeps_its_promise_for_what_broke_it_before() {
    // A field that is not ASCII hid what the proxy wrote behind it, and with it whose request it was.
    const BROKEN: &[(&str, &[u8])] = &[("forwarded", b"\xef\xac\x93")];
    for (name, data) in BROKEN {
        bodies::run(name, data);
    }
}

#[test]
fn every_parser_has_a_fuzz_target() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let folder = std::fs::read_dir(root.join("fuzz/fuzz_targets")).unwrap();
    let mut targets: Vec<String> =
        folder.map(|it| it.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    targets.sort();
    let names: Vec<&str> = bodies::ALL.iter().map(|(name, _)| *name).collect();
    assert_eq!(targets, names);
    let manifest = std::fs::read_to_string(root.join("fuzz/Cargo.toml")).unwrap();
    for name in names {
        assert!(manifest.contains(&format!("name = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"\n")), "{name}");
    }
}
