//! The order of the checks: cheap before costly, and nothing said by a token is believed before its
//! signature was found good.

use crate::algorithm::{Algorithm, TokenType};
use crate::claims::Claims;
use crate::compact::Compact;
use crate::keys::{KeySet, MAX_KID};

/// How far in the future a token may say it was issued, in seconds: clocks of two machines differ.
pub const MAX_CLOCK_SKEW: i64 = 60;

/// Why a token is refused. For logs and for choosing the answer; never more than `invalid_token` to
/// whoever sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// Not a token in compact form, too long, a critical extension, or claims that are not as they must be.
    #[error("not a well-formed token")]
    Malformed,
    /// No key of this id.
    #[error("signed with an unknown key")]
    UnknownKey,
    /// Another algorithm than the key's.
    #[error("not the algorithm of its key")]
    WrongAlgorithm,
    /// The signature is not the key's.
    #[error("the signature does not match")]
    BadSignature,
    /// A token of another kind.
    #[error("a token of another kind")]
    WrongType,
    /// From another issuer.
    #[error("a token of another issuer")]
    WrongIssuer,
    /// For somebody else.
    #[error("a token for another audience")]
    WrongAudience,
    /// Its life is over.
    #[error("the token has expired")]
    Expired,
    /// Issued further in the future than clocks may differ.
    #[error("the token is not valid yet")]
    NotYet,
}

/// Verifies tokens of one issuer for one audience with one set of keys.
#[derive(Debug, Clone)]
pub struct Verifier {
    /// The issuer's public keys.
    pub keys: KeySet,
    /// The issuer that tokens must name, byte for byte.
    pub issuer: String,
    /// The audience that must be among those of the token, byte for byte.
    pub audience: String,
}

impl Verifier {
    /// A verifier for tokens of `issuer` meant for `audience`.
    pub fn new(keys: KeySet, issuer: impl Into<String>, audience: impl Into<String>) -> Verifier {
        Verifier { keys, issuer: issuer.into(), audience: audience.into() }
    }

    /// The claims of a good token, or why it is refused.
    ///
    /// `now_seconds` is in seconds since the Unix epoch. There is no leeway on `exp`: from that second
    /// on the token is dead, so that everybody agrees on when. `iat` may lie [`MAX_CLOCK_SKEW`] ahead.
    pub fn verify(&self, token: &str, expected: TokenType, now_seconds: i64) -> Result<Claims, Refusal> {
        self.verify_for(token, expected, &[&self.audience], now_seconds)
    }

    /// As [`verify`](Verifier::verify), for whoever answers for several audiences: the token must be for one of these.
    pub fn verify_for(
        &self,
        token: &str,
        expected: TokenType,
        audiences: &[&str],
        now_seconds: i64,
    ) -> Result<Claims, Refusal> {
        let token = Compact::parse(token).ok_or(Refusal::Malformed)?;
        let header = &token.header;
        let algorithm = Algorithm::from_name(&header.alg).ok_or(Refusal::WrongAlgorithm)?;
        let kid = header.kid.as_deref().filter(|kid| kid.len() <= MAX_KID).ok_or(Refusal::UnknownKey)?;
        let key = self.keys.find(kid).ok_or(Refusal::UnknownKey)?;
        // The key decides the algorithm; the token may only agree (RFC 8725 section 3.1).
        if key.algorithm() != algorithm {
            return Err(Refusal::WrongAlgorithm);
        }
        if header.typ.as_deref() != Some(expected.name()) {
            return Err(Refusal::WrongType);
        }
        let signature = token.signature().ok_or(Refusal::Malformed)?;
        if !key.signed(token.signed, &signature) {
            return Err(Refusal::BadSignature);
        }
        let claims = token.payload().and_then(|json| Claims::parse(&json)).ok_or(Refusal::Malformed)?;
        if claims.iss != self.issuer {
            return Err(Refusal::WrongIssuer);
        }
        if !claims.aud.iter().any(|audience| audiences.contains(&audience.as_str())) {
            return Err(Refusal::WrongAudience);
        }
        in_time(&claims, now_seconds)?;
        Ok(claims)
    }
}

/// The checks that a token which was good once must pass again.
pub(crate) fn in_time(claims: &Claims, now_seconds: i64) -> Result<(), Refusal> {
    if now_seconds >= claims.exp {
        return Err(Refusal::Expired);
    }
    if claims.iat > now_seconds.saturating_add(MAX_CLOCK_SKEW) {
        return Err(Refusal::NotYet);
    }
    Ok(())
}
