//! Whether a browser can play a file, and if not, what of it stands in the way.
//!
//! Only headers are read, within a fixed budget of reads and bytes, whatever the file claims about itself.
//! The verdict is about what browsers have in common: a codec that one browser plays on one machine (HEVC
//! on a Mac) counts as not playing. There is no transcoding here; the page offers another player.

mod codec;
mod matroska;
mod mp4;

use super::kind::{self, Kind};
use super::root::OpenFile;
use codec::{Codec, Part};
use rustix::io::Errno;

/// The most reads that one verdict costs.
pub const MAX_READS: usize = 400;
/// The most bytes that they ask for.
pub const MAX_BYTES: usize = 512 * 1024;

/// The verdict on a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Playability {
    /// Whether browsers play it.
    pub plays: bool,
    /// The container, in words.
    pub container: &'static str,
    /// The codecs found, in words.
    pub codecs: Vec<String>,
    /// What stands in the way, as a sentence; none when it plays.
    pub why_not: Option<String>,
}

/// Something that can be read at an offset.
pub trait ReadAt {
    /// Reads up to the buffer's length, as `pread` does: less at the end, and nothing beyond it.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<usize>;
}

impl ReadAt for OpenFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
        loop {
            match rustix::io::pread(&self.fd, &mut *buffer, offset) {
                Err(Errno::INTR) => {}
                result => return Ok(result?),
            }
        }
    }
}

impl ReadAt for [u8] {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.get(offset..)).unwrap_or(&[]);
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }
}

/// A file read within a budget.
struct Probe<'a, F: ReadAt + ?Sized> {
    file: &'a F,
    size: u64,
    reads: usize,
    bytes: usize,
}

impl<F: ReadAt + ?Sized> Probe<'_, F> {
    /// Up to `length` bytes at `offset`; none when the budget is spent, the disk fails or nothing is there.
    fn read(&mut self, offset: u64, length: usize) -> Option<Vec<u8>> {
        self.reads = self.reads.checked_sub(1)?;
        self.bytes = self.bytes.checked_sub(length)?;
        let mut buffer = vec![0; length];
        let got = self.file.read_at(&mut buffer, offset).ok().filter(|got| *got > 0)?;
        buffer.truncate(got);
        Some(buffer)
    }

    fn exactly<const N: usize>(&mut self, offset: u64) -> Option<[u8; N]> {
        self.read(offset, N)?.try_into().ok()
    }
}

/// Looks at the file of `size` bytes called `name`.
pub fn probe<F: ReadAt + ?Sized>(file: &F, size: u64, name: &[u8]) -> Playability {
    let mut probe = Probe { file, size, reads: MAX_READS, bytes: MAX_BYTES };
    let head = probe.read(0, kind::HEAD).unwrap_or_default();
    let at = |offset: usize, magic: &[u8]| head.get(offset..).is_some_and(|rest| rest.starts_with(magic));
    let content = kind::of(name, &head);
    if at(4, b"ftyp") && content.kind != Kind::Picture || at(4, b"moov") || at(4, b"mdat") || at(4, b"wide") {
        let container = if at(8, b"qt  ") || !at(4, b"ftyp") { "QuickTime (MOV)" } else { "MP4" };
        return match mp4::codecs(&mut probe) {
            Some(codecs) => judge(container, true, codecs),
            None => refused(container, "The file is incomplete: its index is missing.".to_owned()),
        };
    }
    if at(0, b"\x1a\x45\xdf\xa3") {
        let (webm, codecs) = matroska::codecs(&mut probe);
        return judge(if webm { "WebM" } else { "Matroska (MKV)" }, webm, codecs);
    }
    match simple(&head, content) {
        Some((container, plays)) => judge(container, plays, ogg(&head)),
        None => refused("unknown", "Browsers do not play this kind of file.".to_owned()),
    }
}

/// Containers that are judged by their first bytes or by their name.
fn simple(head: &[u8], content: kind::ContentType) -> Option<(&'static str, bool)> {
    let at = |offset: usize, magic: &[u8]| head.get(offset..).is_some_and(|rest| rest.starts_with(magic));
    if at(0, b"RIFF") && at(8, b"AVI ") {
        return Some(("AVI", false));
    }
    if at(0, b"RIFF") && at(8, b"WAVE") {
        return Some(("WAV", true));
    }
    if at(0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11") {
        return Some(("Windows Media (ASF)", false));
    }
    if at(0, b"FLV\x01") {
        return Some(("Flash Video (FLV)", false));
    }
    if at(0, b"\0\0\x01\xba") || at(0, b"\0\0\x01\xb3") {
        return Some(("MPEG-PS", false));
    }
    if kind::is_transport_stream(head) {
        return Some(("MPEG-TS", false));
    }
    if at(0, b".RMF") {
        return Some(("RealMedia", false));
    }
    if at(0, b"OggS") {
        return Some(("Ogg", true));
    }
    if at(0, b"fLaC") {
        return Some(("FLAC", true));
    }
    if at(0, b"MAC ") {
        return Some(("Monkey's Audio", false));
    }
    if at(0, b"wvpk") {
        return Some(("WavPack", false));
    }
    if at(0, b"FORM") {
        return Some(("AIFF", false));
    }
    if at(0, b"\x0b\x77") {
        return Some(("Dolby Digital (AC-3)", false));
    }
    if at(0, b"\x7f\xfe\x80\x01") {
        return Some(("DTS", false));
    }
    by_name(content.mime)
}

fn by_name(mime: &str) -> Option<(&'static str, bool)> {
    Some(match mime {
        "audio/mpeg" => ("MP3", true),
        "audio/aac" => ("AAC", true),
        "image/jpeg" => ("JPEG", true),
        "image/png" => ("PNG", true),
        "image/gif" => ("GIF", true),
        "image/webp" => ("WebP", true),
        "image/avif" => ("AVIF", true),
        "image/bmp" => ("BMP", true),
        "image/x-icon" => ("icon", true),
        "image/heic" => ("HEIC", false),
        "image/tiff" => ("TIFF", false),
        "image/jxl" => ("JPEG XL", false),
        "application/pdf" => ("PDF", true),
        "text/plain; charset=utf-8" | "text/vtt; charset=utf-8" => ("text", true),
        "audio/midi" => ("MIDI", false),
        "audio/amr" => ("AMR", false),
        "audio/ac3" => ("Dolby Digital (AC-3)", false),
        "audio/eac3" => ("Dolby Digital Plus (E-AC-3)", false),
        "audio/vnd.dts" => ("DTS", false),
        "application/vnd.apple.mpegurl" => ("HLS", false),
        "application/dash+xml" => ("DASH", false),
        _ => return None,
    })
}

/// The codec of an Ogg stream stands at the start of its first page.
fn ogg(head: &[u8]) -> Vec<Codec> {
    if !head.starts_with(b"OggS") {
        return Vec::new();
    }
    let has = |magic: &[u8]| head.windows(magic.len()).any(|window| window == magic);
    [
        (&b"OpusHead"[..], Codec::new(Part::Audio, "Opus", true)),
        (b"\x01vorbis", Codec::new(Part::Audio, "Vorbis", true)),
        (b"\x7fFLAC", Codec::new(Part::Audio, "FLAC", true)),
        (b"Speex   ", Codec::new(Part::Audio, "Speex", false)),
        (b"\x80theora", Codec::new(Part::Video, "Theora", false)),
    ]
    .into_iter()
    .filter(|(magic, _)| has(magic))
    .map(|(_, codec)| codec)
    .collect()
}

fn refused(container: &'static str, why: String) -> Playability {
    Playability { plays: false, container, codecs: Vec::new(), why_not: Some(why) }
}

/// A file plays when its container does and, of the video and of the sound each, one track does.
fn judge(container: &'static str, plays: bool, codecs: Vec<Codec>) -> Playability {
    let mut faults = Vec::new();
    if !plays {
        faults.push(container.to_owned());
    }
    for part in [Part::Video, Part::Audio] {
        let mut tracks = codecs.iter().filter(|codec| codec.part == part).peekable();
        if tracks.peek().is_some() && !tracks.clone().any(|codec| codec.plays) {
            for codec in tracks {
                let fault = match part {
                    Part::Video => format!("{} video", codec.name),
                    Part::Audio => format!("{} sound", codec.name),
                };
                if !faults.contains(&fault) {
                    faults.push(fault);
                }
            }
        }
    }
    let why_not = match faults.as_slice() {
        [] => None,
        [one] => Some(format!("Browsers do not play {one}.")),
        [first @ .., last] => Some(format!("Browsers do not play {} or {last}.", first.join(", "))),
    };
    let mut names = Vec::new();
    for codec in codecs {
        if !names.contains(&codec.name) {
            names.push(codec.name);
        }
    }
    Playability { plays: why_not.is_none(), container, codecs: names, why_not }
}

#[cfg(test)]
mod tests;
