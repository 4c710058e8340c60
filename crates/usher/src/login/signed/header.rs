//! The bytes of a signed header: `base64(hexstr(user) "," signature "," seconds)`.
//!
//! Three programs wrote it, each with a `hexstr` of its own. A letter is written as `\u` and hexadecimal digits: of its
//! UTF-16 units (browsers), of its UTF-8 bytes (Python), or of its code point (Rust). For letters of ASCII the three are
//! one. The signature is the SHA-512 of the name as it was written, the secret in the same writing, and the seconds,
//! with nothing in between.

use aws_lc_rs::digest::{SHA512, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt::Write;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// The longest header that is read.
const LONGEST: usize = 8 * 1024;
/// The longest name, in letters.
const LONGEST_NAME: usize = 256;

/// How letters are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hexing {
    /// UTF-8 bytes, two digits behind `00`: the Python server and its clients.
    Bytes,
    /// UTF-16 units, the last four digits of `00` and the number: browsers. Below 0x10 that is three digits.
    Units,
    /// Code points, at least four digits: the Rust heir.
    Points,
}

impl Hexing {
    /// In the order in which a name is read.
    pub const ALL: [Hexing; 3] = [Hexing::Bytes, Hexing::Units, Hexing::Points];

    /// `text` in this writing. The empty text is a bare `\u` in a browser and nothing elsewhere.
    pub fn write(self, text: &str) -> Zeroizing<String> {
        let mut out = Zeroizing::new(String::with_capacity(text.len() * 6 + 2));
        let mut put = |number: u32, shortest: usize| {
            // Writing to a string does not fail.
            let _ = write!(out, "\\u{number:0shortest$x}");
        };
        match self {
            Hexing::Bytes => text.bytes().for_each(|byte| put(u32::from(byte), 4)),
            Hexing::Units => text.encode_utf16().for_each(|unit| put(u32::from(unit), if unit < 0x10 { 3 } else { 4 })),
            Hexing::Points => text.chars().for_each(|c| put(u32::from(c), 4)),
        }
        if self == Hexing::Units && text.is_empty() {
            out.push_str("\\u");
        }
        out
    }

    /// What these numbers say in this writing, if anything.
    fn read(self, numbers: &[u32]) -> Option<String> {
        match self {
            Hexing::Bytes => {
                let bytes: Option<Vec<u8>> = numbers.iter().map(|number| u8::try_from(*number).ok()).collect();
                String::from_utf8(bytes?).ok()
            }
            Hexing::Units => {
                let units: Option<Vec<u16>> = numbers.iter().map(|number| u16::try_from(*number).ok()).collect();
                String::from_utf16(&units?).ok()
            }
            Hexing::Points => numbers.iter().map(|number| char::from_u32(*number)).collect(),
        }
    }
}

/// A header that has the form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedHeader {
    /// The name as it was written, which is what was signed.
    written: String,
    numbers: Vec<u32>,
    signature: String,
    /// The seconds as they were written, and what they say.
    stamp: String,
    /// Seconds since 1970.
    pub seconds: i64,
}

/// The header has not the form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signed header is malformed")]
pub struct Malformed;

impl SignedHeader {
    /// Reads `BASE64` or `Bearer BASE64`.
    pub fn parse(value: &str) -> Result<SignedHeader, Malformed> {
        if value.len() > LONGEST {
            return Err(Malformed);
        }
        let body = match value.split_once(' ') {
            Some((scheme, body)) if scheme.eq_ignore_ascii_case("bearer") => body.trim(),
            Some(_) => return Err(Malformed),
            None => value,
        };
        let bytes = STANDARD.decode(body).map_err(|_| Malformed)?;
        let text = String::from_utf8(bytes).ok().filter(|text| text.is_ascii()).ok_or(Malformed)?;
        let parts: Vec<&str> = text.split(',').collect();
        let [written, signature, stamp] = parts.as_slice() else { return Err(Malformed) };
        let numbers = numbers(written).ok_or(Malformed)?;
        let lower_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if signature.len() != 128 || !signature.bytes().all(lower_hex) {
            return Err(Malformed);
        }
        let digits = (1..=12).contains(&stamp.len()) && stamp.bytes().all(|byte| byte.is_ascii_digit());
        let seconds = stamp.parse().ok().filter(|_| digits).ok_or(Malformed)?;
        Ok(SignedHeader {
            written: (*written).to_owned(),
            numbers,
            signature: (*signature).to_owned(),
            stamp: (*stamp).to_owned(),
            seconds,
        })
    }

    /// The names that this may be, each once.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for name in Hexing::ALL.into_iter().filter_map(|hexing| hexing.read(&self.numbers)) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// Whether it is signed with `secret`, in any of the writings. In constant time for each.
    pub fn signed_with(&self, secret: &str) -> bool {
        let mut good = subtle::Choice::from(0);
        for hexing in Hexing::ALL {
            let expected = sign(&self.written, &hexing.write(secret), &self.stamp);
            good |= expected.as_bytes().ct_eq(self.signature.as_bytes());
        }
        good.into()
    }

    /// The signature, by which a second use is known.
    pub fn signature(&self) -> &str {
        &self.signature
    }
}

/// The numbers behind each `\u`.
fn numbers(written: &str) -> Option<Vec<u32>> {
    let rest = written.strip_prefix("\\u")?;
    // A browser's writing of nothing.
    if rest.is_empty() {
        return Some(Vec::new());
    }
    let numbers: Option<Vec<u32>> = rest
        .split("\\u")
        .take(LONGEST_NAME + 1)
        .map(|digits| {
            let hex = (3..=6).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            u32::from_str_radix(digits, 16).ok().filter(|_| hex)
        })
        .collect();
    numbers.filter(|numbers| numbers.len() <= LONGEST_NAME)
}

fn sign(name: &str, secret: &str, stamp: &str) -> String {
    let signed = Zeroizing::new([name, secret, stamp].concat());
    let mut out = String::with_capacity(128);
    for byte in digest(&SHA512, signed.as_bytes()).as_ref() {
        // Writing to a string does not fail.
        let _ = write!(out, "{byte:02x}");
    }
    out
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;
    use proptest::prelude::*;

    fn header(hexing: Hexing, user: &str, secret: &str, seconds: i64) -> String {
        let (name, stamp) = (hexing.write(user), seconds.to_string());
        let signature = sign(&name, &hexing.write(secret), &stamp);
        STANDARD.encode(format!("{},{signature},{stamp}", *name))
    }

    #[test]
    fn the_published_vector_is_ours() {
        let name = Hexing::Units.write("Alan Turing");
        let secret = Hexing::Units.write("Pr0gRamM1ng");
        let expected = "c032ff584ea347b429c7264d6b61e7c0b1c5026bee46308b0335a91b9a7196fe1c7765942978792ef81b2217c6045a8fc56062b904ec56b20ba9a3d163015a22";
        assert_eq!(sign(&name, &secret, "1700000000"), expected);
    }

    #[test]
    fn letters_are_written_as_each_of_the_three_programs_writes_them() {
        let all = |text: &str| Hexing::ALL.map(|hexing| hexing.write(text).to_string());
        assert_eq!(all("A"), ["\\u0041"; 3]);
        assert_eq!(all("é"), ["\\u00c3\\u00a9", "\\u00e9", "\\u00e9"]);
        assert_eq!(all("😀"), ["\\u00f0\\u009f\\u0098\\u0080", "\\ud83d\\ude00", "\\u1f600"]);
        assert_eq!(all("\t"), ["\\u0009", "\\u009", "\\u0009"], "a browser gives three digits below 0x10");
        assert_eq!(all(""), ["", "\\u", ""]);
    }

    #[test]
    fn what_has_not_the_form_is_malformed() {
        let good = header(Hexing::Units, "alice", "a secret of hers", 1_700_000_000);
        assert!(SignedHeader::parse(&good).is_ok() && SignedHeader::parse(&format!("bearer {good}")).is_ok());
        let inside = |text: &str| STANDARD.encode(text);
        let signature = "0".repeat(128);
        for bad in [
            "",
            "Bearer",
            "Bearer ",
            "not base64!",
            &good[..good.len() - 1],
            &format!("Basic {good}"),
            &format!("{good} {good}"),
            &format!("{good}{good}"),
            &inside("a,b"),
            &inside(&format!("\\u0041,{signature},1,2")),
            &inside(&format!("\\u0041,{},1700000000", &signature[1..])),
            &inside(&format!("\\u0041,{},1700000000", "F".repeat(128))),
            &inside(&format!("\\u0041,{signature},")),
            &inside(&format!("\\u0041,{signature},-1")),
            &inside(&format!("\\u0041,{signature},+1")),
            &inside(&format!("\\u0041,{signature},1e9")),
            &inside(&format!("\\u0041,{signature},9999999999999")),
            &inside(&format!(",{signature},1")),
            &inside(&format!("alice,{signature},1")),
            &inside(&format!("\\u00,{signature},1")),
            &inside(&format!("\\u00zz,{signature},1")),
            &inside(&format!("\\u00410041,{signature},1")),
            &inside(&format!("{},{signature},1", "\\u0041".repeat(257))),
            &"A".repeat(LONGEST + 1),
            &STANDARD.encode([0xff, 0xfe, b',', b',']),
        ] {
            assert_eq!(SignedHeader::parse(bad), Err(Malformed), "{bad}");
        }
    }

    #[test]
    fn numbers_that_no_writing_has_name_nobody() {
        let lone = SignedHeader::parse(&STANDARD.encode(format!("\\ud83d,{},1", "0".repeat(128))));
        assert_eq!(lone.map(|header| header.names()), Ok(Vec::new()));
    }

    proptest! {
        #[test]
        fn every_name_and_secret_in_every_writing_is_read_and_verified(
            user in ".{1,40}", secret in ".{1,60}", other in ".{1,60}", seconds in 0..99_999_999_999_i64,
        ) {
            for hexing in Hexing::ALL {
                let parsed = SignedHeader::parse(&header(hexing, &user, &secret, seconds)).unwrap();
                prop_assert_eq!(parsed.seconds, seconds);
                prop_assert!(parsed.names().contains(&user), "{:?}", parsed.names());
                prop_assert!(parsed.signed_with(&secret));
                prop_assert_eq!(parsed.signed_with(&other), other == secret);
            }
        }

        #[test]
        fn any_text_is_read_without_panic(text in ".{0,300}", bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = SignedHeader::parse(&text);
            let _ = SignedHeader::parse(&STANDARD.encode(&bytes));
            let inside = String::from_utf8_lossy(&bytes).into_owned();
            if let Ok(header) = SignedHeader::parse(&STANDARD.encode(format!("{inside},{},5", "0".repeat(128)))) {
                prop_assert!(header.names().len() <= 3);
            }
        }

        #[test]
        fn one_changed_letter_of_the_inside_is_noticed(at in any::<prop::sample::Index>(), to in any::<u8>()) {
            let good = header(Hexing::Units, "alice", "a secret of hers", 1_700_000_000);
            let mut inside = STANDARD.decode(good).unwrap();
            let at = at.index(inside.len());
            prop_assume!(inside[at] != to);
            inside[at] = to;
            if let Ok(changed) = SignedHeader::parse(&STANDARD.encode(inside)) {
                // The same digit in another case is the same name, and another signature.
                prop_assert!(!changed.signed_with("a secret of hers"));
            }
        }
    }
}
