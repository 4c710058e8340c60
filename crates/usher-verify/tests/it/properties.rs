//! Arbitrary text: never a panic, never a wrong admission.

use crate::support::{ALL, KEYS, NOW, b64, good, header, verifier};
use proptest::prelude::*;
use std::sync::LazyLock;
use usher_verify::{Algorithm, KeySet, TokenType, Verifier};

static VERIFIER: LazyLock<Verifier> = LazyLock::new(verifier);
static GOOD: LazyLock<[String; 3]> = LazyLock::new(|| ALL.map(good));

fn admitted(token: &str) -> bool {
    VERIFIER.verify(token, TokenType::Access, NOW).is_ok()
}

proptest! {
    #[test]
    fn text_that_nobody_signed_is_refused(text in ".{0,300}") {
        prop_assert!(!admitted(&text));
    }

    #[test]
    fn parts_that_nobody_signed_are_refused(
        head in prop::collection::vec(any::<u8>(), 0..80),
        body in prop::collection::vec(any::<u8>(), 0..80),
        signature in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        prop_assert!(!admitted(&[b64(&head), b64(&body), b64(&signature)].join(".")));
    }

    #[test]
    fn a_true_header_over_nonsense_is_refused(
        body in ".{0,200}",
        signature in prop::collection::vec(any::<u8>(), 64),
        which in 0..3_usize,
    ) {
        let head = header(ALL[which]);
        prop_assert!(!admitted(&[b64(head.as_bytes()), b64(body.as_bytes()), b64(&signature)].join(".")));
    }

    #[test]
    fn signed_nonsense_is_refused(body in ".{0,200}") {
        prop_assert!(!admitted(&KEYS.token(Algorithm::Ed25519, &header(Algorithm::Ed25519), &body)));
    }

    #[test]
    fn a_good_token_with_one_byte_changed_is_refused(which in 0..3_usize, at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let mut bytes = GOOD[which].clone().into_bytes();
        let at = at.index(bytes.len());
        prop_assume!(bytes[at] != to);
        bytes[at] = to;
        prop_assert!(!admitted(&String::from_utf8_lossy(&bytes)));
    }

    #[test]
    fn a_good_token_cut_short_is_refused(which in 0..3_usize, at in any::<prop::sample::Index>()) {
        let token = &GOOD[which];
        prop_assert!(!admitted(&token[..at.index(token.len())]));
    }

    #[test]
    fn any_text_may_be_offered_as_a_key_set(text in ".{0,200}", kty in "EC|RSA|OKP", member in "[A-Za-z0-9_-]{0,50}") {
        let _ = KeySet::from_jwks(&text);
        let jwk = format!(
            r#"{{"keys":[{{"kid":"k","kty":"{kty}","crv":"P-256","x":"{member}","y":"{member}","n":"{member}","e":"AQAB"}}]}}"#
        );
        prop_assert!(KeySet::from_jwks(&jwk).is_err() || kty == "OKP");
    }
}
