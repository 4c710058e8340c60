//! Remembering must never change an answer.

use crate::support::{KEYS, NOW, claims, good, header, payload, verifier};
use std::sync::Arc;
use usher_verify::{Algorithm, CachedVerifier, Refusal, TokenType};

fn cached() -> CachedVerifier {
    CachedVerifier::new(verifier(), 100)
}

#[test]
fn a_good_token_is_checked_once_and_then_remembered() {
    let (cached, token) = (cached(), good(Algorithm::Es256));
    let first = cached.verify(&token, TokenType::Access, NOW).unwrap();
    let second = cached.verify(&token, TokenType::Access, NOW).unwrap();
    assert!(Arc::ptr_eq(&first, &second));
    assert_eq!(*first, claims());
    assert_eq!(cached.len(), 1);
}

#[test]
fn a_remembered_token_still_dies_at_its_second() {
    let (cached, token) = (cached(), good(Algorithm::Es256));
    assert!(cached.verify(&token, TokenType::Access, NOW + 599).is_ok());
    assert_eq!(cached.verify(&token, TokenType::Access, NOW + 600), Err(Refusal::Expired));
    assert!(cached.is_empty(), "the dead are forgotten");
    assert!(cached.verify(&token, TokenType::Access, NOW).is_ok());
    assert_eq!(cached.verify(&token, TokenType::Access, NOW - 61), Err(Refusal::NotYet), "a clock set back");
}

#[test]
fn a_remembered_token_is_still_only_of_its_kind() {
    let (cached, token) = (cached(), good(Algorithm::Es256));
    assert!(cached.verify(&token, TokenType::Access, NOW).is_ok());
    assert_eq!(cached.verify(&token, TokenType::Media, NOW), Err(Refusal::WrongType));
    assert!(cached.verify(&token, TokenType::Access, NOW).is_ok());
}

#[test]
fn refused_tokens_are_not_remembered() {
    let cached = cached();
    let good = good(Algorithm::Es256);
    let bad = good.replacen('.', ".A", 1);
    assert_eq!(cached.verify(&bad, TokenType::Access, NOW), Err(Refusal::BadSignature));
    assert_eq!(cached.verify(&good, TokenType::Media, NOW), Err(Refusal::WrongType));
    assert_eq!(cached.verify(&"a".repeat(1 << 20), TokenType::Access, NOW), Err(Refusal::Malformed));
    assert!(cached.is_empty());
}

#[test]
fn memory_is_bounded() {
    let cached = CachedVerifier::new(verifier(), 50);
    for n in 0..500 {
        let body = payload().replace("token-1", &format!("token-{n}"));
        let token = KEYS.token(Algorithm::Ed25519, &header(Algorithm::Ed25519), &body);
        assert!(cached.verify(&token, TokenType::Access, NOW).is_ok());
    }
    assert!(cached.len() <= 100, "{} remembered", cached.len());
}
