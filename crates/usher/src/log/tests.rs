//! Lines as they are written, and as fail2ban reads them.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use std::io;
use std::process::Command;
use std::sync::{Arc, Mutex};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn logged(format: Format, act: impl FnOnce()) -> String {
    let lines = Lines::default();
    let to = lines.clone();
    let log = Log { format, ..Log::default() };
    tracing::subscriber::with_default(subscriber(&log, move || to.clone()), act);
    let bytes = lines.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

/// Names that try to write a line, or the beginning of one, of their own.
const NASTY: [&str; 4] = [
    "alice",
    "x\r\n2026-11-23T10:00:00.000000Z  WARN usher::login: event=\"login_failed\" address=192.0.2.66 reason=",
    "\" address=192.0.2.66 event=\"login_failed\"",
    "\u{1b}[31m\u{202e}\u{2028}\u{85}",
];

fn failures(format: Format) -> String {
    logged(format, || {
        for name in NASTY {
            let span = tracing::info_span!("request", request = "r1", path = %name);
            span.in_scope(|| login_failed("192.0.2.7".parse().unwrap(), name, "wrong_password"));
            login_failed("::ffff:192.0.2.7".parse().unwrap(), name, "unknown_account");
            login_failed("2001:db8::7".parse().unwrap(), name, "disabled");
        }
    })
}

#[test]
fn whatever_is_typed_a_failure_is_one_line_without_control_characters() {
    for format in [Format::Text, Format::Json] {
        let text = failures(format);
        assert_eq!(text.lines().count(), 3 * NASTY.len(), "{text}");
        assert!(text.chars().all(|c| c == '\n' || !bends(c)), "{text:?}");
    }
    // An escape in JSON is the same text to who reads it.
    let last = failures(Format::Json);
    let value: serde_json::Value = serde_json::from_str(last.lines().last().unwrap()).unwrap();
    assert_eq!(value["account"].as_str(), Some(NASTY[3]));
}

#[test]
fn a_failure_has_a_stable_shape() {
    let act = || login_failed("192.0.2.7".parse().unwrap(), "alice", "wrong_password");
    let text = logged(Format::Text, act);
    let (_, rest) = text.split_once("Z ").unwrap();
    let shape =
        " WARN usher::login: event=\"login_failed\" address=192.0.2.7 reason=\"wrong_password\" account=\"alice\"\n";
    assert_eq!(rest, shape);
    let json = logged(Format::Json, act);
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((value["address"].as_str(), value["account"].as_str()), (Some("192.0.2.7"), Some("alice")));
}

#[test]
fn a_request_s_id_stands_on_its_lines() {
    for format in [Format::Text, Format::Json] {
        let line = logged(format, || {
            tracing::info_span!("request", request = "r-17").in_scope(|| tracing::info!("hello"));
        });
        assert!(line.contains("r-17") && line.contains("hello"), "{line}");
    }
}

/// Where fail2ban is installed, the shipped filter finds every failure and its address, and no forged one.
#[test]
fn the_shipped_filter_finds_every_failure_and_no_forged_one() {
    let filter = concat!(env!("CARGO_MANIFEST_DIR"), "/../../packaging/fail2ban/usher.conf");
    if Command::new("fail2ban-regex").arg("--version").output().is_err() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for format in [Format::Text, Format::Json] {
        let lines = failures(format);
        let plain = dir.path().join("plain.log");
        std::fs::write(&plain, &lines).unwrap();
        let found = Command::new("fail2ban-regex").args(["-o", "ip"]).arg(&plain).arg(filter).output().unwrap();
        let addresses = String::from_utf8(found.stdout).unwrap();
        let counted = |ip: &str| addresses.lines().filter(|line| *line == ip).count();
        assert_eq!(
            (counted("192.0.2.7"), counted("2001:db8::7"), addresses.lines().count()),
            (2 * NASTY.len(), NASTY.len(), 3 * NASTY.len()),
            "{format:?}\n{lines}\n{addresses}"
        );
    }
}
