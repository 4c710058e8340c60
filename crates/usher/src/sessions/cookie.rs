//! The session cookie: what a browser holds.
//!
//! Its value is the base64url of `key id (1) | session id (16) | secret (32) | MAC (32)`. The MAC lets a
//! forgery be refused without a look-up; the secret, of which the row keeps a digest, is what proves the
//! session, and it is renewed at every login and step-up.

use crate::id::SessionId;
use crate::tokens::macs::MacRing;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

const LENGTH: usize = 1 + 16 + 32 + 32;

/// What a well-formed cookie claims. It proves nothing until its secret matches the live session's digest.
pub struct Presented {
    /// Which session.
    pub session: SessionId,
    /// Its secret.
    pub secret: zeroize::Zeroizing<[u8; 32]>,
}

/// The cookie's value for a session and its secret.
pub fn mint(keys: &MacRing, session: SessionId, secret: &[u8; 32]) -> String {
    let (kid, mac) = keys.tag(&[b"usher-cookie-v1", &session.bytes(), secret]);
    let mut bytes = zeroize::Zeroizing::new([0; LENGTH]);
    bytes[0] = kid;
    bytes[1..17].copy_from_slice(&session.bytes());
    bytes[17..49].copy_from_slice(secret);
    bytes[49..].copy_from_slice(&mac);
    URL_SAFE_NO_PAD.encode(*bytes)
}

/// Reads a cookie that we minted; `None` for anything else.
pub fn read(keys: &MacRing, value: &str) -> Option<Presented> {
    let mut bytes = zeroize::Zeroizing::new([0; LENGTH]);
    match URL_SAFE_NO_PAD.decode_slice(value, &mut bytes[..]) {
        Ok(LENGTH) => {}
        _ => return None,
    }
    let session = SessionId::from_bytes(bytes[1..17].try_into().ok()?);
    let secret = zeroize::Zeroizing::new(<[u8; 32]>::try_from(&bytes[17..49]).ok()?);
    keys.verify(bytes[0], &[b"usher-cookie-v1", &session.bytes(), &*secret], &bytes[49..])
        .then_some(Presented { session, secret })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Rng;
    use crate::time::Time;

    #[test]
    fn a_cookie_reads_back_and_no_flipped_bit_does() {
        let keys = MacRing::of([7; 32]);
        let id = SessionId::new(Time(1), &Rng::seeded(1));
        let value = mint(&keys, id, &[9; 32]);
        let back = read(&keys, &value);
        assert!(back.is_some_and(|cookie| cookie.session == id && *cookie.secret == [9; 32]));
        let bytes = URL_SAFE_NO_PAD.decode(&value).unwrap_or_default();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(read(&keys, &URL_SAFE_NO_PAD.encode(&flipped)).is_none(), "bit {bit} was accepted");
        }
    }

    #[test]
    fn a_cookie_of_another_installation_is_not_read() {
        let id = SessionId::new(Time(1), &Rng::seeded(1));
        let value = mint(&MacRing::of([7; 32]), id, &[9; 32]);
        assert!(read(&MacRing::of([8; 32]), &value).is_none());
    }
}
