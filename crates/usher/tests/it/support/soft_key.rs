//! An authenticator of our own making (WebAuthn Level 3 sections 6.1 and 7), whose every answer can be made wrong.

use super::app::{Actor, Answer};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use serde_json::{Value, json};
use std::sync::Arc;

/// The person was there, and their device verified them.
pub const PRESENT: u8 = 0x01;
pub const VERIFIED: u8 = 0x04;
const HOLDS_KEY: u8 = 0x40;

/// A passkey, and what it says of itself.
#[derive(Clone)]
pub struct SoftKey {
    pub key: Arc<EcdsaKeyPair>,
    pub id: Vec<u8>,
    pub user: Option<Vec<u8>>,
    pub counter: u32,
    pub flags: u8,
    pub party: String,
    pub origin: String,
    pub kind: Option<&'static str>,
    pub cross_origin: bool,
    pub top_origin: Option<&'static str>,
}

fn text(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl SoftKey {
    /// A fresh one.
    pub fn new() -> SoftKey {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        SoftKey {
            id: digest(&SHA256, key.public_key().as_ref()).as_ref().to_vec(),
            key: Arc::new(key),
            user: None,
            counter: 0,
            flags: PRESENT | VERIFIED,
            party: "localhost".to_owned(),
            origin: "http://localhost".to_owned(),
            kind: None,
            cross_origin: false,
            top_origin: None,
        }
    }

    fn client_data(&self, kind: &'static str, challenge: &Value) -> Vec<u8> {
        let mut data = json!({
            "type": self.kind.unwrap_or(kind), "challenge": challenge, "origin": self.origin, "crossOrigin": self.cross_origin,
        });
        if let Some(top) = self.top_origin {
            data["topOrigin"] = json!(top);
        }
        data.to_string().into_bytes()
    }

    fn head(&self, flags: u8) -> Vec<u8> {
        let mut data = digest(&SHA256, self.party.as_bytes()).as_ref().to_vec();
        data.push(flags);
        data.extend(self.counter.to_be_bytes());
        data
    }

    /// The answer to a registration.
    pub fn register(&mut self, options: &Value) -> Value {
        let options = &options["publicKey"];
        self.user = Some(URL_SAFE_NO_PAD.decode(options["user"]["id"].as_str().unwrap()).unwrap());
        let mut data = self.head(self.flags | HOLDS_KEY);
        data.extend([0; 16]);
        data.extend(u16::try_from(self.id.len()).unwrap().to_be_bytes());
        data.extend(&self.id);
        // The key in COSE (RFC 9053 section 7.1): EC2, ES256, P-256, x, y.
        let point = self.key.public_key().as_ref();
        data.extend([0xA5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20]);
        data.extend(&point[1..33]);
        data.extend([0x22, 0x58, 0x20]);
        data.extend(&point[33..]);
        // {"fmt": "none", "attStmt": {}, "authData": ..} in CBOR.
        let mut object = b"\xA3\x63fmt\x64none\x67attStmt\xA0\x68authData\x58".to_vec();
        object.push(u8::try_from(data.len()).unwrap());
        object.extend(&data);
        json!({
            "id": text(&self.id), "rawId": text(&self.id), "type": "public-key",
            "response": {
                "attestationObject": text(&object),
                "clientDataJSON": text(&self.client_data("webauthn.create", &options["challenge"])),
            },
        })
    }

    /// The answer to a login.
    pub fn answer(&mut self, options: &Value) -> Value {
        let client_data = self.client_data("webauthn.get", &options["publicKey"]["challenge"]);
        let data = self.head(self.flags);
        let signed = [data.as_slice(), digest(&SHA256, &client_data).as_ref()].concat();
        let signature = self.key.sign(&SystemRandom::new(), &signed).unwrap();
        json!({
            "id": text(&self.id), "rawId": text(&self.id), "type": "public-key",
            "response": {
                "authenticatorData": text(&data), "clientDataJSON": text(&client_data),
                "signature": text(signature.as_ref()), "userHandle": self.user.as_deref().map(text),
            },
        })
    }
}

/// Registers a fresh passkey for whoever `owner` is, who logged in a moment ago. Also the recovery codes that came with it.
pub async fn registered(owner: &Actor, name: &str) -> (SoftKey, Vec<String>) {
    let mut key = SoftKey::new();
    let answer = register(owner, &mut key, name).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
    let codes = answer.json()["recovery_codes"].as_array().unwrap().clone();
    (key, codes.iter().map(|code| code.as_str().unwrap().to_owned()).collect())
}

/// Tries to register this passkey.
pub async fn register(owner: &Actor, key: &mut SoftKey, name: &str) -> Answer {
    let asked = owner.post("/api/v1/me/passkeys/options", json!({})).await;
    assert_eq!(asked.status, StatusCode::OK, "{}", asked.text());
    let asked = asked.json();
    let answer = key.register(&asked["options"]);
    owner.post("/api/v1/me/passkeys", json!({"step": asked["step"], "name": name, "answer": answer})).await
}

/// What a browser asks for, and what it sends back for it.
pub async fn asked(browser: &Actor, second: bool) -> Value {
    let asked = browser.post("/api/v1/login/passkey/options", json!({"second": second})).await;
    assert_eq!(asked.status, StatusCode::OK, "{}", asked.text());
    asked.json()
}

/// Logs in by this passkey.
pub async fn log_in(browser: &Actor, key: &mut SoftKey, second: bool) -> Answer {
    let asked = asked(browser, second).await;
    let answer = key.answer(&asked["options"]);
    browser.post("/api/v1/login/passkey", json!({"step": asked["step"], "answer": answer, "second": second})).await
}
