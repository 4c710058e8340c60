//! Conditional requests (RFC 9110 section 13): whether to answer at all, and whether ranges count.
//!
//! The order is that of section 13.2.2. Every file has a strong entity tag, so that a range can never be
//! spliced from two versions of a file: `If-Range` is honoured only for that very tag, or for the exact
//! `Last-Modified` of a file that has been still for a minute (section 8.8.2.2).

use super::date;
use crate::time::Time;
use http::header::{self, HeaderMap, HeaderName};
use http::{HeaderValue, Method};
use std::time::Duration;

/// A date says which version a file is only when the file has not changed for this long.
const STILL_FOR: Duration = Duration::from_secs(60);

/// What a file's version is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validators {
    /// The strong entity tag, quotes included.
    pub etag: String,
    /// Whole seconds; never later than the answer's own date (section 8.8.2.1).
    pub last_modified: Time,
}

impl Validators {
    /// For a file of `size` bytes in the inode `ino`, changed `mtime_ns` nanoseconds after the epoch.
    pub fn new(ino: u64, size: u64, mtime_ns: i128, now: Time) -> Self {
        let changed = i64::try_from(mtime_ns.div_euclid(1_000_000_000)).unwrap_or(0);
        Validators {
            etag: format!("\"{ino:x}-{size:x}-{mtime_ns:x}\""),
            last_modified: Time::from_seconds(changed.min(now.seconds())),
        }
    }
}

/// What the conditions of a request come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Answer; `ranges` says whether `Range` may be looked at.
    Proceed {
        /// False when `If-Range` names another version.
        ranges: bool,
    },
    /// 304: the client has it.
    NotModified,
    /// 412: not the version the client meant.
    PreconditionFailed,
}

/// Weighs the conditions of a request for a file that exists.
pub fn evaluate(method: &Method, headers: &HeaderMap, file: &Validators, now: Time) -> Verdict {
    let read = method == Method::GET || method == Method::HEAD;
    if headers.contains_key(header::IF_MATCH) {
        if !names(headers, header::IF_MATCH, |tag| tag == file.etag) {
            return Verdict::PreconditionFailed;
        }
    } else if let Some(date) = date_of(headers, header::IF_UNMODIFIED_SINCE, now)
        && file.last_modified > date
    {
        return Verdict::PreconditionFailed;
    }
    if headers.contains_key(header::IF_NONE_MATCH) {
        if names(headers, header::IF_NONE_MATCH, |tag| tag.strip_prefix("W/").unwrap_or(tag) == file.etag) {
            return if read { Verdict::NotModified } else { Verdict::PreconditionFailed };
        }
    } else if read
        && let Some(date) = date_of(headers, header::IF_MODIFIED_SINCE, now)
        && file.last_modified <= date
    {
        return Verdict::NotModified;
    }
    Verdict::Proceed { ranges: if_range(headers, file, now) }
}

fn if_range(headers: &HeaderMap, file: &Validators, now: Time) -> bool {
    let mut lines = headers.get_all(header::IF_RANGE).iter();
    let Some(line) = lines.next() else { return true };
    let (Ok(line), None) = (line.to_str(), lines.next()) else { return false };
    if line.starts_with('"') {
        return line == file.etag;
    }
    let still = now.since(file.last_modified) > STILL_FOR;
    still && date::parse(line, now) == Some(file.last_modified)
}

/// One date line, or none: two lines, and what is no date, are ignored (sections 13.1.3 and 13.1.4).
fn date_of(headers: &HeaderMap, name: HeaderName, now: Time) -> Option<Time> {
    let mut lines = headers.get_all(name).iter();
    let (line, None) = (lines.next()?, lines.next()) else { return None };
    date::parse(line.to_str().ok()?, now)
}

/// Whether a list of entity tags holds `*` or a tag that `is` accepts. A malformed list names nothing from
/// the fault on.
fn names(headers: &HeaderMap, name: HeaderName, is: impl Fn(&str) -> bool) -> bool {
    headers.get_all(name).iter().any(|line| line_names(line, &is))
}

fn line_names(line: &HeaderValue, is: &impl Fn(&str) -> bool) -> bool {
    let Ok(line) = line.to_str() else { return false };
    if line.trim() == "*" {
        return true;
    }
    let mut rest = line;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let weak = if rest.starts_with("W/") { 2 } else { 0 };
        // The tag runs from quote to quote and may hold commas (section 8.8.3).
        let Some(opaque) = rest[weak..].strip_prefix('"') else { return false };
        let Some(end) = opaque.find('"') else { return false };
        let (tag, after) = rest.split_at(weak + end + 2);
        if is(tag) {
            return true;
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]
    use super::*;

    const NOW: Time = Time(1_795_000_000_000);
    const CHANGED: Time = Time(784_111_777_000);
    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const EARLIER: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const LATER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";
    const ALL: Verdict = Verdict::Proceed { ranges: true };
    const FULL: Verdict = Verdict::Proceed { ranges: false };

    fn file() -> Validators {
        Validators::new(0x1f, 1000, 784_111_777_500_000_000, NOW)
    }

    fn judge(lines: &[(&str, &str)]) -> Verdict {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        evaluate(&Method::GET, &headers, &file(), NOW)
    }

    #[test]
    fn the_tag_says_inode_size_and_time() {
        assert_eq!(file().etag, format!("\"1f-3e8-{:x}\"", 784_111_777_500_000_000_u64));
        assert_eq!(file().last_modified, CHANGED);
        let ahead = Validators::new(1, 1, i128::from(NOW.0 + 9_000_000) * 1_000_000, NOW);
        assert_eq!(ahead.last_modified, NOW, "never later than the answer itself");
    }

    #[test]
    fn conditions_hold_or_fail_as_the_rfc_says() {
        let tag = file().etag;
        let weak = format!("W/{tag}");
        let listed = format!("\"a,b\" , {tag}");
        let rows: Vec<(&[(&str, &str)], Verdict)> = vec![
            (&[], ALL),
            (&[("if-match", "*")], ALL),
            (&[("if-match", "\"other\"")], Verdict::PreconditionFailed),
            (&[("if-match", "garbage")], Verdict::PreconditionFailed),
            (&[("if-none-match", "*")], Verdict::NotModified),
            (&[("if-none-match", "\"other\"")], ALL),
            (&[("if-none-match", "garbage")], ALL),
            (&[("if-none-match", "*"), ("range", "bytes=0-9")], Verdict::NotModified),
            (&[("if-unmodified-since", EARLIER)], Verdict::PreconditionFailed),
            (&[("if-unmodified-since", DATE)], ALL),
            (&[("if-unmodified-since", "garbage")], ALL),
            (&[("if-modified-since", DATE)], Verdict::NotModified),
            (&[("if-modified-since", LATER)], Verdict::NotModified),
            (&[("if-modified-since", EARLIER)], ALL),
            (&[("if-modified-since", "garbage")], ALL),
            // A tag outranks a date, in both pairs.
            (&[("if-match", "*"), ("if-unmodified-since", EARLIER)], ALL),
            (&[("if-none-match", "\"other\""), ("if-modified-since", DATE)], ALL),
            (&[("if-match", "\"other\""), ("if-none-match", "*")], Verdict::PreconditionFailed),
            (&[("if-range", "\"other\"")], FULL),
            (&[("if-range", DATE)], ALL),
            (&[("if-range", EARLIER)], FULL),
            (&[("if-range", LATER)], FULL),
            (&[("if-range", "garbage")], FULL),
        ];
        for (lines, expected) in rows {
            assert_eq!(judge(lines), expected, "{lines:?}");
        }
        assert_eq!(judge(&[("if-match", &tag)]), ALL);
        assert_eq!(judge(&[("if-match", &listed)]), ALL);
        assert_eq!(judge(&[("if-match", &weak)]), Verdict::PreconditionFailed, "If-Match compares strongly");
        assert_eq!(judge(&[("if-none-match", &weak)]), Verdict::NotModified, "If-None-Match compares weakly");
        assert_eq!(judge(&[("if-none-match", "\"x\""), ("if-none-match", &listed)]), Verdict::NotModified);
        assert_eq!(judge(&[("if-range", &tag)]), ALL);
        assert_eq!(judge(&[("if-range", &weak)]), FULL);
        assert_eq!(judge(&[("if-range", &tag), ("if-range", &tag)]), FULL);
    }

    #[test]
    fn the_date_of_a_file_just_changed_vouches_for_nothing() {
        let fresh = CHANGED + Duration::from_secs(60);
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_RANGE, HeaderValue::from_static(DATE));
        assert_eq!(evaluate(&Method::GET, &headers, &file(), fresh), FULL);
        assert_eq!(evaluate(&Method::GET, &headers, &file(), fresh + Duration::from_secs(1)), ALL);
    }
}
