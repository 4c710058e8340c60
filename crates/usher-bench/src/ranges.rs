//! Pieces of a file, 64 KiB each, as a player that seeks asks for them.

use crate::Told;
use crate::http::{self, Answer, Connection, Target};
use crate::load::Work;
use crate::rng::Rng;
use std::fs::File;
use std::io::Write;
use std::path::Path;

/// The length of a piece.
const PIECE: usize = 64 * 1024;
/// The file's name in its folder.
pub const NAME: &str = "film.webm";

/// Makes the file, of `size` bytes that no file system can leave out.
pub fn make_file(folder: &Path, size: usize) -> Told<()> {
    std::fs::create_dir_all(folder)?;
    let mut file = File::create(folder.join(NAME))?;
    let mut rng = Rng::of(7);
    let block: Vec<u8> = (0..1 << 20).map(|_| u8::try_from(rng.below(256)).unwrap_or(0)).collect();
    for _ in 0..size.div_ceil(block.len()) {
        file.write_all(&block)?;
    }
    Ok(file.sync_all()?)
}

/// The path of a media URL of the file, as the server at `to` gives it to whoever sends these fields.
pub async fn media_path(to: impl Into<Target>, fields: &str) -> Told<String> {
    let mut connection = Connection::open(to).await?;
    let answer = connection.exchange(&http::get("/api/v1/buckets/media/entries", fields)).await?;
    if answer.status != 200 {
        return Err(format!("the list of the folder is answered with {}", answer.status).into());
    }
    let list: serde_json::Value = serde_json::from_slice(answer.body)?;
    let mut entries = list["entries"].as_array().into_iter().flatten();
    let entry = entries.find(|entry| entry["name"] == NAME);
    let url = entry.and_then(|entry| entry["url"].as_str()).ok_or("the list of the folder has no URL of the file")?;
    let at = url.find("/m/").ok_or("a media URL has no /m/")?;
    Ok(url[at..].to_owned())
}

/// One connection's work.
pub struct Seeking {
    head: String,
    pieces: usize,
    rng: Rng,
    /// Answers that were not the piece.
    pub wrong: u64,
}

/// Work for `connections` on the file of `size` bytes at `path`.
pub fn seeking(path: &str, size: usize, connections: usize, round: usize) -> Vec<Seeking> {
    let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nRange: bytes=");
    let rng = |number: usize| Rng::of((5000 + round * 100 + number) as u64);
    let one = |number| Seeking { head: head.clone(), pieces: size / PIECE, rng: rng(number), wrong: 0 };
    (0..connections).map(one).collect()
}

impl Work for Seeking {
    fn next(&mut self, out: &mut Vec<u8>) {
        let start = self.rng.below(self.pieces) * PIECE;
        out.extend_from_slice(self.head.as_bytes());
        out.extend_from_slice(format!("{start}-{}\r\n\r\n", start + PIECE - 1).as_bytes());
    }

    fn judge(&mut self, answer: &Answer<'_>) {
        self.wrong += u64::from(answer.status != 206 || answer.body.len() != PIECE);
    }
}
