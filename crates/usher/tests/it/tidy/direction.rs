//! Which module may name which.

use super::source::{Kind, Named, Source};
use super::tree::Tree;

const SERVER: &str = "crates/usher/src/";

/// Rooms that are no domain: the doors of the house, what it stands on, and what it is told.
const NO_DOMAIN: &[&str] = &[
    "http", "jobs", "json", "cli", "config", "pages", "ops", "log", "net", "id", "secret", "time", "cx", "lib", "main",
    "seal", "datadir",
];

/// The part of a domain that a file belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Door,
    Rules,
    Store,
    Other,
}

/// The top room of a file of the server: `sessions` for `crates/usher/src/sessions/store.rs`.
fn room<'a>(source: &Source<'a>) -> &'a str {
    let inside = source.path.trim_start_matches(SERVER);
    inside.split('/').next().unwrap_or(inside).trim_end_matches(".rs")
}

fn is_domain(room: &str) -> bool {
    !NO_DOMAIN.contains(&room)
}

fn part(source: &Source) -> Part {
    let inside = source.path.trim_start_matches(SERVER).trim_end_matches(".rs");
    let rooms: Vec<&str> = inside.split('/').skip(1).collect();
    match rooms.first() {
        Some(&("api" | "pages")) => Part::Door,
        Some(&"store") => Part::Store,
        Some(&"mod") => Part::Rules,
        _ => Part::Other,
    }
}

/// Whether a string is SQL. Upper case, as the house writes it, so that prose is not taken for it.
fn is_sql(text: &str) -> bool {
    let words: Vec<&str> = text.split_whitespace().collect();
    match words.as_slice() {
        ["SELECT" | "WITH" | "PRAGMA", ..] => words.len() > 1,
        ["INSERT", "INTO" | "OR", ..] | ["DELETE", "FROM", ..] => true,
        ["CREATE" | "DROP" | "ALTER", "TABLE" | "INDEX" | "UNIQUE", ..] => true,
        ["UPDATE", _, "SET", ..] => true,
        _ => false,
    }
}

/// Statements are declared in `store.rs` and nowhere else; nobody else writes SQL or names its types.
pub fn sql_stands_in_stores(tree: &Tree) -> Vec<String> {
    let mut breaches = Vec::new();
    for source in tree.sources(SERVER).filter(|source| part(source) != Part::Store) {
        let code = source.code();
        for pair in code.windows(2).filter(|pair| pair[0].text == "statements" && pair[1].text == "!") {
            breaches.push(source.breach(pair[0].line, "statements are declared in store.rs"));
        }
        for text in source.texts().filter(|token| is_sql(token.text)) {
            breaches.push(source.breach(text.line, "SQL is written in store.rs"));
        }
        for named in source.paths() {
            // The registry only gathers what the stores declare.
            let types: &[&str] = if source.path == REGISTRY { &[] } else { &["Point", "Scan", "Write", "Statement"] };
            if named.begins(&["usher_db"]) && named.parts.get(1).is_some_and(|part| types.contains(&part.as_str())) {
                breaches.push(source.breach(named.line, format!("{} belongs in store.rs", named.parts.join("::"))));
            }
        }
    }
    breaches
}

/// The list of all statements, for the test that prepares each.
const REGISTRY: &str = "crates/usher/src/schema.rs";

/// Crates that answer requests.
const DOORS: &[&str] =
    &["axum", "http", "http_body", "http_body_util", "hyper", "hyper_util", "tower", "tower_http", "askama"];
/// Crates that decide something: hashing, signing, judging.
const JUDGES: &[&str] = &["argon2", "bcrypt", "aws_lc_rs", "aws_lc_sys", "usher_verify", "zxcvbn", "unicode_security"];
/// Crates that speak to an engine.
const DRIVERS: &[&str] = &["rusqlite", "tokio_postgres", "deadpool_postgres"];
/// Rooms above the domains.
const ABOVE: &[&str] = &["http", "jobs", "cli", "pages"];

/// Whether a path begins in one of these crates. A lone word may be a name of our own; an import of a
/// whole crate is two words apart and has no part, so `use` before it tells.
fn of_crate<'a>(named: &Named, crates: &[&'a str]) -> Option<&'a str> {
    let first = named.parts.first()?;
    crates.iter().copied().find(|name| first == name && named.parts.len() > 1)
}

/// The crates of `crates` that are brought in whole: `use axum;`, `use axum as a;`, `extern crate axum`.
fn whole_crates<'a>(source: &Source<'a>, crates: &[&str]) -> Vec<(usize, &'a str)> {
    let code = source.code();
    let pairs = code.windows(3).filter(|three| {
        ["use", "crate"].contains(&three[0].text)
            && three[1].kind == Kind::Word
            && [";", "as"].contains(&three[2].text)
            && crates.contains(&three[1].text)
    });
    pairs.map(|three| (three[1].line, three[1].text)).collect()
}

fn names_crates(source: &Source, crates: &[&str], why: &str) -> Vec<String> {
    let whole = whole_crates(source, crates).into_iter().map(|(line, name)| (line, name.to_owned()));
    let parts = source.paths().into_iter().filter_map(|named| Some((named.line, of_crate(&named, crates)?.to_owned())));
    whole.chain(parts).map(|(line, name)| source.breach(line, format!("{name}: {why}"))).collect()
}

fn names_rooms(source: &Source, rooms: &[&str], why: &str) -> Vec<String> {
    let mut breaches = Vec::new();
    for named in source.paths() {
        if let Some(room) = rooms.iter().find(|room| named.begins(&["crate", room])) {
            breaches.push(source.breach(named.line, format!("crate::{room}: {why}")));
        }
    }
    breaches
}

/// `store.rs` turns values into rows and back. It answers no request and judges nothing.
pub fn stores_hold_no_rule(tree: &Tree) -> Vec<String> {
    let stores = tree.sources(SERVER).filter(|source| part(source) == Part::Store);
    let why = "a store knows rows only";
    stores
        .flat_map(|source| {
            let crates = [DOORS, JUDGES, DRIVERS].concat();
            let mut breaches = names_crates(&source, &crates, why);
            breaches.extend(names_rooms(&source, ABOVE, why));
            breaches
        })
        .collect()
}

/// A domain's `mod.rs` can be read and tested without HTTP and without an engine. Only usher-db
/// speaks to an engine at all.
pub fn rules_name_no_door_and_no_driver(tree: &Tree) -> Vec<String> {
    let mut breaches = Vec::new();
    for source in tree.sources(SERVER) {
        breaches.extend(names_crates(&source, DRIVERS, "only usher-db speaks to an engine"));
        if part(&source) == Part::Rules && is_domain(room(&source)) {
            breaches.extend(names_crates(&source, DOORS, "the rules of a domain know no HTTP"));
            breaches.extend(names_rooms(&source, ABOVE, "the rules of a domain know nothing above them"));
        }
    }
    breaches
}

/// A domain's store is its own, and its doors are for the router: others ask its `mod.rs`. The lists
/// of statements are the exception, since the registry prepares them all.
pub fn siblings_meet_through_mod(tree: &Tree) -> Vec<String> {
    let mut breaches = Vec::new();
    for source in tree.sources(SERVER) {
        let own = room(&source);
        for named in source.paths() {
            let [first, other, inner, ..] = named.parts.as_slice() else { continue };
            if first != "crate" || other == own || !is_domain(other) {
                continue;
            }
            let registry = named.parts.last().is_some_and(|last| last == "STATEMENTS");
            let doors = ["api", "pages"].contains(&inner.as_str()) && is_domain(own);
            if doors || (inner == "store" && !registry) {
                breaches.push(source.breach(named.line, format!("crate::{other}::{inner}: ask crate::{other}")));
            }
        }
    }
    breaches
}

/// `id`, `secret` and `time` stand on nothing but each other.
pub fn leaves_import_no_domain(tree: &Tree) -> Vec<String> {
    const LEAVES: &[&str] = &["id", "json", "secret", "time"];
    let mut breaches = Vec::new();
    for source in tree.sources(SERVER).filter(|source| LEAVES.contains(&room(source))) {
        for named in source.paths() {
            let other = named.parts.get(1).filter(|_| named.begins(&["crate"]));
            if let Some(other) = other.filter(|other| !LEAVES.contains(&other.as_str())) {
                breaches.push(source.breach(named.line, format!("crate::{other}: a leaf imports no other room")));
            }
        }
    }
    breaches
}
