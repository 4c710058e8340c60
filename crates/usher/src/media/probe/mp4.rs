//! MP4 and QuickTime (ISO/IEC 14496-12): the codecs of the tracks.
//!
//! Boxes are stepped over by their sizes, so that an index at the end of a long film costs two reads.

use super::codec::{self, Codec, Part};
use super::{Probe, ReadAt};

const MAX_BOXES: usize = 96;
const MAX_TRACKS: usize = 32;

/// A box: its four letters and where its content lies.
struct Found {
    name: [u8; 4],
    start: u64,
    end: u64,
}

/// The codecs of the sound and video tracks; none when there is no index.
pub(super) fn codecs<F: ReadAt + ?Sized>(probe: &mut Probe<'_, F>) -> Option<Vec<Codec>> {
    let moov = child(probe, 0, probe.size, b"moov")?;
    let mut codecs = Vec::new();
    let mut at = moov.start;
    for _ in 0..MAX_TRACKS {
        let Some(track) = child(probe, at, moov.end, b"trak") else { break };
        at = track.end;
        codecs.extend(of_track(probe, &track));
    }
    Some(codecs)
}

fn of_track<F: ReadAt + ?Sized>(probe: &mut Probe<'_, F>, track: &Found) -> Option<Codec> {
    let media = child(probe, track.start, track.end, b"mdia")?;
    let handler = child(probe, media.start, media.end, b"hdlr")?;
    // Version and flags, a reserved word, then what the track is.
    let part = match &probe.exactly::<4>(handler.start + 8)? {
        b"vide" => Part::Video,
        b"soun" => Part::Audio,
        _ => return None,
    };
    let mut inner = media;
    for name in [b"minf", b"stbl", b"stsd"] {
        inner = child(probe, inner.start, inner.end, name)?;
    }
    // Version and flags, the number of entries, then entries that look like boxes.
    let entry = next(probe, inner.start + 8, inner.end)?;
    let length = usize::try_from(entry.end - entry.start).unwrap_or(usize::MAX).min(1024);
    let content = probe.read(entry.start, length).unwrap_or_default();
    Some(match &entry.name {
        b"avc1" | b"avc2" | b"avc3" | b"avc4" => {
            codec::h264(after(&content, b"avcC").and_then(|avc| avc.get(1).copied()))
        }
        b"mp4a" => match after(&content, b"esds").and_then(object_type) {
            Some(object) => codec::of_object_type(object),
            None => codec::of_sample_entry(part, entry.name),
        },
        name => codec::of_sample_entry(part, *name),
    })
}

/// What follows a box's four letters inside an entry. The entry's fixed part differs between versions of
/// the format, so that the letters are looked for instead of counted to.
fn after<'a>(content: &'a [u8], name: &[u8; 4]) -> Option<&'a [u8]> {
    let at = content.windows(4).position(|window| window == name)?;
    content.get(at + 4..)
}

/// The object type in an `esds` box: descriptor 3 holds descriptor 4, which begins with it.
fn object_type(esds: &[u8]) -> Option<u8> {
    let descriptor = |bytes: &'_ [u8], tag: u8| -> Option<usize> {
        if bytes.first() != Some(&tag) {
            return None;
        }
        // The length takes one to four bytes; the high bit says that another follows.
        let length = bytes.get(1..5)?.iter().position(|byte| byte & 0x80 == 0)?;
        Some(length + 2)
    };
    let outer = esds.get(4..)?;
    let inner = outer.get(descriptor(outer, 3)?..)?;
    let flags = *inner.get(2)?;
    // Fields that the flags announce; the one of variable length is not worth following.
    let skip = 3 + if flags & 0x80 != 0 { 2 } else { 0 } + if flags & 0x20 != 0 { 2 } else { 0 };
    let inner = inner.get(skip..).filter(|_| flags & 0x40 == 0)?;
    inner.get(descriptor(inner, 4)?).copied()
}

fn child<F: ReadAt + ?Sized>(probe: &mut Probe<'_, F>, from: u64, end: u64, name: &[u8; 4]) -> Option<Found> {
    let mut at = from;
    for _ in 0..MAX_BOXES {
        let found = next(probe, at, end)?;
        if found.name == *name {
            return Some(found);
        }
        at = found.end;
    }
    None
}

/// The box at `at`, cut to `limit`. Always ends after where it began.
fn next<F: ReadAt + ?Sized>(probe: &mut Probe<'_, F>, at: u64, limit: u64) -> Option<Found> {
    if at.checked_add(8)? > limit {
        return None;
    }
    let [s0, s1, s2, s3, n0, n1, n2, n3] = probe.exactly::<8>(at)?;
    let (header, size) = match u32::from_be_bytes([s0, s1, s2, s3]) {
        // To the end of the file.
        0 => (8, limit - at),
        1 => (16, u64::from_be_bytes(probe.exactly::<8>(at + 8)?)),
        size => (8, u64::from(size)),
    };
    if size < header {
        return None;
    }
    let end = at.checked_add(size)?.min(limit);
    Some(Found { name: [n0, n1, n2, n3], start: (at + header).min(end), end })
}
