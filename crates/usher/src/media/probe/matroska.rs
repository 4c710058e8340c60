//! Matroska and WebM (RFC 8794, RFC 9559): the document type and the codecs of the tracks.

use super::codec::{self, Codec, Part};
use super::{Probe, ReadAt};

const EBML: u32 = 0x1a45_dfa3;
const DOC_TYPE: u32 = 0x4282;
const SEGMENT: u32 = 0x1853_8067;
const TRACKS: u32 = 0x1654_ae6b;
const TRACK_ENTRY: u32 = 0xae;
const TRACK_TYPE: u32 = 0x83;
const CODEC_ID: u32 = 0x86;
const MAX_ELEMENTS: usize = 128;

struct Element {
    id: u32,
    start: u64,
    end: u64,
    /// The file does not say where it ends (a live recording).
    open: bool,
}

/// Whether the file says that it is WebM, and the codecs of its sound and video tracks.
pub(super) fn codecs<F: ReadAt + ?Sized>(probe: &mut Probe<'_, F>) -> (bool, Vec<Codec>) {
    let size = probe.size;
    let Some(header) = next(probe, 0, size).filter(|header| header.id == EBML) else { return (false, Vec::new()) };
    let webm = child(probe, header.start, header.end, DOC_TYPE)
        .and_then(|kind| text(probe, &kind))
        .is_some_and(|kind| kind == "webm");
    let mut codecs = Vec::new();
    let tracks =
        child(probe, header.end, size, SEGMENT).and_then(|segment| child(probe, segment.start, segment.end, TRACKS));
    if let Some(tracks) = tracks {
        let mut at = tracks.start;
        for _ in 0..MAX_ELEMENTS {
            let Some(entry) = next(probe, at, tracks.end) else { break };
            at = entry.end;
            if entry.id == TRACK_ENTRY {
                codecs.extend(of_track(probe, &entry));
            }
        }
    }
    (webm, codecs)
}

fn of_track<F: ReadAt + ?Sized>(probe: &mut Probe<'_, F>, entry: &Element) -> Option<Codec> {
    let kind = child(probe, entry.start, entry.end, TRACK_TYPE)?;
    let last = kind.end.checked_sub(1).filter(|last| *last >= kind.start)?;
    let part = match probe.exactly::<1>(last)? {
        [1] => Part::Video,
        [2] => Part::Audio,
        _ => return None,
    };
    let id = child(probe, entry.start, entry.end, CODEC_ID)?;
    Some(codec::of_matroska(part, &text(probe, &id)?))
}

fn text<F: ReadAt + ?Sized>(probe: &mut Probe<'_, F>, element: &Element) -> Option<String> {
    let length = usize::try_from(element.end - element.start).ok().filter(|length| (1..=64).contains(length))?;
    let bytes = probe.read(element.start, length)?;
    // Strings may be padded with zeros.
    Some(String::from_utf8_lossy(&bytes).trim_end_matches('\0').to_owned())
}

fn child<F: ReadAt + ?Sized>(probe: &mut Probe<'_, F>, from: u64, end: u64, id: u32) -> Option<Element> {
    let mut at = from;
    for _ in 0..MAX_ELEMENTS {
        let found = next(probe, at, end)?;
        if found.id == id {
            return Some(found);
        }
        if found.open {
            return None;
        }
        at = found.end;
    }
    None
}

fn next<F: ReadAt + ?Sized>(probe: &mut Probe<'_, F>, at: u64, limit: u64) -> Option<Element> {
    if at >= limit {
        return None;
    }
    // An id takes up to 4 bytes and a size up to 8.
    let head = probe.read(at, 12)?;
    let id_length = usize::try_from(head.first()?.leading_zeros()).ok()? + 1;
    if id_length > 4 {
        return None;
    }
    let id = head.get(..id_length)?.iter().fold(0_u32, |id, byte| id << 8 | u32::from(*byte));
    let first = *head.get(id_length)?;
    let size_length = usize::try_from(first.leading_zeros()).ok()? + 1;
    if size_length > 8 {
        return None;
    }
    let mask = 0xff_u8.checked_shr(u32::try_from(size_length).ok()?).unwrap_or(0);
    let rest = head.get(id_length + 1..id_length + size_length)?;
    let size = rest.iter().fold(u64::from(first & mask), |size, byte| size << 8 | u64::from(*byte));
    // All ones: the size is unknown.
    let open = size == (1_u64 << (7 * size_length)) - 1;
    let start = at.checked_add(u64::try_from(id_length + size_length).ok()?)?.min(limit);
    let end = if open { limit } else { start.saturating_add(size).min(limit) };
    Some(Element { id, start, end, open })
}
