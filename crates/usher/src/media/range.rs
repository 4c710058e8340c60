//! Byte ranges (RFC 9110 section 14): which part of a file a request asks for.
//!
//! An invalid `Range` and an unknown unit are ignored, as section 14.2 allows: the whole file is answered.
//! One satisfiable range is answered 206. More than one satisfiable range is answered with the whole file
//! for now, which section 14.2 allows as well ("MAY ignore"); members that cannot be satisfied do not count.
//! Two `Range` lines are answered 400: choosing either would let two parties see different requests.

/// More members than this are not worth looking at: no player sends them.
const MAX_RANGES: usize = 8;

/// What to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ranged {
    /// The whole file, 200.
    Full,
    /// 206 with the bytes from `start` to `end`, both counted in (`start <= end < size`).
    Single {
        /// The first byte.
        start: u64,
        /// The last byte.
        end: u64,
    },
    /// 416 with `Content-Range: bytes */size`.
    Unsatisfiable,
    /// 400: more than one `Range` line.
    Bad,
}

enum Member {
    Invalid,
    /// Valid, but no byte of this file.
    Beyond,
    Bytes(u64, u64),
    /// A suffix of an empty file: satisfiable, and empty (section 14.1.2).
    Empty,
}

/// Decides for a file of `size` bytes, given every `Range` line of a GET.
pub fn decide<'a>(lines: impl IntoIterator<Item = &'a [u8]>, size: u64) -> Ranged {
    let mut lines = lines.into_iter();
    let Some(line) = lines.next() else { return Ranged::Full };
    if lines.next().is_some() {
        return Ranged::Bad;
    }
    let Some(set) = bytes_set(line) else { return Ranged::Full };
    let mut members = 0;
    let mut satisfiable = 0;
    let mut only = Ranged::Full;
    // Empty members are legal and mean nothing (section 5.6.1.2).
    for member in set.split(|byte| *byte == b',').map(trim).filter(|member| !member.is_empty()) {
        members += 1;
        if members > MAX_RANGES {
            return Ranged::Full;
        }
        match parse(member, size) {
            Member::Invalid => return Ranged::Full,
            Member::Beyond => {}
            Member::Empty => satisfiable += 1,
            Member::Bytes(start, end) => {
                satisfiable += 1;
                only = Ranged::Single { start, end };
            }
        }
    }
    match (members, satisfiable) {
        (0, _) => Ranged::Full,
        (_, 0) => Ranged::Unsatisfiable,
        (_, 1) => only,
        _ => Ranged::Full,
    }
}

/// What follows `bytes=`; the unit's case does not matter (section 14.1).
fn bytes_set(line: &[u8]) -> Option<&[u8]> {
    let line = trim(line);
    let (unit, set) = line.split_at_checked(6)?;
    unit.eq_ignore_ascii_case(b"bytes=").then_some(set)
}

fn parse(member: &[u8], size: u64) -> Member {
    let Some(dash) = member.iter().position(|byte| *byte == b'-') else { return Member::Invalid };
    let (first, last) = (&member[..dash], &member[dash + 1..]);
    match (first.is_empty(), last.is_empty()) {
        (true, true) => Member::Invalid,
        (true, false) => match digits(last) {
            None => Member::Invalid,
            Some(0) => Member::Beyond,
            Some(_) if size == 0 => Member::Empty,
            Some(length) => Member::Bytes(size.saturating_sub(length), size - 1),
        },
        (false, open) => {
            let Some(first) = digits(first) else { return Member::Invalid };
            let Some(last) = (if open { Some(u64::MAX) } else { digits(last) }) else { return Member::Invalid };
            if first > last {
                Member::Invalid
            } else if first >= size {
                Member::Beyond
            } else {
                Member::Bytes(first, last.min(size - 1))
            }
        }
    }
}

/// Digits only; a number that does not fit stands for "beyond any file".
fn digits(text: &[u8]) -> Option<u64> {
    text.iter().try_fold(0_u64, |value, byte| {
        byte.is_ascii_digit().then(|| value.saturating_mul(10).saturating_add(u64::from(byte - b'0')))
    })
}

fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn single(start: u64, end: u64) -> Ranged {
        Ranged::Single { start, end }
    }

    fn one(line: &str, size: u64) -> Ranged {
        decide([line.as_bytes()], size)
    }

    #[test]
    fn every_row_of_the_table_of_ranges() {
        let rows = [
            ("bytes=0-99", single(0, 99)),
            ("bytes=0-", single(0, 999)),
            ("bytes=-100", single(900, 999)),
            ("bytes=999-", single(999, 999)),
            ("bytes=00-09", single(0, 9)),
            ("bytes=0-1", single(0, 1)),
            ("bytes=0-5000", single(0, 999)),
            ("bytes=0-99999999999999999999", single(0, 999)),
            ("bytes=-5000", single(0, 999)),
            ("bytes=-0", Ranged::Unsatisfiable),
            ("bytes=1000-", Ranged::Unsatisfiable),
            ("bytes=1000-1000", Ranged::Unsatisfiable),
            ("bytes=99999999999999999999-", Ranged::Unsatisfiable),
            ("bytes=500-400", Ranged::Full),
            ("bytes=abc", Ranged::Full),
            ("bytes=", Ranged::Full),
            ("", Ranged::Full),
            ("bytes", Ranged::Full),
            ("bytes=-", Ranged::Full),
            ("bytes=1-2-3", Ranged::Full),
            ("bytes=+0-9", Ranged::Full),
            ("bytes=0x0-9", Ranged::Full),
            ("bytes=--5", Ranged::Full),
            ("bytes=0 - 9", Ranged::Full),
            ("bytes=,", Ranged::Full),
            ("bytes=0-9,", single(0, 9)),
            ("bytes=,0-9", single(0, 9)),
            ("bytes=0-9 , ", single(0, 9)),
            ("bytes=0-9\t,", single(0, 9)),
            ("Bytes=0-9", single(0, 9)),
            ("BYTES=0-9", single(0, 9)),
            ("items=0-9", Ranged::Full),
            ("bytes=0-0,2-2", Ranged::Full),
            ("bytes=0-,0-,0-", Ranged::Full),
            ("bytes=0-99,5000-", single(0, 99)),
            ("bytes=5000-,0-99", single(0, 99)),
            ("bytes=5000-,-0", Ranged::Unsatisfiable),
            ("bytes=5000-,x", Ranged::Full),
            ("bytes=5000-,5000-,5000-,5000-,5000-,5000-,5000-,5000-,0-9", Ranged::Full),
        ];
        for (line, expected) in rows {
            assert_eq!(one(line, 1000), expected, "{line:?}");
        }
    }

    #[test]
    fn an_empty_file_has_no_first_byte_but_an_empty_end() {
        assert_eq!(one("bytes=0-", 0), Ranged::Unsatisfiable);
        assert_eq!(one("bytes=-5", 0), Ranged::Full);
        assert_eq!(one("bytes=-0", 0), Ranged::Unsatisfiable);
    }

    #[test]
    fn no_line_is_the_whole_file_and_two_lines_are_malformed() {
        assert_eq!(decide([], 1000), Ranged::Full);
        assert_eq!(decide([&b"bytes=0-9"[..], b"bytes=0-9"], 1000), Ranged::Bad);
    }

    /// The rules again, over sets of byte positions instead of arithmetic.
    fn model(specs: &[(Option<u64>, Option<u64>)], size: u64) -> Ranged {
        let mut found = Vec::new();
        for (first, last) in specs {
            let bytes: Vec<u64> = match (first, last) {
                (Some(first), Some(last)) if first > last => return Ranged::Full,
                (None, None) => return Ranged::Full,
                (Some(first), last) => (0..size).filter(|b| b >= first && last.is_none_or(|l| *b <= l)).collect(),
                (None, Some(length)) => (0..size).filter(|b| b + length >= size).collect(),
            };
            let empty_end = size == 0 && first.is_none() && last.is_some_and(|l| l > 0);
            if !bytes.is_empty() || empty_end {
                found.push(bytes);
            }
        }
        match found.as_slice() {
            [] => Ranged::Unsatisfiable,
            [only] => match (only.first(), only.last()) {
                (Some(first), Some(last)) => single(*first, *last),
                _ => Ranged::Full,
            },
            _ => Ranged::Full,
        }
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_naive_model(
            specs in proptest::collection::vec((proptest::option::of(0_u64..40), proptest::option::of(0_u64..40)), 1..5),
            size in 0_u64..32,
        ) {
            let text = |n: &Option<u64>| n.map(|n| n.to_string()).unwrap_or_default();
            let members: Vec<String> = specs.iter().map(|(a, b)| format!("{}-{}", text(a), text(b))).collect();
            prop_assert_eq!(one(&format!("bytes={}", members.join(", ")), size), model(&specs, size));
        }

        #[test]
        fn any_line_gives_bytes_within_the_file(line in proptest::collection::vec(any::<u8>(), 0..40), size: u64) {
            let line = [b"bytes=".as_slice(), &line].concat();
            if let Ranged::Single { start, end } = decide([line.as_slice()], size) {
                prop_assert!(start <= end && end < size);
            }
        }

        #[test]
        fn range_like_lines_never_leave_the_file(line in "[bB]ytes=[0-9, -]{0,50}", size in 0_u64..2000) {
            if let Ranged::Single { start, end } = one(&line, size) {
                prop_assert!(start <= end && end < size);
            }
        }
    }
}
