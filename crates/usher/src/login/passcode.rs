//! What is typed where a passcode is asked for: the digits of an authenticator app, or a recovery code from paper.

use super::base32::READABLE;
use crate::id::AccountId;
use crate::secret::{Digest, Rng};
use zeroize::Zeroizing;

/// How many recovery codes there are at once.
pub const CODES: usize = 10;
/// Random bytes of one: 120 bits. Beyond the 112 from which a plain digest keeps it (NIST SP 800-63B-4 section 3.1.2.2).
const BYTES: usize = 15;
/// Characters of one.
const LENGTH: usize = 24;
/// Characters of a group as it is printed.
const GROUP: usize = 4;

/// A passcode, by its form.
#[derive(PartialEq, Eq)]
pub enum Passcode {
    /// Digits of an app.
    Digits(Zeroizing<String>),
    /// A recovery code.
    Recovery(RecoveryCode),
}

impl Passcode {
    /// Reads what a person typed: spaces and hyphens mean nothing, nor does the case of letters.
    pub fn parse(text: &str) -> Option<Passcode> {
        if text.len() > 100 {
            return None;
        }
        let plain: Zeroizing<String> =
            Zeroizing::new(text.chars().filter(|c| !matches!(c, ' ' | '-' | '\u{a0}' | '\u{2011}')).collect());
        if [6, 8].contains(&plain.len()) && plain.bytes().all(|c| c.is_ascii_digit()) {
            return Some(Passcode::Digits(plain));
        }
        RecoveryCode::read(&plain).map(Passcode::Recovery)
    }
}

/// Neither is printed.
impl std::fmt::Debug for Passcode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// A code from paper, good once in place of the authenticator app.
#[derive(Clone, PartialEq, Eq)]
pub struct RecoveryCode(Zeroizing<[u8; BYTES]>);

impl RecoveryCode {
    /// A new one.
    pub fn draw(rng: &Rng) -> RecoveryCode {
        RecoveryCode(Zeroizing::new(rng.bytes()))
    }

    fn read(plain: &str) -> Option<RecoveryCode> {
        if plain.len() != LENGTH || !plain.is_ascii() {
            return None;
        }
        // Letters that READABLE leaves out are read as what they look like.
        let upper: Zeroizing<String> = Zeroizing::new(
            plain
                .chars()
                .map(|c| match c.to_ascii_uppercase() {
                    'O' => '0',
                    'I' | 'L' => '1',
                    other => other,
                })
                .collect(),
        );
        let bytes = Zeroizing::new(READABLE.decode(&upper)?);
        let bytes = <[u8; BYTES]>::try_from(bytes.as_slice()).ok()?;
        Some(RecoveryCode(Zeroizing::new(bytes)))
    }

    /// As it is printed: six groups of four.
    pub fn expose(&self) -> Zeroizing<String> {
        let text = Zeroizing::new(READABLE.encode(&*self.0));
        let groups: Vec<&str> = (0..LENGTH / GROUP).filter_map(|at| text.get(at * GROUP..(at + 1) * GROUP)).collect();
        Zeroizing::new(groups.join("-"))
    }

    /// What we keep: bound to its account, so that no row is good for another's code.
    pub fn digest(&self, account: AccountId) -> Digest {
        Digest::of(&[b"usher-recovery-v1".as_slice(), &account.bytes(), &*self.0].concat())
    }
}

impl std::fmt::Debug for RecoveryCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RecoveryCode(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn digits(text: &str) -> Option<String> {
        match Passcode::parse(text) {
            Some(Passcode::Digits(digits)) => Some(digits.to_string()),
            _ => None,
        }
    }

    #[test]
    fn digits_are_read_however_they_are_grouped() {
        for text in ["123456", "123 456", " 123-456 ", "1 2 3 4 5 6"] {
            assert_eq!(digits(text).as_deref(), Some("123456"), "{text}");
        }
        assert_eq!(digits("0123 4567").as_deref(), Some("01234567"));
        for text in ["", "12345", "1234567", "123456789", "12345a", "１２３４５６", "123456\n", "+12345"] {
            assert_eq!(Passcode::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_recovery_code_is_read_as_people_write_it() {
        let code = RecoveryCode(Zeroizing::new([0; BYTES]));
        assert_eq!(code.expose().as_str(), "0000-0000-0000-0000-0000-0000");
        for text in ["oooo-OOOO-0000-0000-0000-0000", "000000000000000000000000", "0000 0000 0000 0000 0000 0000"] {
            assert_eq!(Passcode::parse(text), Some(Passcode::Recovery(code.clone())), "{text}");
        }
        assert_eq!(Passcode::parse("0000-0000-0000-0000-0000-000"), None);
        assert_eq!(Passcode::parse("UUUU-0000-0000-0000-0000-0000"), None, "no letter of ours");
    }

    #[test]
    fn a_code_s_digest_is_its_account_s() {
        let code = RecoveryCode(Zeroizing::new([1; BYTES]));
        let (one, other) = (AccountId::from_bytes([1; 16]), AccountId::from_bytes([2; 16]));
        assert_ne!(code.digest(one), code.digest(other));
        assert!(!format!("{code:?}{:?}", Passcode::parse("123456")).contains('1'));
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read(bytes in any::<[u8; BYTES]>()) {
            let code = RecoveryCode(Zeroizing::new(bytes));
            prop_assert_eq!(Passcode::parse(&code.expose()), Some(Passcode::Recovery(code.clone())));
            prop_assert_eq!(Passcode::parse(&code.expose().to_lowercase()), Some(Passcode::Recovery(code)));
        }

        #[test]
        fn any_text_is_read_without_panic(text in ".{0,120}") {
            let _ = Passcode::parse(&text);
        }
    }
}
