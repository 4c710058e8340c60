//! What a file is, by its name and, where the name leaves doubt, by its first bytes.
//!
//! The table is fixed: the type that is sent must not depend on the machine. What a browser would run
//! (HTML, SVG, XML) and what is unknown is only ever sent as an attachment.

/// What a file holds, as far as showing it is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Moving pictures.
    Video,
    /// Sound.
    Audio,
    /// A raster picture.
    Picture,
    /// Plain text, subtitles among it.
    Text,
    /// A PDF document.
    Pdf,
    /// Anything else.
    Other,
}

/// A file's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentType {
    /// The `Content-Type` to send.
    pub mime: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether a browser may show it in place; otherwise it is an attachment.
    pub inline: bool,
}

const fn shown(mime: &'static str, kind: Kind) -> ContentType {
    ContentType { mime, kind, inline: true }
}

const fn attached(mime: &'static str) -> ContentType {
    ContentType { mime, kind: Kind::Other, inline: false }
}

const PLAIN: ContentType = shown("text/plain; charset=utf-8", Kind::Text);
const UNKNOWN: ContentType = attached("application/octet-stream");
const MPEG_TS: ContentType = shown("video/mp2t", Kind::Video);

/// How many first bytes `of` looks at.
pub const HEAD: usize = 512;

/// The type by the name alone.
pub fn of_name(name: &[u8]) -> ContentType {
    let Some(extension) = extension(name) else { return UNKNOWN };
    match extension.as_str() {
        "mp4" | "m4v" => shown("video/mp4", Kind::Video),
        "mov" | "qt" => shown("video/quicktime", Kind::Video),
        "webm" => shown("video/webm", Kind::Video),
        "mkv" | "mk3d" => shown("video/x-matroska", Kind::Video),
        "avi" | "divx" => shown("video/x-msvideo", Kind::Video),
        "mpg" | "mpeg" | "mpe" | "vob" | "m2v" => shown("video/mpeg", Kind::Video),
        "ts" | "m2ts" | "mts" => MPEG_TS,
        "wmv" | "asf" => shown("video/x-ms-wmv", Kind::Video),
        "flv" => shown("video/x-flv", Kind::Video),
        "ogv" => shown("video/ogg", Kind::Video),
        "3gp" => shown("video/3gpp", Kind::Video),
        "3g2" => shown("video/3gpp2", Kind::Video),
        "m4s" => shown("video/iso.segment", Kind::Video),
        "rm" | "rmvb" => shown("application/vnd.rn-realmedia", Kind::Video),
        "mp3" => shown("audio/mpeg", Kind::Audio),
        "m4a" | "m4b" => shown("audio/mp4", Kind::Audio),
        "aac" => shown("audio/aac", Kind::Audio),
        "ogg" | "oga" | "spx" => shown("audio/ogg", Kind::Audio),
        "opus" => shown("audio/ogg; codecs=opus", Kind::Audio),
        "flac" => shown("audio/flac", Kind::Audio),
        "wav" | "wave" => shown("audio/wav", Kind::Audio),
        "weba" => shown("audio/webm", Kind::Audio),
        "mka" => shown("audio/x-matroska", Kind::Audio),
        "wma" => shown("audio/x-ms-wma", Kind::Audio),
        "aif" | "aiff" => shown("audio/aiff", Kind::Audio),
        "ac3" => shown("audio/ac3", Kind::Audio),
        "eac3" | "ec3" => shown("audio/eac3", Kind::Audio),
        "dts" | "dtshd" => shown("audio/vnd.dts", Kind::Audio),
        "ape" => shown("audio/x-ape", Kind::Audio),
        "wv" => shown("audio/x-wavpack", Kind::Audio),
        "amr" => shown("audio/amr", Kind::Audio),
        "mid" | "midi" => shown("audio/midi", Kind::Audio),
        "jpg" | "jpeg" | "jpe" | "jfif" => shown("image/jpeg", Kind::Picture),
        "png" | "apng" => shown("image/png", Kind::Picture),
        "gif" => shown("image/gif", Kind::Picture),
        "webp" => shown("image/webp", Kind::Picture),
        "avif" => shown("image/avif", Kind::Picture),
        "bmp" => shown("image/bmp", Kind::Picture),
        "ico" => shown("image/x-icon", Kind::Picture),
        "heic" | "heif" => shown("image/heic", Kind::Picture),
        "tif" | "tiff" => shown("image/tiff", Kind::Picture),
        "jxl" => shown("image/jxl", Kind::Picture),
        "vtt" => shown("text/vtt; charset=utf-8", Kind::Text),
        "txt" | "text" | "log" | "nfo" | "md" | "markdown" | "csv" | "tsv" | "srt" | "ass" | "ssa" | "sub" | "cue"
        | "ini" | "cfg" | "conf" | "toml" | "yaml" | "yml" | "json" | "lrc" | "m3u" | "pls" | "rs" | "py" | "c"
        | "h" | "cpp" | "java" | "go" | "sh" | "sql" | "tex" | "diff" | "patch" => PLAIN,
        "m3u8" => shown("application/vnd.apple.mpegurl", Kind::Other),
        "mpd" => shown("application/dash+xml", Kind::Other),
        "pdf" => shown("application/pdf", Kind::Pdf),
        "html" | "htm" => attached("text/html; charset=utf-8"),
        "svg" | "svgz" => attached("image/svg+xml"),
        "xml" | "xhtml" | "xht" => attached("application/xml"),
        "zip" | "cbz" => attached("application/zip"),
        "epub" => attached("application/epub+zip"),
        "gz" | "tgz" => attached("application/gzip"),
        "7z" => attached("application/x-7z-compressed"),
        "tar" => attached("application/x-tar"),
        _ => UNKNOWN,
    }
}

/// The type by the name and the first bytes (`HEAD` of them are enough).
///
/// The name decides, except where it says nothing, and for `.ts`, which is television or TypeScript.
pub fn of(name: &[u8], head: &[u8]) -> ContentType {
    let named = of_name(name);
    if named == MPEG_TS && !is_transport_stream(head) && is_text(head) {
        return PLAIN;
    }
    if named == UNKNOWN && extension(name).is_none() { sniffed(head) } else { named }
}

/// Whether the type of a file of this name depends on its first bytes.
pub fn needs_head(name: &[u8]) -> bool {
    extension(name).is_none() || of_name(name) == MPEG_TS
}

/// A file without an extension. Text is not guessed here: what looks like text may be a page.
fn sniffed(head: &[u8]) -> ContentType {
    let at = |offset: usize, magic: &[u8]| head.get(offset..).is_some_and(|rest| rest.starts_with(magic));
    let brand = |brand: &[u8]| at(4, b"ftyp") && at(8, brand);
    if at(0, b"\xff\xd8\xff") {
        shown("image/jpeg", Kind::Picture)
    } else if at(0, b"\x89PNG\r\n\x1a\n") {
        shown("image/png", Kind::Picture)
    } else if at(0, b"GIF87a") || at(0, b"GIF89a") {
        shown("image/gif", Kind::Picture)
    } else if at(0, b"RIFF") && at(8, b"WEBP") {
        shown("image/webp", Kind::Picture)
    } else if brand(b"avif") {
        shown("image/avif", Kind::Picture)
    } else if brand(b"heic") || brand(b"mif1") {
        shown("image/heic", Kind::Picture)
    } else if brand(b"M4A ") {
        shown("audio/mp4", Kind::Audio)
    } else if at(4, b"ftyp") {
        shown("video/mp4", Kind::Video)
    } else if at(0, b"\x1a\x45\xdf\xa3") {
        let webm = head.iter().take(64).collect::<Vec<_>>().windows(4).any(|four| four.iter().copied().eq(b"webm"));
        shown(if webm { "video/webm" } else { "video/x-matroska" }, Kind::Video)
    } else if at(0, b"RIFF") && at(8, b"AVI ") {
        shown("video/x-msvideo", Kind::Video)
    } else if at(0, b"RIFF") && at(8, b"WAVE") {
        shown("audio/wav", Kind::Audio)
    } else if at(0, b"OggS") {
        shown("audio/ogg", Kind::Audio)
    } else if at(0, b"fLaC") {
        shown("audio/flac", Kind::Audio)
    } else if at(0, b"ID3") {
        shown("audio/mpeg", Kind::Audio)
    } else if at(0, b"%PDF-") {
        shown("application/pdf", Kind::Pdf)
    } else if is_transport_stream(head) {
        MPEG_TS
    } else {
        UNKNOWN
    }
}

/// MPEG transport stream: a packet begins every 188 bytes, or every 192 with a time stamp before each.
pub(super) fn is_transport_stream(head: &[u8]) -> bool {
    let sync = |at: usize| head.get(at) == Some(&0x47);
    (sync(0) && sync(188)) || (sync(4) && sync(196))
}

fn is_text(head: &[u8]) -> bool {
    let valid = match std::str::from_utf8(head) {
        Ok(_) => true,
        // A character cut by the end of the head.
        Err(error) => error.error_len().is_none(),
    };
    valid && !head.contains(&0)
}

/// The extension in lower case; none when there is none, or it is too odd to be in the table.
fn extension(name: &[u8]) -> Option<String> {
    let dot = name.iter().rposition(|byte| *byte == b'.')?;
    let extension = name.get(dot + 1..)?;
    let plausible = dot > 0 && (1..=8).contains(&extension.len());
    plausible.then(|| String::from_utf8_lossy(extension).to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_a_browser_would_run_is_an_attachment() {
        for name in ["a.html", "a.HTM", "a.svg", "a.svgz", "a.xml", "a.xhtml", "a.exe", "a", "a.js", "a.css", "a.swf"] {
            assert!(!of_name(name.as_bytes()).inline, "{name}");
        }
        for name in ["a.mp4", "a.MKV", "a.mp3", "a.Jpg", "a.txt", "a.vtt", "a.pdf", "x.tar.png"] {
            assert!(of_name(name.as_bytes()).inline, "{name}");
        }
        assert!(!of(b"page", b"<!doctype html><script>alert(1)</script>").inline);
        assert!(!of(b"page", b"<svg xmlns='http://www.w3.org/2000/svg'>").inline);
        assert!(!of(b"page.unknown", b"\xff\xd8\xff").inline, "an unknown extension is not overruled");
    }

    #[test]
    fn players_get_the_types_they_need() {
        let mime = |name: &str| of_name(name.as_bytes()).mime;
        assert_eq!(mime("x.m3u8"), "application/vnd.apple.mpegurl");
        assert_eq!(mime("x.ts"), "video/mp2t");
        assert_eq!(mime("x.m4s"), "video/iso.segment");
        assert_eq!(mime("x.vtt"), "text/vtt; charset=utf-8");
        assert_eq!(mime("x.mp4"), "video/mp4");
        assert_eq!(mime(".mp4"), "application/octet-stream", "a leading dot starts no extension");
    }

    #[test]
    fn television_and_typescript_are_told_apart() {
        let mut stream = vec![0; 400];
        stream[0] = 0x47;
        stream[188] = 0x47;
        assert_eq!(of(b"a.ts", &stream), MPEG_TS);
        assert_eq!(of(b"a.ts", b"export const x: number = 1;\n"), PLAIN);
        assert_eq!(of(b"a.ts", &[0, 1, 2]), MPEG_TS);
    }

    #[test]
    fn a_file_without_extension_is_known_by_its_first_bytes() {
        let rows: [(&[u8], &str); 8] = [
            (b"\x89PNG\r\n\x1a\n", "image/png"),
            (b"\0\0\0\x20ftypisom", "video/mp4"),
            (b"\0\0\0\x20ftypavif", "image/avif"),
            (b"\x1a\x45\xdf\xa3\x01\0\0\0\0\0\0\x1f\x42\x82\x84webm", "video/webm"),
            (b"\x1a\x45\xdf\xa3\x42\x82\x88matroska", "video/x-matroska"),
            (b"RIFF\0\0\0\0WAVEfmt ", "audio/wav"),
            (b"%PDF-1.7", "application/pdf"),
            (b"plain words", "application/octet-stream"),
        ];
        for (head, mime) in rows {
            assert_eq!(of(b"film", head).mime, mime);
        }
    }

    proptest! {
        #[test]
        fn nothing_that_looks_like_markup_is_shown_as_such(
            name in proptest::collection::vec(any::<u8>(), 0..12), head in proptest::collection::vec(any::<u8>(), 0..300)
        ) {
            let found = of(&name, &head);
            prop_assert!(!(found.inline && (found.mime.contains("html") || found.mime.contains("svg"))));
        }
    }
}
