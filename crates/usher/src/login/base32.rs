//! Five bits a character: the secrets of authenticator apps, and codes that people type.

/// An alphabet of 32 characters.
#[derive(Clone, Copy)]
pub struct Alphabet(&'static [u8; 32]);

/// RFC 4648 section 6, as otpauth addresses have it.
pub const STANDARD: Alphabet = Alphabet(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567");
/// Without letters that are taken for others or for digits; for codes that are read from paper.
pub const READABLE: Alphabet = Alphabet(b"0123456789ABCDEFGHJKMNPQRSTVWXYZ");

impl Alphabet {
    /// The bytes as text, without padding.
    pub fn encode(self, bytes: &[u8]) -> String {
        let (mut out, mut held, mut bits) = (String::with_capacity(bytes.len() * 8 / 5 + 1), 0_u32, 0);
        for byte in bytes {
            held = held << 8 | u32::from(*byte);
            bits += 8;
            while bits >= 5 {
                bits -= 5;
                out.push(self.character(held >> bits));
            }
        }
        if bits > 0 {
            out.push(self.character(held << (5 - bits)));
        }
        out
    }

    fn character(self, value: u32) -> char {
        char::from(self.0[(value & 31) as usize])
    }

    /// The bytes of a text in capitals and without padding. Bits beyond the last whole byte must be zero, so that no
    /// two texts are one secret.
    pub fn decode(self, text: &str) -> Option<Vec<u8>> {
        let (mut out, mut held, mut bits) = (Vec::with_capacity(text.len() * 5 / 8), 0_u32, 0);
        for c in text.bytes() {
            let value = self.0.iter().position(|known| *known == c)?;
            held = (held << 5 | u32::try_from(value).ok()?) & 0xFFFF;
            bits += 5;
            if bits >= 8 {
                bits -= 8;
                out.push(u8::try_from(held >> bits & 0xFF).ok()?);
            }
        }
        let rest = held & ((1 << bits) - 1);
        (bits < 5 && rest == 0).then_some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vectors_of_rfc_4648() {
        for (plain, text) in
            [("", ""), ("f", "MY"), ("fo", "MZXQ"), ("foo", "MZXW6"), ("foob", "MZXW6YQ"), ("foobar", "MZXW6YTBOI")]
        {
            assert_eq!(STANDARD.encode(plain.as_bytes()), text);
            assert_eq!(STANDARD.decode(text).as_deref(), Some(plain.as_bytes()));
        }
        for wrong in ["M", "MZ1", "my", "MZ=", "MZ", "MZXW6Y"] {
            assert_eq!(STANDARD.decode(wrong), None, "{wrong}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read(bytes in proptest::collection::vec(0_u8.., 0..64)) {
            for alphabet in [STANDARD, READABLE] {
                proptest::prop_assert_eq!(alphabet.decode(&alphabet.encode(&bytes)), Some(bytes.clone()));
            }
        }

        #[test]
        fn a_text_that_is_read_is_the_only_one_for_its_bytes(text in "[A-Z2-7]{0,40}") {
            if let Some(bytes) = STANDARD.decode(&text) {
                proptest::prop_assert_eq!(STANDARD.encode(&bytes), text);
            }
        }
    }
}
