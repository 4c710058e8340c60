//! A file of breached passwords, as SHA-1 digests in ascending order, in one of two forms: 20 bytes after
//! 20 bytes, or lines of 40 hexadecimal digits with an optional `:count` (as Have I Been Pwned publishes them).
//!
//! The file may be larger than memory: a look-up is a binary search that reads a few dozen bytes
//! some thirty times. SHA-1 is the files' choice, and is used to find, not to protect.

use aws_lc_rs::digest;
use std::cmp::Ordering;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

const DIGEST: usize = 20;
const HEX: usize = 2 * DIGEST;
/// The longest line: the digits, a colon, a count, and the line's end.
const LINE: usize = 64;

/// An open file of breached passwords.
#[derive(Debug)]
pub struct BreachFile {
    file: File,
    size: u64,
    form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Digests,
    Lines,
}

impl BreachFile {
    /// Opens `path` and finds out its form.
    ///
    /// # Errors
    /// It cannot be read, or begins with neither form.
    pub fn open(path: &Path) -> io::Result<BreachFile> {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        let mut start = [0; LINE];
        let got = fill(&file, &mut start, 0)?;
        let form = if is_line(&start[..got]) {
            Form::Lines
        } else if size > 0 && size.is_multiple_of(DIGEST as u64) {
            Form::Digests
        } else {
            let why = "neither lines of 40 hexadecimal digits nor a row of 20-byte SHA-1 digests";
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        };
        Ok(BreachFile { file, size, form })
    }

    /// Whether the password's digest is in the file.
    ///
    /// # Errors
    /// The file could not be read, or a line in it has not the form.
    pub fn contains(&self, password: &str) -> io::Result<bool> {
        let wanted = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes());
        match self.form {
            Form::Digests => self.among_digests(wanted.as_ref()),
            Form::Lines => self.among_lines(hex(wanted.as_ref()).as_bytes()),
        }
    }

    fn among_digests(&self, wanted: &[u8]) -> io::Result<bool> {
        let (mut low, mut high) = (0, self.size / DIGEST as u64);
        while low < high {
            let middle = low + (high - low) / 2;
            let mut found = [0; DIGEST];
            self.file.read_exact_at(&mut found, middle * DIGEST as u64)?;
            match found.as_slice().cmp(wanted) {
                Ordering::Equal => return Ok(true),
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
            }
        }
        Ok(false)
    }

    /// `low` and `high` are always the starts of lines, so each round reads the line around the middle.
    fn among_lines(&self, wanted: &[u8]) -> io::Result<bool> {
        let (mut low, mut high) = (0, self.size);
        while low < high {
            let (start, end, found) = self.line_around(low + (high - low) / 2, low)?;
            match found.as_slice().cmp(wanted) {
                Ordering::Equal => return Ok(true),
                Ordering::Less => low = end,
                Ordering::Greater => high = start,
            }
        }
        Ok(false)
    }

    /// Start, end (after the newline) and digits of the line that holds byte `at`; none starts before `low`.
    fn line_around(&self, at: u64, low: u64) -> io::Result<(u64, u64, [u8; HEX])> {
        let broken = || io::Error::new(io::ErrorKind::InvalidData, "a line is not 40 hexadecimal digits");
        let from = at.saturating_sub(LINE as u64).max(low);
        let mut window = [0; 2 * LINE + 1];
        let got = fill(&self.file, &mut window, from)?;
        let window = &window[..got];
        let middle = usize::try_from(at - from).map_err(|_| broken())?;
        let begin = match window.get(..middle).ok_or_else(broken)?.iter().rposition(|b| *b == b'\n') {
            Some(newline) => newline + 1,
            None if from == low => 0,
            None => return Err(broken()),
        };
        let length = match window[begin..].iter().position(|b| *b == b'\n') {
            Some(newline) => newline + 1,
            None if from + got as u64 == self.size => got - begin,
            None => return Err(broken()),
        };
        let line = &window[begin..begin + length];
        if !is_line(line) {
            return Err(broken());
        }
        let mut digits = [0; HEX];
        digits.copy_from_slice(&line[..HEX]);
        digits.make_ascii_uppercase();
        let start = from + begin as u64;
        Ok((start, start + length as u64, digits))
    }
}

/// Whether `bytes` begin with one entry.
fn is_line(bytes: &[u8]) -> bool {
    bytes.len() >= HEX
        && bytes[..HEX].iter().all(u8::is_ascii_hexdigit)
        && matches!(bytes.get(HEX), None | Some(b':' | b'\r' | b'\n'))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02X}")).collect()
}

/// Reads as much of `buffer` as the file has after `from`.
fn fill(file: &File, buffer: &mut [u8], from: u64) -> io::Result<usize> {
    let mut got = 0;
    while got < buffer.len() {
        match file.read_at(&mut buffer[got..], from + got as u64) {
            Ok(0) => break,
            Ok(more) => got += more,
            Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
            Err(why) => return Err(why),
        }
    }
    Ok(got)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a file that cannot be made is a failed test")]

    use super::*;
    use std::io::Write;

    fn sha1(password: &str) -> Vec<u8> {
        digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes()).as_ref().to_vec()
    }

    fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    fn sorted(count: usize) -> Vec<Vec<u8>> {
        let mut all: Vec<Vec<u8>> = (0..count).map(|i| sha1(&format!("breached {i}"))).collect();
        all.sort();
        all
    }

    /// The file with `digests` in each form: binary, bare lines, counts with CRLF, no newline at the end.
    fn forms(digests: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let lines = |end: &str, count: bool| {
            let line = |(i, d): (usize, &Vec<u8>)| {
                let count = if count { format!(":{}", i * 7919) } else { String::new() };
                format!("{}{count}{end}", hex(d))
            };
            digests.iter().enumerate().map(line).collect::<String>()
        };
        let counted = lines("\r\n", true);
        vec![
            digests.concat(),
            lines("\n", false).into_bytes(),
            lines("\n", true).to_ascii_lowercase().into_bytes(),
            counted.trim_end().as_bytes().to_vec(),
            counted.into_bytes(),
        ]
    }

    #[test]
    fn every_entry_is_found_and_nothing_else_in_every_form() {
        for count in [1, 2, 3, 500] {
            for bytes in forms(&sorted(count)) {
                let file = file(&bytes);
                let list = BreachFile::open(file.path()).unwrap();
                for i in 0..count {
                    assert!(list.contains(&format!("breached {i}")).unwrap(), "{i} of {count}");
                    assert!(!list.contains(&format!("unheard of {i}")).unwrap(), "{i} of {count}");
                }
            }
        }
    }

    #[test]
    fn a_file_of_another_kind_is_refused() {
        for bytes in [b"".as_slice(), b"password\n123456\n", b"0123456789"] {
            assert!(BreachFile::open(file(bytes).path()).is_err(), "{bytes:?}");
        }
        assert!(BreachFile::open(Path::new("/nonexistent/breached")).is_err());
    }

    #[test]
    fn a_broken_line_is_an_error_and_not_an_endless_search() {
        let mut bytes = forms(&sorted(64))[1].clone();
        let middle = bytes.len() / 2;
        bytes[middle - 200..middle + 200].fill(b'x');
        let file = file(&bytes);
        let list = BreachFile::open(file.path()).unwrap();
        assert!((0..64).any(|i| list.contains(&format!("breached {i}")).is_err()));
    }
}
