//! Paths below a grant's root: decoded once, then the same bytes for the MAC and for the open.
//!
//! A request path is percent-decoded exactly once into segments joined by `/`. There is no normalising: a
//! path that would need it (`.`, `..`, an empty segment, an encoded slash) is refused, so that no two
//! spellings of a path can be told apart by one part of the house and not by another.
//! Bytes are bytes: a local file name need not be UTF-8 (RFC 3986 section 2.1 leaves that to us).

use std::borrow::Cow;
use std::fmt;

/// The longest segment, in bytes: what Linux file systems allow (`NAME_MAX`).
pub const MAX_SEGMENT: usize = 255;
/// The longest path, in decoded bytes (`PATH_MAX`).
pub const MAX_PATH: usize = 4096;
/// The deepest path, in segments.
pub const MAX_DEPTH: usize = 64;

/// Why a path names nothing here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Malformed: answered 400.
    #[error("the path is malformed")]
    Bad,
    /// Well-formed, but longer or deeper than anything that can exist: answered 404.
    #[error("no such path can exist")]
    TooLong,
}

/// A decoded path below some root, without leading slash: `""` is the root itself.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CanonicalPath {
    bytes: Vec<u8>,
    folder: bool,
}

impl CanonicalPath {
    /// The root itself, asked for as a folder.
    pub fn root() -> Self {
        CanonicalPath { bytes: Vec::new(), folder: true }
    }

    /// Decodes what stands after `/m/{token}/` in a request target, without its query.
    ///
    /// `PathError::Bad` wins over `TooLong`: a malformed path is malformed at any length.
    pub fn decode(raw: &[u8]) -> Result<Self, PathError> {
        let mut bytes = Vec::with_capacity(raw.len().min(MAX_PATH));
        let mut rest = raw;
        while let [first, tail @ ..] = rest {
            rest = tail;
            match *first {
                b'%' => {
                    let [high, low, tail @ ..] = tail else { return Err(PathError::Bad) };
                    let byte = hex(*high)? << 4 | hex(*low)?;
                    // An encoded slash would be a separator to the file system and none to the MAC.
                    if byte == b'/' {
                        return Err(PathError::Bad);
                    }
                    bytes.push(byte);
                    rest = tail;
                }
                // Bytes that no URL holds raw (RFC 3986 section 2).
                0..=b' ' | 0x7f | b'?' | b'#' => return Err(PathError::Bad),
                byte => bytes.push(byte),
            }
        }
        Self::from_decoded(bytes)
    }

    /// Takes an already decoded path, as stored or as read from a folder. The same rules hold.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PathError> {
        Self::from_decoded(bytes.to_vec())
    }

    fn from_decoded(mut bytes: Vec<u8>) -> Result<Self, PathError> {
        if bytes.is_empty() {
            return Ok(Self::root());
        }
        let folder = bytes.last() == Some(&b'/');
        if folder {
            bytes.pop();
        }
        let mut depth = 0;
        let mut too_long = bytes.len() > MAX_PATH;
        for segment in bytes.split(|byte| *byte == b'/') {
            if segment.is_empty() || segment == b"." || segment == b".." || segment.contains(&0) {
                return Err(PathError::Bad);
            }
            depth += 1;
            too_long |= segment.len() > MAX_SEGMENT;
        }
        if too_long || depth > MAX_DEPTH { Err(PathError::TooLong) } else { Ok(CanonicalPath { bytes, folder }) }
    }

    /// The decoded bytes, without a trailing slash: what the MAC covers and what is opened.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether it was asked for as a folder: the root, or with a trailing slash.
    pub fn is_folder(&self) -> bool {
        self.folder
    }

    /// Whether this is the root itself.
    pub fn is_root(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The segments from the root down; none for the root.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.bytes.split(|byte| *byte == b'/').filter(|segment| !segment.is_empty())
    }

    /// How many segments there are.
    pub fn depth(&self) -> usize {
        self.segments().count()
    }

    /// The last segment; none for the root.
    pub fn name(&self) -> Option<&[u8]> {
        self.segments().next_back()
    }

    /// The folder that holds it; none for the root.
    pub fn parent(&self) -> Option<Self> {
        let name = self.name()?;
        let end = self.bytes.len().saturating_sub(name.len() + 1);
        Some(CanonicalPath { bytes: self.bytes.get(..end)?.to_vec(), folder: true })
    }

    /// The first `depth` segments as bytes without trailing slash; none when the path is shallower.
    pub fn prefix(&self, depth: usize) -> Option<&[u8]> {
        if depth == 0 {
            return Some(&[]);
        }
        let mut slashes = self.bytes.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        match slashes.nth(depth - 1) {
            Some(at) => self.bytes.get(..at),
            None if self.depth() == depth => Some(&self.bytes),
            None => None,
        }
    }

    /// The same path asked for as a folder or as a file. The root is always a folder.
    pub fn as_folder(mut self, folder: bool) -> Self {
        self.folder = folder || self.is_root();
        self
    }

    /// The entry `name` of this folder, asked for as a file.
    pub fn child(&self, name: &[u8]) -> Result<Self, PathError> {
        if name.contains(&b'/') {
            return Err(PathError::Bad);
        }
        self.join(&Self::from_bytes(name)?)
    }

    /// `below`, seen from this path: a grant's root and the path in its URL make the path in the bucket.
    pub fn join(&self, below: &Self) -> Result<Self, PathError> {
        if self.is_root() {
            return Ok(below.clone());
        }
        if below.is_root() {
            return Ok(self.clone().as_folder(true));
        }
        let mut bytes = Vec::with_capacity(self.bytes.len() + 1 + below.bytes.len());
        bytes.extend_from_slice(&self.bytes);
        bytes.push(b'/');
        bytes.extend_from_slice(&below.bytes);
        Ok(Self::from_decoded(bytes)?.as_folder(below.folder))
    }

    /// What remains of this path below the folder `above`; none when it lies elsewhere. Whole segments
    /// count: `/ab` is not below `/a`.
    pub fn below(&self, above: &Self) -> Option<Self> {
        let rest = self.bytes.strip_prefix(above.bytes.as_slice())?;
        let rest = if above.is_root() || rest.is_empty() { rest } else { rest.strip_prefix(b"/")? };
        Some(CanonicalPath { bytes: rest.to_vec(), folder: self.folder || rest.is_empty() })
    }

    /// The path for a URL: everything but RFC 3986's unreserved characters is percent-encoded, and a
    /// folder ends in a slash (the root is the empty string).
    pub fn encode(&self) -> String {
        let mut out = String::with_capacity(self.bytes.len() + 8);
        for byte in &self.bytes {
            match byte {
                b'/' | b'-' | b'.' | b'_' | b'~' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                    out.push(char::from(*byte))
                }
                _ => {
                    const HEX: [char; 16] =
                        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
                    out.push('%');
                    out.push(HEX[usize::from(byte >> 4)]);
                    out.push(HEX[usize::from(byte & 15)]);
                }
            }
        }
        if self.folder && !self.is_root() {
            out.push('/');
        }
        out
    }

    /// For people and logs: lossy where it is not UTF-8, control characters escaped.
    pub fn shown(&self) -> String {
        shown(&self.bytes)
    }
}

impl fmt::Debug for CanonicalPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.shown(), if self.folder { "/" } else { "" })
    }
}

/// A name or path for people and logs. Control characters would forge log lines, and bidirectional
/// overrides make `gpj.exe` read as `exe.jpg`: both are shown escaped.
pub fn shown(bytes: &[u8]) -> String {
    let text: Cow<'_, str> = String::from_utf8_lossy(bytes);
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || is_bidi_control(c) { out.extend(c.escape_unicode()) } else { out.push(c) }
    }
    out
}

/// Characters that reorder what follows them (Unicode Standard Annex 9 section 2).
pub fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn hex(digit: u8) -> Result<u8, PathError> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok()).ok_or(PathError::Bad)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]
    use super::*;
    use proptest::prelude::*;

    fn decode(raw: &str) -> Result<CanonicalPath, PathError> {
        CanonicalPath::decode(raw.as_bytes())
    }

    #[test]
    fn a_path_that_would_need_normalising_is_malformed() {
        for raw in [
            "../x",
            "%2e%2e/x",
            "a/../../x",
            "..%2fx",
            ".%2e/",
            "a/../k",
            "./k",
            "a/.",
            "a/./",
            "%2E",
            "/",
            "//k",
            "a//b",
            "a//",
            "/k",
            "a%2fb",
            "a%2Fb",
            "a%00b",
            "%00",
            "%zz",
            "%",
            "%4",
            "a%4",
            "%+1",
            "a b",
            "a\0b",
            "a\nb",
            "a\x7f",
            "a?b",
            "a#b",
        ] {
            assert_eq!(decode(raw), Err(PathError::Bad), "{raw:?}");
        }
    }

    #[test]
    fn odd_names_are_literal_names() {
        let cases: [(&str, &[u8]); 12] = [
            ("a\\b", b"a\\b"),
            ("a%5cb", b"a\\b"),
            ("%252e%252e", b"%2e%2e"),
            ("k.bin.", b"k.bin."),
            ("k.bin%20", b"k.bin "),
            ("k;x=1", b"k;x=1"),
            ("k%3f", b"k?"),
            ("%ff", b"\xff"),
            ("%c0%ae%c0%ae", b"\xc0\xae\xc0\xae"),
            ("%01%7f", b"\x01\x7f"),
            ("...", b"..."),
            ("..a", b"..a"),
        ];
        for (raw, bytes) in cases {
            assert_eq!(decode(raw).unwrap().as_bytes(), bytes, "{raw}");
        }
    }

    #[test]
    fn paths_beyond_the_limits_cannot_exist() {
        let segment = "a".repeat(255);
        assert!(decode(&segment).is_ok());
        assert_eq!(decode(&format!("{segment}a")), Err(PathError::TooLong));
        assert!(decode(&vec!["a"; 64].join("/")).is_ok());
        assert_eq!(decode(&vec!["a"; 65].join("/")), Err(PathError::TooLong));
        let long = vec![segment.as_str(); 17].join("/");
        assert_eq!(decode(&long), Err(PathError::TooLong));
        assert_eq!(decode(&format!("{long}/..")), Err(PathError::Bad), "malformed wins");
    }

    #[test]
    fn a_trailing_slash_asks_for_a_folder_and_is_not_part_of_the_bytes() {
        let folder = decode("a/b/").unwrap();
        assert!(folder.is_folder());
        assert_eq!(folder.as_bytes(), b"a/b");
        assert_eq!(folder.encode(), "a/b/");
        assert!(decode("").unwrap().is_root());
    }

    #[test]
    fn below_and_prefix_count_whole_segments() {
        let ab = decode("ab/x").unwrap();
        assert_eq!(ab.below(&decode("a").unwrap()), None);
        assert_eq!(ab.below(&decode("ab").unwrap()).unwrap().as_bytes(), b"x");
        assert_eq!(ab.prefix(1), Some(&b"ab"[..]));
        assert_eq!(ab.prefix(2), Some(&b"ab/x"[..]));
        assert_eq!(ab.prefix(3), None);
        assert_eq!(CanonicalPath::root().prefix(1), None);
        assert_eq!(ab.parent().unwrap().as_bytes(), b"ab");
        assert!(ab.parent().unwrap().parent().unwrap().is_root());
    }

    #[test]
    fn a_shown_name_holds_no_control_and_no_direction_override() {
        assert_eq!(shown(b"a\nb\x1b"), "a\\u{a}b\\u{1b}");
        assert_eq!(shown("x\u{202e}y".as_bytes()), "x\\u{202e}y");
    }

    proptest! {
        #[test]
        fn every_spelling_of_a_path_decodes_alike(
            name in "[a-zA-Z0-9_. ~-]{1,20}", encoded in proptest::collection::vec(any::<bool>(), 20)
        ) {
            prop_assume!(name != "." && name != "..");
            let spelled: String = name.bytes().zip(encoded.iter().cycle())
                .map(|(b, e)| if *e || b == b' ' { format!("%{b:02x}") } else { char::from(b).to_string() })
                .collect();
            let path = decode(&spelled).unwrap();
            prop_assert_eq!(path.as_bytes(), name.as_bytes());
        }

        #[test]
        fn dots_and_slashes_in_any_encoding_never_climb(parts in proptest::collection::vec(
            prop_oneof![Just("."), Just("%2e"), Just("%2E"), Just("/"), Just("%2f"), Just("a"), Just("%5c")], 0..12)) {
            if let Ok(path) = decode(&parts.concat()) {
                prop_assert!(path.segments().all(|s| s != b".." && s != b"."));
            }
        }
    }
}
