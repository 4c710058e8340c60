//! Codecs by the names that containers give them.

/// Which part of a film a track is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Video,
    Audio,
}

/// A track's codec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Codec {
    pub(super) part: Part,
    /// In words.
    pub(super) name: String,
    /// Whether browsers play it.
    pub(super) plays: bool,
}

impl Codec {
    pub(super) fn new(part: Part, name: &str, plays: bool) -> Self {
        Codec { part, name: name.to_owned(), plays }
    }
}

/// H.264 by its profile (ITU-T H.264 annex A): browsers decode 8 bits and 4:2:0 only.
pub(super) fn h264(profile: Option<u8>) -> Codec {
    match profile {
        Some(110) => Codec::new(Part::Video, "10-bit H.264", false),
        Some(122 | 244 | 44) => Codec::new(Part::Video, "H.264 4:2:2 or 4:4:4", false),
        _ => Codec::new(Part::Video, "H.264", true),
    }
}

/// An MP4 sample entry (<https://mp4ra.org>), where the four letters say everything.
pub(super) fn of_sample_entry(part: Part, format: [u8; 4]) -> Codec {
    let (name, plays) = match &format {
        b"hvc1" | b"hev1" => ("HEVC (H.265)", false),
        b"vvc1" | b"vvi1" => ("VVC (H.266)", false),
        b"dvh1" | b"dvhe" | b"dva1" | b"dvav" => ("Dolby Vision", false),
        b"av01" => ("AV1", true),
        b"vp08" => ("VP8", true),
        b"vp09" => ("VP9", true),
        b"mp4v" => ("MPEG-4 Part 2", false),
        b"s263" | b"h263" => ("H.263", false),
        b"apch" | b"apcn" | b"apcs" | b"apco" | b"ap4h" | b"ap4x" => ("ProRes", false),
        b"jpeg" | b"mjpa" | b"mjpb" => ("Motion JPEG", false),
        b"encv" | b"enca" => ("encrypted", false),
        b"mp4a" => ("AAC", true),
        b".mp3" => ("MP3", true),
        b"Opus" => ("Opus", true),
        b"fLaC" => ("FLAC", true),
        b"ac-3" => ("Dolby Digital (AC-3)", false),
        b"ec-3" => ("Dolby Digital Plus (E-AC-3)", false),
        b"ac-4" => ("Dolby AC-4", false),
        b"mlpa" => ("Dolby TrueHD", false),
        b"dtsc" | b"dtsh" | b"dtsl" | b"dtse" | b"dtsx" => ("DTS", false),
        b"alac" => ("Apple Lossless (ALAC)", false),
        b"samr" | b"sawb" => ("AMR", false),
        b"sowt" | b"twos" | b"lpcm" | b"raw " | b"in24" | b"ipcm" => ("uncompressed PCM", false),
        _ => return Codec { part, name: unknown(&format), plays: false },
    };
    Codec::new(part, name, plays)
}

/// What an `mp4a` entry really holds, by its object type (ISO/IEC 14496-1).
pub(super) fn of_object_type(object: u8) -> Codec {
    let (name, plays) = match object {
        0x69 | 0x6b => ("MP3", true),
        0xa5 => ("Dolby Digital (AC-3)", false),
        0xa6 => ("Dolby Digital Plus (E-AC-3)", false),
        0xa9..=0xac => ("DTS", false),
        0xdd => ("Vorbis", false),
        _ => ("AAC", true),
    };
    Codec::new(Part::Audio, name, plays)
}

/// A Matroska codec (RFC 9559 section 5.1.4.1.21, and its registry of ids).
pub(super) fn of_matroska(part: Part, id: &str) -> Codec {
    let starts = |prefix: &str| id.starts_with(prefix);
    let (name, plays) = match id {
        "V_VP8" => ("VP8", true),
        "V_VP9" => ("VP9", true),
        "V_AV1" => ("AV1", true),
        "V_MPEG4/ISO/AVC" => ("H.264", true),
        "V_MPEGH/ISO/HEVC" => ("HEVC (H.265)", false),
        "V_MPEG1" => ("MPEG-1", false),
        "V_MPEG2" => ("MPEG-2", false),
        "V_THEORA" => ("Theora", false),
        "A_OPUS" => ("Opus", true),
        "A_VORBIS" => ("Vorbis", true),
        "A_FLAC" => ("FLAC", true),
        "A_MPEG/L3" => ("MP3", true),
        "A_EAC3" => ("Dolby Digital Plus (E-AC-3)", false),
        "A_TRUEHD" | "A_MLP" => ("Dolby TrueHD", false),
        "A_ALAC" => ("Apple Lossless (ALAC)", false),
        _ if starts("V_MPEG4/") => ("MPEG-4 Part 2", false),
        _ if starts("A_AAC") => ("AAC", true),
        _ if starts("A_AC3") => ("Dolby Digital (AC-3)", false),
        _ if starts("A_DTS") => ("DTS", false),
        _ if starts("A_PCM") => ("uncompressed PCM", false),
        _ => return Codec { part, name: unknown(id.as_bytes()), plays: false },
    };
    Codec::new(part, name, plays)
}

/// The container's own name, cut to what is safe to show.
fn unknown(name: &[u8]) -> String {
    let shown: String = name.iter().take(32).map(|b| char::from(*b)).filter(|c| c.is_ascii_graphic()).collect();
    if shown.is_empty() { "unknown".to_owned() } else { shown }
}
