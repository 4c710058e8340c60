//! One-time passcodes of authenticator apps (RFC 6238 over RFC 4226), and the addresses by which apps learn secrets.
//!
//! Promises: a code is good in its own 30 seconds and the 30 after them, by this server's clock alone; a step that
//! was accepted, and every step before it, is not accepted again; secrets have 160 random bits at least.
//! Refuses: to say which of the two steps failed, and to compare in other than constant time.
//!
//! What is here is arithmetic; `factors.rs` keeps the secrets and decides.

use super::base32::STANDARD;
use crate::secret::Rng;
use crate::time::Time;
use aws_lc_rs::hmac;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::str::FromStr;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Seconds for which a code is shown. Apps know no other number well.
pub const PERIOD: i64 = 30;
/// The shortest secret that is taken over from elsewhere, in bytes (RFC 4226 section 4, R6: 128 bits at least).
/// Older authenticator set-ups have 80 bits, and refusing those would shut their owners out; they are as long as ten
/// bytes, and our own have twenty.
const SHORTEST: usize = 10;
/// The longest, in bytes: one block of SHA-512, beyond which a key is hashed first.
const LONGEST: usize = 128;

/// The hash under the codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// HMAC-SHA-1, which every app knows. Its weakness, colliding texts, is none here.
    Sha1,
    /// HMAC-SHA-256.
    Sha256,
    /// HMAC-SHA-512.
    Sha512,
}

impl Algorithm {
    /// Every one, the usual first.
    pub const ALL: [Algorithm; 3] = [Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha512];

    /// The word in otpauth addresses, tables and answers.
    pub fn word(self) -> &'static str {
        match self {
            Algorithm::Sha1 => "SHA1",
            Algorithm::Sha256 => "SHA256",
            Algorithm::Sha512 => "SHA512",
        }
    }

    fn hmac(self) -> hmac::Algorithm {
        match self {
            Algorithm::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Algorithm::Sha256 => hmac::HMAC_SHA256,
            Algorithm::Sha512 => hmac::HMAC_SHA512,
        }
    }

    /// Bytes of a fresh secret: as long as the hash (RFC 6238 section 5.1).
    fn length(self) -> usize {
        match self {
            Algorithm::Sha1 => 20,
            Algorithm::Sha256 => 32,
            Algorithm::Sha512 => 64,
        }
    }
}

impl FromStr for Algorithm {
    type Err = ();
    fn from_str(word: &str) -> Result<Algorithm, ()> {
        Algorithm::ALL.into_iter().find(|one| one.word().eq_ignore_ascii_case(word)).ok_or(())
    }
}

/// How the codes of a secret look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// The hash.
    pub algorithm: Algorithm,
    /// 6 or 8.
    pub digits: u32,
}

impl Default for Shape {
    fn default() -> Shape {
        Shape { algorithm: Algorithm::Sha1, digits: 6 }
    }
}

impl Shape {
    /// The shape of these, when there is one.
    pub fn new(algorithm: Algorithm, digits: u32) -> Option<Shape> {
        [6, 8].contains(&digits).then_some(Shape { algorithm, digits })
    }

    /// A fresh secret for such codes: 160 bits or more (RFC 4226 section 4, R6).
    pub fn secret(self, rng: &Rng) -> Zeroizing<Vec<u8>> {
        let mut secret = Zeroizing::new(vec![0; self.algorithm.length()]);
        rng.fill(&mut secret);
        secret
    }

    /// The code of a step.
    fn code(self, secret: &[u8], step: i64) -> Zeroizing<String> {
        let tag = hmac::sign(&hmac::Key::new(self.algorithm.hmac(), secret), &step.to_be_bytes());
        let bytes = tag.as_ref();
        // RFC 4226 section 5.3: the last four bits say where the 31 bits of the number stand.
        let at = bytes.last().map_or(0, |last| usize::from(last & 15));
        let number = bytes[at..at + 4].iter().fold(0_u32, |number, byte| number << 8 | u32::from(*byte)) & 0x7FFF_FFFF;
        Zeroizing::new(format!("{:0width$}", number % 10_u32.pow(self.digits), width = self.digits as usize))
    }
}

/// The step that `now` lies in (RFC 6238 section 4.2).
pub fn step_at(now: Time) -> i64 {
    now.seconds().div_euclid(PERIOD)
}

/// The step whose code this is: the present one or the one before, and later than `last`, which was accepted already.
pub fn accepts(secret: &[u8], shape: Shape, code: &str, now: Time, last: i64) -> Option<i64> {
    let present = step_at(now);
    // Both are computed and compared, whatever the first says.
    [present, present - 1].into_iter().fold(None, |found, step| {
        let right = bool::from(shape.code(secret, step).as_bytes().ct_eq(code.as_bytes()));
        found.or((right && step > last).then_some(step))
    })
}

/// What stays as it is in an otpauth address (RFC 3986 section 2.3).
const PLAIN: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A secret as an app is told of it.
#[derive(PartialEq, Eq)]
pub struct Otpauth {
    /// Who asks for the codes.
    pub issuer: String,
    /// Whose they are.
    pub account: String,
    /// The secret.
    pub secret: Zeroizing<Vec<u8>>,
    /// How the codes look.
    pub shape: Shape,
}

/// The text is no otpauth address of a secret that can be used here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the address of a time-based passcode of 30 seconds, 6 or 8 digits and 80 bits or more")]
pub struct NotOtpauth;

impl Otpauth {
    /// The secret as people type it into an app that reads no picture: groups of four.
    pub fn secret_text(&self) -> Zeroizing<String> {
        let text = Zeroizing::new(STANDARD.encode(&self.secret));
        let mut out = Zeroizing::new(String::with_capacity(text.len() * 5 / 4 + 1));
        for (at, c) in text.chars().enumerate() {
            if at > 0 && at % 4 == 0 {
                out.push(' ');
            }
            out.push(c);
        }
        out
    }

    /// The address that apps read from a picture.
    pub fn address(&self) -> Zeroizing<String> {
        let (issuer, account) = (utf8_percent_encode(&self.issuer, &PLAIN), utf8_percent_encode(&self.account, &PLAIN));
        let secret = Zeroizing::new(STANDARD.encode(&self.secret));
        Zeroizing::new(format!(
            "otpauth://totp/{issuer}:{account}?secret={}&issuer={issuer}&algorithm={}&digits={}&period={PERIOD}",
            *secret,
            self.shape.algorithm.word(),
            self.shape.digits
        ))
    }

    /// Reads such an address, as other servers wrote it: what may be left out has its usual value.
    ///
    /// # Errors
    /// Anything but a time-based secret of a shape that is verified here; a field given twice.
    pub fn parse(text: &str) -> Result<Otpauth, NotOtpauth> {
        let rest = text.strip_prefix("otpauth://totp/").ok_or(NotOtpauth)?;
        let (label, query) = rest.split_once('?').ok_or(NotOtpauth)?;
        let plain = |text: &str| percent_decode_str(text).decode_utf8().map(|text| text.into_owned()).ok();
        let (mut secret, mut issuer, mut algorithm, mut digits, mut period) = (None, None, None, None, None);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').ok_or(NotOtpauth)?;
            let field = match key {
                "secret" => &mut secret,
                "issuer" => &mut issuer,
                "algorithm" => &mut algorithm,
                "digits" => &mut digits,
                "period" => &mut period,
                _ => continue,
            };
            if field.replace(Zeroizing::new(plain(value).ok_or(NotOtpauth)?)).is_some() {
                return Err(NotOtpauth);
            }
        }
        let label = plain(label).ok_or(NotOtpauth)?;
        let (before, account) = label.split_once(':').map_or(("", label.as_str()), |(issuer, name)| (issuer, name));
        let algorithm = algorithm.map_or(Ok(Algorithm::Sha1), |word| word.parse()).map_err(|()| NotOtpauth)?;
        let digits = digits.map_or(Ok(6), |text| text.parse()).map_err(|_| NotOtpauth)?;
        if period.is_some_and(|text| text.parse() != Ok(PERIOD)) {
            return Err(NotOtpauth);
        }
        let secret = secret.map(|text| Zeroizing::new(text.trim_end_matches('=').to_ascii_uppercase()));
        let secret = secret.and_then(|text| STANDARD.decode(&text)).map(Zeroizing::new).ok_or(NotOtpauth)?;
        if !(SHORTEST..=LONGEST).contains(&secret.len()) {
            return Err(NotOtpauth);
        }
        Ok(Otpauth {
            issuer: issuer.map_or_else(|| before.to_owned(), |issuer| issuer.to_string()),
            account: account.trim_start().to_owned(),
            secret,
            shape: Shape::new(algorithm, digits).ok_or(NotOtpauth)?,
        })
    }
}

/// The secret is not printed.
impl std::fmt::Debug for Otpauth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Otpauth({} of {}, ***)", self.account, self.issuer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Rng;
    use proptest::prelude::*;

    fn at(seconds: i64) -> Time {
        Time(seconds * 1000)
    }

    /// RFC 6238 appendix B: one secret for each hash, 8 digits.
    #[test]
    fn the_vectors_of_rfc_6238() {
        let seed = b"1234567890";
        let secret = |length: usize| seed.iter().copied().cycle().take(length).collect::<Vec<u8>>();
        for (seconds, codes) in [
            (59, ["94287082", "46119246", "90693936"]),
            (1_111_111_109, ["07081804", "68084774", "25091201"]),
            (1_111_111_111, ["14050471", "67062674", "99943326"]),
            (1_234_567_890, ["89005924", "91819424", "93441116"]),
            (2_000_000_000, ["69279037", "90698825", "38618901"]),
            (20_000_000_000, ["65353130", "77737706", "47863826"]),
        ] {
            for (algorithm, code) in Algorithm::ALL.into_iter().zip(codes) {
                let shape = Shape { algorithm, digits: 8 };
                let key = secret(algorithm.length());
                assert_eq!(accepts(&key, shape, code, at(seconds), -1), Some(seconds / 30), "{algorithm:?} {seconds}");
                let six = Shape { algorithm, digits: 6 };
                assert_eq!(accepts(&key, six, &code[2..], at(seconds), -1), Some(seconds / 30));
            }
        }
    }

    #[test]
    fn a_code_is_good_in_its_own_step_and_the_next_and_no_other() {
        let (secret, shape) = ([7; 20], Shape::default());
        let code = shape.code(&secret, 1_000);
        let judged = |seconds| accepts(&secret, shape, &code, at(seconds), 0);
        assert_eq!(
            [29_999, 30_000, 30_029, 30_030, 30_059, 30_060].map(judged),
            [None, Some(1_000), Some(1_000), Some(1_000), Some(1_000), None]
        );
    }

    #[test]
    fn a_step_that_was_accepted_closes_itself_and_those_before() {
        let (secret, shape) = ([7; 20], Shape::default());
        let (before, now) = (shape.code(&secret, 999), shape.code(&secret, 1_000));
        assert_eq!(accepts(&secret, shape, &before, at(30_000), 998), Some(999));
        assert_eq!(accepts(&secret, shape, &before, at(30_000), 999), None);
        assert_eq!(accepts(&secret, shape, &now, at(30_000), 999), Some(1_000));
        assert_eq!(accepts(&secret, shape, &before, at(30_000), 1_000), None, "an older code after a newer one");
    }

    #[test]
    fn secrets_are_as_long_as_their_hash() {
        let rng = Rng::seeded(1);
        let lengths = Algorithm::ALL.map(|algorithm| Shape { algorithm, digits: 6 }.secret(&rng).len());
        assert_eq!(lengths, [20, 32, 64]);
    }

    #[test]
    fn the_addresses_of_other_servers_are_read() {
        let written = "otpauth://totp/Takeout:alice?algorithm=SHA1&digits=6&issuer=Takeout&period=30&secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";
        let read = Otpauth::parse(written).unwrap_or_else(|_| panic!("not read"));
        assert_eq!((read.issuer.as_str(), read.account.as_str()), ("Takeout", "alice"));
        assert_eq!((read.secret.len(), read.shape), (20, Shape::default()));
        let bare = Otpauth::parse("otpauth://totp/alice?secret=jbswy3dpehpk3pxp&image=x");
        assert_eq!(bare.map(|read| (read.issuer, read.shape)), Ok((String::new(), Shape::default())));
        for wrong in [
            "otpauth://hotp/alice?secret=JBSWY3DPEHPK3PXP",
            "otpauth://totp/alice?secret=JBSWY3DP",
            "otpauth://totp/alice?secret=JBSWY3DPEHPK3PX0",
            "otpauth://totp/alice?secret=JBSWY3DPEHPK3PXP&period=60",
            "otpauth://totp/alice?secret=JBSWY3DPEHPK3PXP&digits=7",
            "otpauth://totp/alice?secret=JBSWY3DPEHPK3PXP&algorithm=MD5",
            "otpauth://totp/alice?secret=JBSWY3DPEHPK3PXP&secret=JBSWY3DPEHPK3PXP",
            "otpauth://totp/alice",
            "https://totp/alice?secret=JBSWY3DPEHPK3PXP",
        ] {
            assert_eq!(Otpauth::parse(wrong).map(|_| ()), Err(NotOtpauth), "{wrong}");
        }
    }

    #[test]
    fn nothing_prints_a_secret() {
        let shown =
            Otpauth { issuer: "A".into(), account: "b".into(), secret: vec![65; 20].into(), shape: Shape::default() };
        assert!(!format!("{shown:?}").contains("65, 65"));
    }

    proptest! {
        #[test]
        fn an_address_says_what_it_was_made_of(
            issuer in "[^:\u{0}]{0,20}", account in "[^ ].{0,20}", secret in prop::collection::vec(0_u8.., 20..=64),
            algorithm in 0_usize..3, eight in any::<bool>(),
        ) {
            let shape = Shape { algorithm: Algorithm::ALL[algorithm], digits: if eight { 8 } else { 6 } };
            let made = Otpauth { issuer, account: account.trim_start().to_owned(), secret: secret.into(), shape };
            let address = made.address();
            prop_assert!(address.is_ascii() && !address.contains(' '));
            prop_assert_eq!(Otpauth::parse(&address), Ok(made));
        }

        #[test]
        fn any_text_is_read_without_panic(text in "(otpauth://totp/)?.{0,80}") {
            let _ = Otpauth::parse(&text);
        }

        #[test]
        fn any_text_is_compared_without_panic(text in ".{0,40}", secret in prop::collection::vec(0_u8.., 0..80)) {
            let _ = accepts(&secret, Shape::default(), &text, at(1_700_000_000), 0);
        }
    }
}
