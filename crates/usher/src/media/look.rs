//! Looking into a file for its page: what it is, whether a browser shows it, and what lies beside it. Blocks.

use super::deliver::open_and_look;
use super::kind::{ContentType, Kind};
use super::listing::{self, Neighbours};
use super::path::CanonicalPath;
use super::probe::{Playability, ReadAt, probe};
use super::root::{FileMeta, OpenError, OpenFile, Root};

/// The most of a text that its page shows, in bytes.
pub const TEXT_SHOWN: usize = 256 * 1024;

/// What stands at a path.
pub enum Found {
    /// A folder, asked for without its slash.
    Folder,
    /// A file.
    File(Box<Looked>),
}

/// A file that was looked into.
pub struct Looked {
    /// Its type.
    pub content: ContentType,
    /// Its size and time.
    pub meta: FileMeta,
    /// Whether browsers play or show it: for film, music and pictures.
    pub playability: Option<Playability>,
    /// The beginning of a text.
    pub text: Option<Text>,
    /// The files of its kind beside it.
    pub neighbours: Neighbours,
}

/// The beginning of a text.
pub struct Text {
    /// As UTF-8; what is none is replaced.
    pub text: String,
    /// There is more of it.
    pub cut: bool,
}

/// Looks at what stands at `path`, which was asked for as a file.
pub fn look(root: &Root, path: &CanonicalPath) -> Result<Found, OpenError> {
    let (file, content) = match open_and_look(root, path) {
        Err(OpenError::NotFound) => return root.open_dir(path).map(|_| Found::Folder),
        opened => opened?,
    };
    let name = path.name().unwrap_or_default();
    let playability = match content.kind {
        Kind::Video | Kind::Audio | Kind::Picture => Some(probe(&file, file.meta.size, name)),
        _ => None,
    };
    let text = if content.kind == Kind::Text { Some(beginning(&file)?) } else { None };
    // A folder that cannot be listed leaves the file without neighbours, and no worse.
    let neighbours = listing::neighbours(root, path).unwrap_or_default();
    Ok(Found::File(Box::new(Looked { content, meta: file.meta, playability, text, neighbours })))
}

fn beginning(file: &OpenFile) -> Result<Text, OpenError> {
    let mut bytes = vec![0; TEXT_SHOWN];
    let mut length = 0;
    while length < bytes.len() {
        let offset = u64::try_from(length).unwrap_or(0);
        match file.read_at(&mut bytes[length..], offset) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(_) => return Err(OpenError::Failed(rustix::io::Errno::IO)),
        }
    }
    bytes.truncate(length);
    Ok(text_of(&bytes, file.meta.size > u64::try_from(length).unwrap_or(u64::MAX)))
}

fn text_of(bytes: &[u8], cut: bool) -> Text {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let whole = match std::str::from_utf8(bytes) {
        // The cut went through a character; what is left of it is no fault of the file's.
        Err(error) if cut && error.error_len().is_none() => &bytes[..error.valid_up_to()],
        _ => bytes,
    };
    Text { text: String::from_utf8_lossy(whole).into_owned(), cut }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_decoded_leniently_and_cut_between_characters() {
        let shown = |bytes: &[u8], cut| text_of(bytes, cut).text;
        assert_eq!(shown(b"\xef\xbb\xbfa\xffb", false), "a\u{fffd}b");
        assert_eq!(shown("ab\u{20ac}".as_bytes().get(..4).unwrap_or_default(), true), "ab");
        assert_eq!(shown(b"ab\xe2\x82", false), "ab\u{fffd}", "the file itself ends there");
    }
}
