//! Public keys, and sets of them as JSON (RFC 7517).

use crate::algorithm::Algorithm;
use crate::claims::is_plain_object;
use crate::compact::{decode, encode};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// The longest key id, in bytes. It is a name to look up and nothing more.
pub const MAX_KID: usize = 128;
/// The longest key set that is read, in bytes.
const MAX_JWKS: usize = 256 * 1024;
/// The most keys in one set.
const MAX_KEYS: usize = 256;

/// Why a key set or a key cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadKeySet {
    /// Not a JSON Web Key Set, or beyond its size limits.
    #[error("not a JSON Web Key Set")]
    Malformed,
    /// A key carries a private or symmetric member. Whoever published it must replace it.
    #[error("the key set contains private key material")]
    PrivateKey,
    /// Two keys of the same id.
    #[error("two keys of the set have the same id")]
    SameKid,
    /// A key of a known kind is not a valid key: not on its curve, too short, wrong length.
    #[error("a key of the set is not valid")]
    InvalidKey,
}

/// One public key with its id and its one algorithm, parsed once.
pub struct PublicKey {
    kid: String,
    algorithm: Algorithm,
    parsed: ParsedPublicKey,
    jwk: Jwk,
}

impl PublicKey {
    /// A P-256 key from its uncompressed point: `04 || x || y`, 65 bytes.
    pub fn es256(kid: &str, point: &[u8]) -> Result<PublicKey, BadKeySet> {
        let (Some(4), Some(x), Some(y), 65) = (point.first(), point.get(1..33), point.get(33..), point.len()) else {
            return Err(BadKeySet::InvalidKey);
        };
        let parsed = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).map_err(|_| BadKeySet::InvalidKey)?;
        let jwk = Jwk { crv: Some("P-256".into()), x: Some(encode(x)), y: Some(encode(y)), ..Jwk::new("EC") };
        PublicKey::build(kid, Algorithm::Es256, parsed, jwk)
    }

    /// An Ed25519 key from its 32 bytes.
    pub fn ed25519(kid: &str, key: &[u8]) -> Result<PublicKey, BadKeySet> {
        if key.len() != 32 {
            return Err(BadKeySet::InvalidKey);
        }
        let parsed = ParsedPublicKey::new(&ED25519, key).map_err(|_| BadKeySet::InvalidKey)?;
        let jwk = Jwk { crv: Some("Ed25519".into()), x: Some(encode(key)), ..Jwk::new("OKP") };
        PublicKey::build(kid, Algorithm::Ed25519, parsed, jwk)
    }

    /// An RSA key of 2048 to 8192 bits from modulus and exponent, big-endian without leading zeros.
    pub fn rs256(kid: &str, modulus: &[u8], exponent: &[u8]) -> Result<PublicKey, BadKeySet> {
        let bits = match modulus.first() {
            None | Some(0) => 0,
            Some(first) => modulus.len() * 8 - first.leading_zeros() as usize,
        };
        if !(2048..=8192).contains(&bits) || exponent.len() > 8 {
            return Err(BadKeySet::InvalidKey);
        }
        let parsed = RsaPublicKeyComponents { n: modulus, e: exponent }
            .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)
            .map_err(|_| BadKeySet::InvalidKey)?;
        let jwk = Jwk { n: Some(encode(modulus)), e: Some(encode(exponent)), ..Jwk::new("RSA") };
        PublicKey::build(kid, Algorithm::Rs256, parsed, jwk)
    }

    fn build(kid: &str, algorithm: Algorithm, parsed: ParsedPublicKey, jwk: Jwk) -> Result<PublicKey, BadKeySet> {
        if kid.is_empty() || kid.len() > MAX_KID {
            return Err(BadKeySet::InvalidKey);
        }
        let kid = kid.to_owned();
        let jwk = Jwk { kid: Some(kid.clone()), alg: Some(algorithm.name().into()), usage: Some("sig".into()), ..jwk };
        Ok(PublicKey { kid, algorithm, parsed, jwk })
    }

    /// The key's id.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The one algorithm that this key is used with.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether `signature` is this key's, over exactly these bytes.
    pub(crate) fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        self.parsed.verify_sig(message, signature).is_ok()
    }

    /// The key in a JWK; `None` for a kind of key that we have no use for, which RFC 7517 section 5 has
    /// readers ignore, so that an issuer may add kinds that only others know.
    fn from_jwk(jwk: &Jwk) -> Result<Option<PublicKey>, BadKeySet> {
        let Some(kid) = jwk.kid.as_deref() else { return Ok(None) };
        if jwk.usage.as_deref().is_some_and(|usage| usage != "sig") {
            return Ok(None);
        }
        let algorithm = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("EC", Some("P-256")) => Algorithm::Es256,
            ("OKP", Some("Ed25519")) => Algorithm::Ed25519,
            ("RSA", _) => Algorithm::Rs256,
            _ => return Ok(None),
        };
        if jwk.alg.as_deref().is_some_and(|name| Algorithm::from_name(name) != Some(algorithm)) {
            return Ok(None);
        }
        let bytes = |member: &Option<String>| member.as_deref().and_then(decode).ok_or(BadKeySet::InvalidKey);
        match algorithm {
            Algorithm::Es256 => {
                let (x, y) = (bytes(&jwk.x)?, bytes(&jwk.y)?);
                // Each coordinate has its full length (RFC 7518 section 6.2.1.2), or x and y could be
                // cut elsewhere for the same 65 bytes.
                if x.len() != 32 {
                    return Err(BadKeySet::InvalidKey);
                }
                PublicKey::es256(kid, &[&[4], x.as_slice(), y.as_slice()].concat())
            }
            Algorithm::Ed25519 => PublicKey::ed25519(kid, &bytes(&jwk.x)?),
            Algorithm::Rs256 => PublicKey::rs256(kid, &bytes(&jwk.n)?, &bytes(&jwk.e)?),
        }
        .map(Some)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({} {})", self.kid, self.algorithm.name())
    }
}

/// A set of public keys: parsed once, cheap to clone, found by id only.
#[derive(Debug, Clone, Default)]
pub struct KeySet {
    keys: Arc<[Arc<PublicKey>]>,
}

impl KeySet {
    /// The set of these keys. Refused when two have the same id.
    pub fn new(keys: impl IntoIterator<Item = Arc<PublicKey>>) -> Result<KeySet, BadKeySet> {
        let keys: Arc<[Arc<PublicKey>]> = keys.into_iter().collect();
        if keys.len() > MAX_KEYS {
            return Err(BadKeySet::Malformed);
        }
        let same = |(at, key): (usize, &Arc<PublicKey>)| keys[..at].iter().any(|other| other.kid == key.kid);
        if keys.iter().enumerate().any(same) {
            return Err(BadKeySet::SameKid);
        }
        Ok(KeySet { keys })
    }

    /// Reads a JSON Web Key Set, as served at `/oauth/jwks`.
    ///
    /// Keys without id and kinds that Usher never signs with are passed over. A private or symmetric
    /// member anywhere refuses the whole set: whoever published that key has lost it.
    pub fn from_jwks(json: &str) -> Result<KeySet, BadKeySet> {
        if json.len() > MAX_JWKS || !is_plain_object(json.as_bytes()) {
            return Err(BadKeySet::Malformed);
        }
        let set: Jwks = serde_json::from_str(json).map_err(|_| BadKeySet::Malformed)?;
        if set.keys.iter().any(Jwk::is_private) {
            return Err(BadKeySet::PrivateKey);
        }
        let keys = set.keys.iter().filter_map(|jwk| PublicKey::from_jwk(jwk).transpose());
        KeySet::new(keys.map(|key| key.map(Arc::new)).collect::<Result<Vec<_>, _>>()?)
    }

    /// The set as a JSON Web Key Set: public members only.
    pub fn to_jwks(&self) -> String {
        let keys: Vec<_> = self.keys.iter().map(|key| &key.jwk).collect();
        serde_json::json!({ "keys": keys }).to_string()
    }

    /// The key of this id. Any text may be asked for; it is compared and never interpreted.
    pub fn find(&self, kid: &str) -> Option<&PublicKey> {
        self.keys.iter().find(|key| key.kid == kid).map(AsRef::as_ref)
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether no token can be verified with this set.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

#[derive(Deserialize)]
struct Jwks {
    keys: Vec<Jwk>,
}

/// The JWK members that are read and written. The private ones are read only to be refused.
#[derive(Default, Serialize, Deserialize)]
struct Jwk {
    kty: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alg: Option<String>,
    #[serde(rename = "use", skip_serializing_if = "Option::is_none")]
    usage: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    crv: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    x: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    y: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    e: Option<String>,
    #[serde(flatten, skip_serializing)]
    others: std::collections::BTreeMap<String, serde_json::Value>,
}

impl Jwk {
    fn new(kty: &str) -> Jwk {
        Jwk { kty: kty.into(), ..Jwk::default() }
    }

    /// RFC 7518 sections 6.2.2, 6.3.2 and 6.4, and `priv` of RFC 9964.
    fn is_private(&self) -> bool {
        ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"].iter().any(|name| self.others.contains_key(*name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The public key of RFC 8037 appendix A.2.
    const ED: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    /// The public key of RFC 7515 appendix A.3.
    const X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
    const Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";

    fn set(jwk: &str) -> Result<KeySet, BadKeySet> {
        KeySet::from_jwks(&format!(r#"{{"keys":[{jwk}]}}"#))
    }

    fn ec(x: &str, y: &str) -> String {
        format!(r#"{{"kty":"EC","crv":"P-256","kid":"a","x":"{x}","y":"{y}"}}"#)
    }

    fn admits(jwk: &str, token: &str) -> bool {
        let keys = set(jwk).unwrap_or_default();
        token.rsplit_once('.').is_some_and(|(signed, signature)| {
            let signature = decode(signature).unwrap_or_default();
            keys.find("a").is_some_and(|key| key.signed(signed.as_bytes(), &signature))
        })
    }

    #[test]
    fn the_vector_of_rfc_8037_a_4_verifies() {
        let jwk = format!(r#"{{"kty":"OKP","crv":"Ed25519","kid":"a","x":"{ED}"}}"#);
        let token = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3A\
                     IbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
        assert!(admits(&jwk, token));
        assert!(!admits(&jwk, &token.replace("RXhh", "RXhi")));
    }

    #[test]
    fn the_vector_of_rfc_7515_a_3_verifies() {
        let token = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9\
                     pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3\
                     -Kg6NU1Q";
        assert!(admits(&ec(X, Y), token));
        assert!(!admits(&ec(X, Y), &token.replace("eyJp", "eyJq")));
    }

    #[test]
    fn a_set_survives_its_own_text() {
        let keys = set(&ec(X, Y)).unwrap_or_default();
        let text = keys.to_jwks();
        assert_eq!(keys.len(), 1);
        assert_eq!(KeySet::from_jwks(&text).map(|same| same.to_jwks()), Ok(text.clone()));
        for member in [r#""use":"sig""#, r#""alg":"ES256""#, r#""kid":"a""#, X, Y] {
            assert!(text.contains(member), "{member} in {text}");
        }
        for private in ["\"d\"", "\"p\"", "\"q\"", "\"k\"", "null"] {
            assert!(!text.contains(private), "{private} in {text}");
        }
    }

    #[test]
    fn a_private_member_refuses_the_whole_set() {
        for member in ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"] {
            let jwk = ec(X, Y).replace("\"kid\"", &format!("\"{member}\":\"AQ\",\"kid\""));
            assert_eq!(set(&jwk).err(), Some(BadKeySet::PrivateKey), "{member}");
        }
        assert_eq!(set(r#"{"kty":"oct","kid":"x","k":"AQAB"}"#).err(), Some(BadKeySet::PrivateKey));
    }

    #[test]
    fn keys_that_we_have_no_use_for_are_passed_over() {
        for jwk in [
            r#"{"kty":"EC","crv":"P-384","kid":"a","x":"AQ","y":"AQ"}"#,
            r#"{"kty":"OKP","crv":"X25519","kid":"a","x":"AQ"}"#,
            r#"{"kty":"RSA","alg":"PS256","kid":"a","n":"AQ","e":"AQAB"}"#,
            r#"{"kty":"AKP","alg":"ML-DSA-44","kid":"a","pub":"AQ"}"#,
            &ec(X, Y).replace("\"kid\":\"a\"", "\"use\":\"enc\",\"kid\":\"a\""),
            &ec(X, Y).replace("\"kid\":\"a\",", ""),
            &ec(X, Y).replace("\"kid\":\"a\"", "\"alg\":\"EdDSA\",\"kid\":\"a\""),
        ] {
            assert_eq!(set(jwk).map(|keys| keys.len()), Ok(0), "{jwk}");
        }
    }

    #[test]
    fn a_key_that_is_no_key_is_refused() {
        let small = encode(&[0xff; 128]);
        for jwk in [
            // Not a point of the curve; a coordinate too short; too long.
            ec(X, X),
            ec(X, &encode(&[1; 31])),
            ec(&encode(&[1; 33]), Y),
            ec(X, &format!("{Y}=")),
            r#"{"kty":"OKP","crv":"Ed25519","kid":"a","x":"AQ"}"#.into(),
            r#"{"kty":"OKP","crv":"Ed25519","kid":"a"}"#.into(),
            format!(r#"{{"kty":"RSA","kid":"a","n":"{small}","e":"AQAB"}}"#),
            ec(X, Y).replace("\"kid\":\"a\"", &format!("\"kid\":\"{}\"", "k".repeat(MAX_KID + 1))),
            ec(X, Y).replace("\"kid\":\"a\"", "\"kid\":\"\""),
        ] {
            assert_eq!(set(&jwk).err(), Some(BadKeySet::InvalidKey), "{jwk}");
        }
    }

    #[test]
    fn two_keys_of_one_id_are_refused() {
        assert_eq!(set(&format!("{},{}", ec(X, Y), ec(X, Y))).err(), Some(BadKeySet::SameKid));
    }

    #[test]
    fn what_is_no_key_set_is_refused() {
        for json in ["", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[],"keys":[]}"#, r#"{"keys":[7]}"#] {
            assert_eq!(KeySet::from_jwks(json).err(), Some(BadKeySet::Malformed), "{json}");
        }
        let giant = format!(r#"{{"keys":[],"x":"{}"}}"#, "x".repeat(MAX_JWKS));
        assert_eq!(KeySet::from_jwks(&giant).err(), Some(BadKeySet::Malformed));
    }
}
