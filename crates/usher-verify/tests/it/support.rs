//! A signer of anything, well-formed or not.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::sync::{Arc, LazyLock};
use usher_verify::{Algorithm, Claims, KeySet, PublicKey, Verifier};

pub const ISSUER: &str = "https://usher.example";
pub const AUDIENCE: &str = "https://api.example";
/// The instant at which all tests happen.
pub const NOW: i64 = 1_800_000_000;

pub const ALL: [Algorithm; 3] = [Algorithm::Es256, Algorithm::Ed25519, Algorithm::Rs256];

pub struct Keys {
    pub ec: EcdsaKeyPair,
    pub ed: Ed25519KeyPair,
    pub rsa: RsaKeyPair,
}

/// Made once: RSA keys are slow to make.
pub static KEYS: LazyLock<Keys> = LazyLock::new(Keys::fresh);

impl Keys {
    pub fn fresh() -> Keys {
        Keys {
            ec: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
            ed: Ed25519KeyPair::generate().unwrap(),
            rsa: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
        }
    }

    /// The public halves, under the ids `ES256`, `EdDSA` and `RS256`.
    pub fn public(&self) -> KeySet {
        let rsa = self.rsa.public_key();
        let keys = [
            PublicKey::es256("ES256", self.ec.public_key().as_ref()),
            PublicKey::ed25519("EdDSA", self.ed.public_key().as_ref()),
            PublicKey::rs256(
                "RS256",
                rsa.modulus().big_endian_without_leading_zero(),
                rsa.exponent().big_endian_without_leading_zero(),
            ),
        ];
        KeySet::new(keys.map(|key| Arc::new(key.unwrap()))).unwrap()
    }

    /// The private key as PKCS#8.
    pub fn pkcs8(&self, algorithm: Algorithm) -> Vec<u8> {
        match algorithm {
            Algorithm::Es256 => self.ec.to_pkcs8v1().unwrap().as_ref().to_vec(),
            Algorithm::Ed25519 => self.ed.to_pkcs8v1().unwrap().as_ref().to_vec(),
            Algorithm::Rs256 => AsDer::as_der(&self.rsa).unwrap().as_ref().to_vec(),
        }
    }

    pub fn signature(&self, algorithm: Algorithm, message: &[u8]) -> Vec<u8> {
        match algorithm {
            Algorithm::Es256 => self.ec.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
            Algorithm::Ed25519 => self.ed.sign(message).as_ref().to_vec(),
            Algorithm::Rs256 => {
                let mut out = vec![0; self.rsa.public_modulus_len()];
                self.rsa.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut out).unwrap();
                out
            }
        }
    }

    /// A token of exactly this header and payload, truly signed.
    pub fn token(&self, algorithm: Algorithm, header: &str, payload: &str) -> String {
        let signed = format!("{}.{}", b64(header.as_bytes()), b64(payload.as_bytes()));
        let signature = b64(&self.signature(algorithm, signed.as_bytes()));
        format!("{signed}.{signature}")
    }
}

pub fn b64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub fn header(algorithm: Algorithm) -> String {
    let name = algorithm.name();
    format!(r#"{{"alg":"{name}","typ":"at+jwt","kid":"{name}"}}"#)
}

pub fn claims() -> Claims {
    Claims {
        iss: ISSUER.into(),
        sub: "0190a5b2-0000-7000-8000-000000000001".into(),
        aud: vec![AUDIENCE.into()],
        exp: NOW + 600,
        iat: NOW,
        jti: "token-1".into(),
        client_id: "app".into(),
        sid: Some("0190a5b2-0000-7000-8000-000000000002".into()),
        auth_time: None,
        acr: None,
        amr: Vec::new(),
        scope: "media profile".into(),
        roles: vec!["user".into()],
        groups: vec!["family".into(), "cinéma".into()],
        ver: 7,
    }
}

pub fn payload() -> String {
    serde_json::to_string(&claims()).unwrap()
}

/// A good access token.
pub fn good(algorithm: Algorithm) -> String {
    KEYS.token(algorithm, &header(algorithm), &payload())
}

pub fn verifier() -> Verifier {
    Verifier::new(KEYS.public(), ISSUER, AUDIENCE)
}
