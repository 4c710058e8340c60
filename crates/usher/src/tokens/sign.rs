//! Signing: claims to compact text (RFC 7515 section 3.1).

use super::keys::{Pair, SigningKey};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use usher_verify::{Claims, MAX_TOKEN, TokenType};

/// No token could be made. Internal: nobody's request is at fault unless it filled the claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SigningFailed {
    /// The cryptographic library gave no signature.
    #[error("a token could not be signed")]
    NoSignature,
    /// Longer than any verifier will read; too many groups, most likely.
    #[error("the token would be longer than {MAX_TOKEN} bytes")]
    TooLong,
}

impl SigningKey {
    /// The token that says these claims and is of this kind.
    ///
    /// Costs one signature: never inside a write, and RS256 not on a runtime thread.
    pub fn sign(&self, claims: &Claims, kind: TokenType) -> Result<String, SigningFailed> {
        let payload = serde_json::to_vec(claims).map_err(|_| SigningFailed::NoSignature)?;
        let mut token = String::new();
        URL_SAFE_NO_PAD.encode_string(self.header(kind), &mut token);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(&payload, &mut token);
        let signature = self.signature(token.as_bytes()).ok_or(SigningFailed::NoSignature)?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        if token.len() > MAX_TOKEN { Err(SigningFailed::TooLong) } else { Ok(token) }
    }

    /// Names of algorithms, kinds and keys are all plain: none needs an escape.
    fn header(&self, kind: TokenType) -> String {
        format!(r#"{{"typ":"{}","alg":"{}","kid":"{}"}}"#, kind.name(), self.algorithm().name(), self.kid())
    }

    fn signature(&self, message: &[u8]) -> Option<Vec<u8>> {
        match &self.pair {
            Pair::Es256(pair) => pair.sign(&SystemRandom::new(), message).ok().map(|s| s.as_ref().to_vec()),
            Pair::Ed25519(pair) => pair.try_sign(message).ok().map(|s| s.as_ref().to_vec()),
            Pair::Rs256(pair) => {
                let mut out = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut out).ok().map(|()| out)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Rng;
    use crate::tokens::KeyFailure;
    use usher_verify::{Algorithm, KeySet, Refusal, Verifier};

    const NOW: i64 = 1_800_000_000;

    fn claims() -> Claims {
        Claims {
            iss: "https://usher.example".into(),
            sub: "account".into(),
            aud: vec!["https://usher.example".into()],
            exp: NOW + 600,
            iat: NOW,
            jti: "jti".into(),
            client_id: "usher".into(),
            sid: Some("session".into()),
            auth_time: None,
            acr: None,
            amr: Vec::new(),
            scope: String::new(),
            roles: vec!["admin".into()],
            groups: vec!["a \"quoted\" group\n".into()],
            ver: 1,
        }
    }

    fn verifier(key: &SigningKey) -> Verifier {
        let keys = KeySet::new([key.public().clone()]).unwrap_or_default();
        Verifier::new(keys, "https://usher.example", "https://usher.example")
    }

    #[test]
    fn what_we_sign_the_one_verifier_admits_as_that_kind_only() -> Result<(), KeyFailure> {
        for algorithm in [Algorithm::Es256, Algorithm::Ed25519, Algorithm::Rs256] {
            let key = SigningKey::generate(algorithm, &Rng::os())?;
            for kind in [TokenType::Access, TokenType::Media, TokenType::Code] {
                let token = key.sign(&claims(), kind).unwrap_or_default();
                assert_eq!(verifier(&key).verify(&token, kind, NOW), Ok(claims()), "{algorithm:?} {kind:?}");
                let other = if kind == TokenType::Access { TokenType::Media } else { TokenType::Access };
                assert_eq!(verifier(&key).verify(&token, other, NOW), Err(Refusal::WrongType));
            }
        }
        Ok(())
    }

    #[test]
    fn another_implementation_reads_what_we_sign() -> Result<(), Box<dyn std::error::Error>> {
        let names = [
            (Algorithm::Es256, jsonwebtoken::Algorithm::ES256),
            (Algorithm::Ed25519, jsonwebtoken::Algorithm::EdDSA),
            (Algorithm::Rs256, jsonwebtoken::Algorithm::RS256),
        ];
        for (algorithm, theirs) in names {
            let key = SigningKey::generate(algorithm, &Rng::os())?;
            let token = key.sign(&claims(), TokenType::Access)?;
            let set: jsonwebtoken::jwk::JwkSet = serde_json::from_str(&verifier(&key).keys.to_jwks())?;
            let found = set.find(key.kid()).ok_or("the key is not in its own set")?;
            let mut rules = jsonwebtoken::Validation::new(theirs);
            rules.set_audience(&["https://usher.example"]);
            rules.validate_exp = false;
            let read = jsonwebtoken::decode::<Claims>(&token, &jsonwebtoken::DecodingKey::from_jwk(found)?, &rules)?;
            assert_eq!(read.claims, claims());
        }
        Ok(())
    }

    #[test]
    fn a_token_that_nobody_would_read_is_not_issued() -> Result<(), KeyFailure> {
        let key = SigningKey::generate(Algorithm::Ed25519, &Rng::os())?;
        let mut claims = claims();
        claims.groups = (0..1000).map(|n| format!("group-{n}")).collect();
        assert_eq!(key.sign(&claims, TokenType::Access), Err(SigningFailed::TooLong));
        Ok(())
    }
}
