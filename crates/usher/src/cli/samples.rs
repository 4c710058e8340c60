//! Media made on the spot, so that a demonstration has something to play: a tune, a picture, a text.

use std::f64::consts::TAU;
use std::fs;
use std::io;
use std::path::Path;

/// Fills `folder` with a bucket of music and one of pictures.
pub fn make(folder: &Path) -> io::Result<()> {
    let (music, pictures) = (folder.join("music"), folder.join("pictures"));
    fs::create_dir_all(music.join("Slow"))?;
    fs::create_dir_all(&pictures)?;
    fs::write(music.join("Up the stairs.wav"), wave(&[0, 2, 4, 5, 7, 9, 11, 12], 0.4))?;
    fs::write(music.join("Down again.wav"), wave(&[12, 11, 9, 7, 5, 4, 2, 0], 0.4))?;
    fs::write(music.join("Slow/Lullaby.wav"), wave(&[7, 4, 7, 4, 9, 7, 5, 4, 2, 0], 0.9))?;
    fs::write(
        music.join("About these tunes.txt"),
        "Made by `usher demo`, note by note. They are gone when it ends.\n",
    )?;
    fs::write(pictures.join("Evening.bmp"), bitmap(640, 360, [20, 30, 80], [240, 150, 60]))?;
    fs::write(pictures.join("Morning.bmp"), bitmap(640, 360, [120, 190, 240], [250, 240, 200]))
}

const RATE: u32 = 22_050;

/// Mono PCM of 16 bits in a RIFF file: notes in half tones above middle C, each so many seconds long, each fading.
fn wave(notes: &[i32], seconds: f64) -> Vec<u8> {
    let length = (f64::from(RATE) * seconds).round();
    let mut samples: Vec<u8> = Vec::new();
    for note in notes {
        let pitch = 261.63 * (f64::from(*note) / 12.0).exp2();
        let mut at = 0.0;
        while at < length {
            let fade = (1.0 - at / length) * (at / 200.0).min(1.0);
            let turn = TAU * pitch * at / f64::from(RATE);
            let level = (turn.sin() + 0.3 * (2.0 * turn).sin()) * fade * 12_000.0;
            samples.extend(rounded(level).to_le_bytes());
            at += 1.0;
        }
    }
    let size = u32::try_from(samples.len()).unwrap_or(0);
    let mut file = Vec::with_capacity(samples.len() + 44);
    file.extend(b"RIFF");
    file.extend((size + 36).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(16_u32.to_le_bytes());
    file.extend(1_u16.to_le_bytes());
    file.extend(1_u16.to_le_bytes());
    file.extend(RATE.to_le_bytes());
    file.extend((RATE * 2).to_le_bytes());
    file.extend(2_u16.to_le_bytes());
    file.extend(16_u16.to_le_bytes());
    file.extend(b"data");
    file.extend(size.to_le_bytes());
    file.extend(samples);
    file
}

#[expect(clippy::cast_possible_truncation, reason = "clamped to what fits")]
fn rounded(level: f64) -> i16 {
    level.clamp(f64::from(i16::MIN), f64::from(i16::MAX)) as i16
}

/// A bitmap of 24 bits that fades from one colour at the top to another at the bottom.
fn bitmap(width: u32, height: u32, top: [u8; 3], bottom: [u8; 3]) -> Vec<u8> {
    // Rows are padded to four bytes; with a width that is a multiple of four there is no padding.
    let size = width * height * 3;
    let mut file = Vec::new();
    file.extend(b"BM");
    file.extend((size + 54).to_le_bytes());
    file.extend(0_u32.to_le_bytes());
    file.extend(54_u32.to_le_bytes());
    file.extend(40_u32.to_le_bytes());
    file.extend(width.to_le_bytes());
    file.extend(height.to_le_bytes());
    file.extend(1_u16.to_le_bytes());
    file.extend(24_u16.to_le_bytes());
    file.extend(0_u32.to_le_bytes());
    file.extend(size.to_le_bytes());
    file.extend([0; 16]);
    for row in 0..height {
        // The first row of the file is the lowest of the picture.
        let mix = |channel: usize| {
            let (low, high) = (u32::from(bottom[channel]), u32::from(top[channel]));
            u8::try_from((low * (height - row) + high * row) / height).unwrap_or(u8::MAX)
        };
        let pixel = [mix(2), mix(1), mix(0)];
        (0..width).for_each(|_| file.extend(pixel));
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_are_as_long_as_their_headers_say() {
        let tune = wave(&[0, 12], 0.1);
        assert_eq!(tune.len(), 44 + 2 * 2 * 2205);
        assert_eq!(tune[4..8], u32::try_from(tune.len() - 8).unwrap_or(0).to_le_bytes());
        let picture = bitmap(8, 2, [0; 3], [255; 3]);
        assert_eq!(picture.len(), 54 + 8 * 2 * 3);
        assert_eq!(picture[2..6], u32::try_from(picture.len()).unwrap_or(0).to_le_bytes());
    }
}
