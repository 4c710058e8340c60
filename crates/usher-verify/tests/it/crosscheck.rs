//! Against an independent implementation, in both directions and with every algorithm.

use crate::support::{ALL, AUDIENCE, ISSUER, KEYS, NOW, claims, good, verifier};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::signature::KeyPair;
use jsonwebtoken as other;
use usher_verify::{Algorithm, Claims, TokenType};

fn theirs(algorithm: Algorithm) -> other::Algorithm {
    match algorithm {
        Algorithm::Es256 => other::Algorithm::ES256,
        Algorithm::Ed25519 => other::Algorithm::EdDSA,
        Algorithm::Rs256 => other::Algorithm::RS256,
    }
}

#[test]
fn the_other_implementation_signs_and_we_admit() {
    for algorithm in ALL {
        let key = match algorithm {
            Algorithm::Es256 => other::EncodingKey::from_ec_der(&KEYS.pkcs8(algorithm)),
            Algorithm::Ed25519 => other::EncodingKey::from_ed_der(&KEYS.pkcs8(algorithm)),
            // It wants the RSA key in its own PKCS#1 form, which is the tail of the PKCS#8 one.
            Algorithm::Rs256 => other::EncodingKey::from_rsa_der(pkcs1(&KEYS.pkcs8(algorithm))),
        };
        let mut header = other::Header::new(theirs(algorithm));
        header.typ = Some("at+jwt".into());
        header.kid = Some(algorithm.name().into());
        let token = other::encode(&header, &claims(), &key).unwrap();
        assert_eq!(verifier().verify(&token, TokenType::Access, NOW), Ok(claims()), "{algorithm:?}");
    }
}

#[test]
fn we_sign_and_the_other_implementation_admits_with_our_key_set() {
    let set: other::jwk::JwkSet = serde_json::from_str(&KEYS.public().to_jwks()).unwrap();
    for algorithm in ALL {
        let key = other::DecodingKey::from_jwk(set.find(algorithm.name()).unwrap()).unwrap();
        let mut rules = other::Validation::new(theirs(algorithm));
        rules.set_audience(&[AUDIENCE]);
        rules.set_issuer(&[ISSUER]);
        rules.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // Its clock is the machine's and these tokens live at a fixed instant.
        rules.validate_exp = false;
        let read = other::decode::<Claims>(&good(algorithm), &key, &rules).unwrap();
        assert_eq!(read.claims, claims(), "{algorithm:?}");
        assert_eq!(read.header.typ.as_deref(), Some("at+jwt"));
    }
}

#[test]
fn the_public_key_of_an_rsa_pair_is_the_one_published() {
    let jwks = KEYS.public().to_jwks();
    let der = KEYS.rsa.public_key().as_der().unwrap();
    let parsed =
        aws_lc_rs::signature::ParsedPublicKey::new(&aws_lc_rs::signature::RSA_PKCS1_2048_8192_SHA256, der.as_ref());
    let message = b"a message";
    assert!(parsed.unwrap().verify_sig(message, &KEYS.signature(Algorithm::Rs256, message)).is_ok());
    assert!(jwks.contains("\"e\":\"AQAB\""), "{jwks}");
}

/// The `RSAPrivateKey` inside a PKCS#8 document: the longest tail that is one whole DER sequence.
fn pkcs1(pkcs8: &[u8]) -> &[u8] {
    let at = (1..pkcs8.len() - 4).find(|at| {
        let length = usize::from(u16::from_be_bytes([pkcs8[at + 2], pkcs8[at + 3]]));
        pkcs8[*at..].starts_with(&[0x30, 0x82]) && at + 4 + length == pkcs8.len()
    });
    &pkcs8[at.unwrap()..]
}
