use super::*;
use proptest::prelude::*;

fn boxed(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let size = u32::try_from(content.len() + 8).unwrap_or(0);
    [&size.to_be_bytes()[..], name, content].concat()
}

fn track(handler: &[u8; 4], entry: Vec<u8>) -> Vec<u8> {
    let stsd = boxed(b"stsd", &[&[0, 0, 0, 0, 0, 0, 0, 1][..], &entry].concat());
    let minf = boxed(b"minf", &[boxed(b"vmhd", &[0; 12]), boxed(b"stbl", &stsd)].concat());
    let hdlr = boxed(b"hdlr", &[&[0; 8][..], handler, &[0; 12]].concat());
    boxed(b"trak", &boxed(b"mdia", &[boxed(b"mdhd", &[0; 24]), hdlr, minf].concat()))
}

fn video(format: &[u8; 4]) -> Vec<u8> {
    track(b"vide", boxed(format, &[0; 78]))
}

fn h264(profile: u8) -> Vec<u8> {
    track(b"vide", boxed(b"avc1", &[&[0; 78][..], &boxed(b"avcC", &[1, profile, 0, 31])].concat()))
}

fn sound(format: &[u8; 4]) -> Vec<u8> {
    track(b"soun", boxed(format, &[0; 28]))
}

fn mp4a(object: u8) -> Vec<u8> {
    let esds = [0, 0, 0, 0, 3, 0x80, 0x80, 0x80, 0x22, 0, 1, 0, 4, 0x80, 0x80, 0x80, 0x14, object, 0x15];
    track(b"soun", boxed(b"mp4a", &[&[0; 28][..], &boxed(b"esds", &esds)].concat()))
}

fn mp4(tracks: &[Vec<u8>]) -> Vec<u8> {
    let mdat = boxed(b"mdat", &[0xaa; 5000]);
    let moov = boxed(b"moov", &[boxed(b"mvhd", &[0; 100]), tracks.concat()].concat());
    [boxed(b"ftyp", b"isom\0\0\x02\0isomiso2"), mdat, moov].concat()
}

fn of(file: &[u8], name: &str) -> Playability {
    probe(file, u64::try_from(file.len()).unwrap_or(0), name.as_bytes())
}

fn why(file: &[u8]) -> Option<String> {
    of(file, "x.bin").why_not
}

#[test]
fn an_mp4_plays_by_its_codecs_even_with_the_index_at_the_end() {
    let film = of(&mp4(&[h264(100), mp4a(0x40)]), "film.mp4");
    assert_eq!(
        film,
        Playability { plays: true, container: "MP4", codecs: vec!["H.264".into(), "AAC".into()], why_not: None }
    );
    for tracks in [vec![video(b"av01"), sound(b"Opus")], vec![video(b"vp09")], vec![sound(b"fLaC")], vec![mp4a(0x6b)]] {
        assert_eq!(why(&mp4(&tracks)), None);
    }
}

#[test]
fn an_mp4_that_does_not_play_says_which_codec() {
    let rows = [
        (vec![video(b"hvc1"), mp4a(0x40)], "Browsers do not play HEVC (H.265) video."),
        (
            vec![video(b"hev1"), sound(b"ac-3")],
            "Browsers do not play HEVC (H.265) video or Dolby Digital (AC-3) sound.",
        ),
        (vec![h264(100), sound(b"ec-3")], "Browsers do not play Dolby Digital Plus (E-AC-3) sound."),
        (vec![h264(100), sound(b"dtsc")], "Browsers do not play DTS sound."),
        (vec![h264(110), mp4a(0x40)], "Browsers do not play 10-bit H.264 video."),
        (vec![h264(100), mp4a(0xa5)], "Browsers do not play Dolby Digital (AC-3) sound."),
        (vec![video(b"mp4v")], "Browsers do not play MPEG-4 Part 2 video."),
        (vec![sound(b"alac")], "Browsers do not play Apple Lossless (ALAC) sound."),
        (vec![video(b"zz<z")], "Browsers do not play zz<z video."),
    ];
    for (tracks, expected) in rows {
        assert_eq!(why(&mp4(&tracks)).as_deref(), Some(expected));
    }
    assert_eq!(why(&mp4(&[h264(77), sound(b"ac-3"), mp4a(0x40)])), None, "one sound track that plays is enough");
    let subtitled = mp4(&[h264(77), track(b"sbtl", boxed(b"tx3g", &[0; 20]))]);
    assert_eq!(why(&subtitled), None, "subtitles stand in nobody's way");
}

#[test]
fn an_mp4_cut_short_says_so() {
    let whole = mp4(&[h264(100)]);
    let cut = of(&whole[..3000], "film.mp4");
    assert!(!cut.plays);
    assert_eq!(cut.why_not.as_deref(), Some("The file is incomplete: its index is missing."));
}

#[test]
fn a_large_box_is_stepped_over_and_not_read() {
    /// A head, and the index `far` behind it; what lies between costs no memory.
    struct Film {
        head: Vec<u8>,
        index: Vec<u8>,
        far: u64,
    }
    impl ReadAt for Film {
        fn read_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
            match offset.checked_sub(self.far) {
                Some(offset) => self.index.as_slice().read_at(buffer, offset),
                None => self.head.as_slice().read_at(buffer, offset),
            }
        }
    }
    let far = 80_000_000_000_u64;
    let ftyp = boxed(b"ftyp", b"isom\0\0\x02\0");
    let from = u64::try_from(ftyp.len()).unwrap_or(0);
    let head = [&ftyp[..], &[0, 0, 0, 1], b"mdat", &(far - from).to_be_bytes()].concat();
    let index = boxed(b"moov", &[h264(100), mp4a(0x40)].concat());
    let size = far + u64::try_from(index.len()).unwrap_or(0);
    let film = Film { head, index, far };
    let seen = probe(&film, size, b"film.mp4");
    assert_eq!(seen.codecs, ["H.264", "AAC"]);
}

fn element(id: &[u8], content: &[u8]) -> Vec<u8> {
    let size = u64::try_from(content.len()).unwrap_or(0) | 1 << 56;
    [id, &size.to_be_bytes(), content].concat()
}

fn ebml(doc_type: &str, tracks: &[(u8, &str)]) -> Vec<u8> {
    let entries: Vec<u8> = tracks
        .iter()
        .flat_map(|(kind, codec)| {
            element(&[0xae], &[element(&[0x83], &[*kind]), element(&[0x86], codec.as_bytes())].concat())
        })
        .collect();
    let segment = [element(&[0x15, 0x49, 0xa9, 0x66], &[0; 40]), element(&[0x16, 0x54, 0xae, 0x6b], &entries)].concat();
    // A segment of unknown size, as live recordings have.
    let open = [&[0x18, 0x53, 0x80, 0x67, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff][..], &segment].concat();
    [element(&[0x1a, 0x45, 0xdf, 0xa3], &element(&[0x42, 0x82], doc_type.as_bytes())), open].concat()
}

#[test]
fn webm_plays_and_matroska_does_not() {
    let webm = of(&ebml("webm", &[(1, "V_VP9"), (2, "A_OPUS")]), "x.webm");
    assert_eq!((webm.plays, webm.container), (true, "WebM"));
    assert_eq!(webm.codecs, ["VP9", "Opus"]);
    let named = of(&ebml("matroska", &[(1, "V_VP9"), (2, "A_OPUS")]), "x.webm");
    assert_eq!(named.why_not.as_deref(), Some("Browsers do not play Matroska (MKV)."), "the name changes nothing");
    let mkv = of(&ebml("matroska", &[(1, "V_MPEGH/ISO/HEVC"), (2, "A_DTS"), (17, "S_TEXT/UTF8")]), "x.mkv");
    assert_eq!(mkv.why_not.as_deref(), Some("Browsers do not play Matroska (MKV), HEVC (H.265) video or DTS sound."));
    assert_eq!(mkv.codecs, ["HEVC (H.265)", "DTS"]);
}

#[test]
fn other_containers_are_known_by_their_first_bytes() {
    let mut stream = vec![0; 400];
    stream[0] = 0x47;
    stream[188] = 0x47;
    let rows: [(&[u8], &str, &str, bool); 12] = [
        (b"RIFF\0\0\0\0AVI LIST", "x.avi", "AVI", false),
        (b"RIFF\0\0\0\0WAVEfmt ", "x.wav", "WAV", true),
        (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "x.wmv", "Windows Media (ASF)", false),
        (b"FLV\x01", "x.flv", "Flash Video (FLV)", false),
        (b"\0\0\x01\xba", "x.mpg", "MPEG-PS", false),
        (&stream, "x.ts", "MPEG-TS", false),
        (b"OggS\0\x02\0\0\0\0\0\0\0\0OpusHead", "x.ogg", "Ogg", true),
        (b"OggS\0\x02\0\0\0\0\0\0\0\0\x80theora", "x.ogv", "Ogg", false),
        (b"ID3\x04", "x.mp3", "MP3", true),
        (b"\xff\xd8\xff", "x.jpg", "JPEG", true),
        (b"II*\0", "x.tiff", "TIFF", false),
        (b"\x0b\x77", "x.ac3", "Dolby Digital (AC-3)", false),
    ];
    for (file, name, container, plays) in rows {
        let seen = of(file, name);
        assert_eq!((seen.container, seen.plays), (container, plays), "{name}");
        assert_eq!(seen.why_not.is_none(), plays);
    }
    assert!(!of(b"", "x.bin").plays);
}

/// Counts what is read.
struct Counted<'a>(&'a [u8], std::cell::Cell<(usize, usize)>);

impl ReadAt for Counted<'_> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
        let (reads, bytes) = self.1.get();
        self.1.set((reads + 1, bytes + buffer.len()));
        self.0.read_at(buffer, offset)
    }
}

fn bounded(file: &[u8], size: u64) -> Result<(), TestCaseError> {
    let counted = Counted(file, std::cell::Cell::new((0, 0)));
    let _ = probe(&counted, size, b"x.mp4");
    let (reads, bytes) = counted.1.get();
    prop_assert!(reads <= MAX_READS && bytes <= MAX_BYTES);
    Ok(())
}

proptest! {
    #[test]
    fn damaged_films_cost_bounded_reads_and_no_panic(
        hits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12), size: u64, matroska: bool
    ) {
        let mut file = if matroska {
            ebml("webm", &[(1, "V_VP9"), (2, "A_OPUS")])
        } else {
            mp4(&[h264(100), mp4a(0x40)])
        };
        for (at, byte) in hits {
            let at = at.index(file.len());
            file[at] = byte;
        }
        bounded(&file, size)?;
    }

    #[test]
    fn noise_behind_a_magic_costs_bounded_reads_and_no_panic(
        noise in proptest::collection::vec(any::<u8>(), 0..600), size: u64, matroska: bool
    ) {
        let magic: &[u8] = if matroska { b"\x1a\x45\xdf\xa3" } else { b"\0\0\0\x08ftyp" };
        bounded(&[magic, &noise].concat(), size)?;
    }
}
