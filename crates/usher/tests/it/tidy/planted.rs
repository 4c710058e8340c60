//! Each rule catches what it is for, and nothing beside it.
//!
//! [`house`] is a small tree that keeps every rule, close to the edge: its comments and strings hold
//! the words that would be breaches in code. Every test puts one file more, or another one, into it.

use super::tree::Tree;
use super::{RULES, Rule, build, direction, text};

fn house() -> Tree {
    Tree::of(&[
        ("crates/usher/src/lib.rs", "//! Usher, small.\nmod http; mod id; mod media; mod sessions; mod time;"),
        ("crates/usher/src/main.rs", "//! Starts Usher.\nfn main() { run(std::env::vars()) }"),
        ("crates/usher/src/http/mod.rs", "//! The router.\nuse axum::Router; use crate::sessions::api;"),
        ("crates/usher/src/id.rs", "use crate::time::Time; // Not crate::sessions.\n"),
        ("crates/usher/src/time.rs", "fn now() { std::time::SystemTime::now(); }"),
        (
            "crates/usher/src/media/mod.rs",
            "//! Media: what axum would do.\nuse crate::sessions::Session;\nconst M: &str = include_str!(\"../../migrations/0001_sessions.sql\");",
        ),
        (
            "crates/usher/src/sessions/mod.rs",
            "//! Sessions, ended once.\nmod api; mod store;\n/* todo: no. axum::Router */ use self::store::find;",
        ),
        (
            "crates/usher/src/sessions/api.rs",
            "use axum::Json; use super::Session; const S: &str = \"Select a film, update your list\";",
        ),
        (
            "crates/usher/src/sessions/store.rs",
            "// axum::Router is not here.\nusher_db::statements! { FIND: Point = \"SELECT id FROM sessions WHERE id = $1\"; }",
        ),
        ("crates/usher/tests/it/main.rs", "//! Tests.\nconst IGNORE: &str = \"#[ignore]\"; fn ignore() {} "),
        ("crates/usher-db/Cargo.toml", "[dependencies]\nrusqlite = \"1\"\n"),
        (
            "crates/usher-db/src/lib.rs",
            "//! Storage, of fruit.\n// SELECT id FROM sessions\nconst A: &str = \"SELECT id FROM fruits\";",
        ),
        ("crates/usher-verify/Cargo.toml", "[package]\nname = \"usher-verify\"\n[dependencies]\nserde = \"1\"\n"),
        ("migrations/0001_sessions.sql", "-- CREATE TABLE fruits\nCREATE TABLE sessions (id TEXT);"),
    ])
}

/// The breaches that `rule` finds once `text` lies at `path`.
fn planted(rule: Rule, path: &str, text: &str) -> Vec<String> {
    rule(&house().with(path, text))
}

/// Shows that `rule` finds one breach in `text` at `path`, there.
fn catches(rule: Rule, path: &str, text: &str) {
    let breaches = planted(rule, path, text);
    assert_eq!(breaches.len(), 1, "{text}: {breaches:?}");
    assert!(breaches[0].starts_with(path), "{breaches:?}");
}

const LIB: &str = "crates/usher/src/lib.rs";
const API: &str = "crates/usher/src/sessions/api.rs";
const STORE: &str = "crates/usher/src/sessions/store.rs";
const RULES_OF_SESSIONS: &str = "crates/usher/src/sessions/mod.rs";
const RULES_OF_MEDIA: &str = "crates/usher/src/media/mod.rs";

#[test]
fn the_small_house_keeps_every_rule() {
    for (name, rule) in RULES {
        assert_eq!(rule(&house()), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn sql_outside_a_store_is_caught() {
    let rule = direction::sql_stands_in_stores;
    catches(rule, API, "statements! { A: Point = \"x\"; }");
    catches(rule, API, "const A: &str = \"UPDATE sessions SET ended_at = $1\";");
    catches(rule, API, "const A: &str = r#\"\n    DELETE FROM sessions\"#;");
    catches(rule, API, "use usher_db::{Db, Point};");
    catches(rule, "crates/usher/src/sessions/pages.rs", "fn f(s: &usher_db::Write) {}");
    catches(rule, RULES_OF_MEDIA, "const A: &str = \"SELECT id FROM items\";");
}

#[test]
fn a_rule_or_a_door_in_a_store_is_caught() {
    let rule = direction::stores_hold_no_rule;
    catches(rule, STORE, "use axum::http::StatusCode;");
    catches(rule, STORE, "use {bytes::Bytes, hyper::body::Incoming};");
    catches(rule, STORE, "fn f() { argon2::hash(); }");
    catches(rule, STORE, "use usher_verify as v;");
    catches(rule, STORE, "use crate::http::Failure;");
    catches(rule, "crates/usher/src/sessions/store/rows.rs", "use super::super::super::http::Failure;");
}

#[test]
fn a_door_or_a_driver_in_a_domain_is_caught() {
    let rule = direction::rules_name_no_door_and_no_driver;
    catches(rule, RULES_OF_SESSIONS, "use axum::Json;");
    catches(rule, RULES_OF_SESSIONS, "fn f() -> http::StatusCode { todo() }");
    catches(rule, RULES_OF_SESSIONS, "use rusqlite;");
    catches(rule, RULES_OF_SESSIONS, "use super::http::Failure;");
    catches(rule, STORE, "use rusqlite::Connection;");
}

#[test]
fn a_sibling_that_goes_past_mod_rs_is_caught() {
    let rule = direction::siblings_meet_through_mod;
    catches(rule, RULES_OF_MEDIA, "use crate::sessions::store;");
    catches(rule, RULES_OF_MEDIA, "use crate::{time::Time, sessions::{Session, store::find}};");
    catches(rule, RULES_OF_MEDIA, "fn f() { super::sessions::store::find() }");
    catches(rule, RULES_OF_MEDIA, "use crate::sessions::api::page;");
    catches(rule, "crates/usher/src/http/mod.rs", "use crate::sessions::store::find;");
    assert!(planted(rule, LIB, "const ALL: A = [crate::sessions::store::STATEMENTS];").is_empty());
}

#[test]
fn a_leaf_that_imports_a_domain_is_caught() {
    let rule = direction::leaves_import_no_domain;
    catches(rule, "crates/usher/src/id.rs", "use crate::sessions::Session;");
    catches(rule, "crates/usher/src/secret/text.rs", "use crate::{time::Time, http::Failure};");
}

#[test]
fn a_table_of_the_server_in_usher_db_is_caught() {
    let rule = build::usher_db_knows_no_table;
    catches(rule, "crates/usher-db/src/feed.rs", "const A: &str = \"SELECT id FROM sessions\";");
    catches(rule, "crates/usher-db/src/feed.rs", "const A: &str = \"INSERT INTO sessions(id) VALUES ($1)\";");
}

#[test]
fn a_library_that_depends_on_the_server_is_caught() {
    let rule = build::the_libraries_know_no_server;
    catches(rule, "crates/usher-verify/Cargo.toml", "[dependencies]\nusher-db.workspace = true\n");
    catches(rule, "crates/usher-verify/Cargo.toml", "[dev-dependencies.usher]\npath = \"../usher\"\n");
    catches(rule, "crates/usher-db/Cargo.toml", "[dependencies]\nusher = { path = \"../usher\" }\n");
}

#[test]
fn a_migration_that_never_runs_is_caught() {
    let rule = build::every_migration_is_listed;
    catches(rule, "migrations/0002_seats.sql", "CREATE TABLE seats (id TEXT);");
    let gap = house()
        .with("migrations/0003_seats.sql", "")
        .with(LIB, "const A: &str = include_str!(\"../../../migrations/0003_seats.sql\");");
    assert_eq!(rule(&gap).len(), 1);
}

#[test]
fn a_file_that_is_never_compiled_is_caught() {
    let rule = build::no_file_is_forgotten;
    catches(rule, "crates/usher/src/seats/mod.rs", "//! Seats.");
    catches(rule, "crates/usher/src/sessions/rows.rs", "");
    catches(rule, "crates/usher/tests/it/races.rs", "");
    assert!(planted(rule, "crates/usher/src/bin/other.rs", "").is_empty());
    let beside = house().with(API, "#[path = \"api_tests.rs\"]\nmod tests;");
    assert!(rule(&beside.with("crates/usher/src/sessions/api_tests.rs", "")).is_empty());
    assert_eq!(rule(&beside.with("crates/usher/src/sessions/other_tests.rs", "")).len(), 1);
}

#[test]
fn asking_the_machine_is_caught() {
    let rule = text::time_and_waiting_are_values;
    catches(rule, API, "fn f() { let now = std::time::SystemTime::now(); }");
    catches(rule, API, "use std::time::SystemTime; macro_rules! m { () => { SystemTime::now() } }");
    catches(rule, "crates/usher/tests/it/main.rs", "fn f() { std::thread::sleep(d) }");
    catches(rule, RULES_OF_MEDIA, "use std::{fs, env::{self, var}};");
    catches(rule, "crates/usher-db/src/lib.rs", "fn f() { std::process::exit(1) }");
}

#[test]
fn a_long_file_is_caught_unless_excepted_with_a_reason() {
    let long = "fn f() {}\n".repeat(701);
    catches(text::no_file_is_too_long, API, &long);
    assert!(planted(text::no_file_is_too_long, API, &long[10..]).is_empty());
    let tree = house().with(API, &long);
    assert!(text::too_long(&tree, &[(API, "a table")]).is_empty());
    assert_eq!(text::too_long(&tree, &[(API, "")]).len(), 1);
    assert_eq!(text::too_long(&house(), &[(API, "a table")]).len(), 1);
}

#[test]
fn a_promise_for_later_is_caught() {
    let rule = text::nothing_is_put_off;
    catches(rule, API, "fn f() {} // TODO: later");
    catches(rule, API, "/* a FIXME(b) */");
    catches(rule, "crates/usher/templates/login.html", "<!-- XXX -->");
    assert!(planted(rule, API, "const A: &str = \"TODO\"; // TODOS").is_empty());
}

#[test]
fn a_module_without_a_promise_is_caught() {
    let rule = text::a_module_says_what_it_promises;
    catches(rule, RULES_OF_MEDIA, "use crate::sessions::Session;\n//! Media, late.");
    catches(rule, RULES_OF_MEDIA, "//!\nmod a;");
    catches(rule, "crates/usher-verify/src/lib.rs", "");
}

#[test]
fn an_ignored_test_is_caught() {
    let rule = text::no_test_is_ignored;
    catches(rule, API, "#[test]\n#[ignore]\nfn f() {}");
    catches(rule, API, "#[ignore = \"slow\"]\nfn f() {}");
    catches(rule, API, "#[cfg_attr(not(feature = \"slow\"), ignore)]\nfn f() {}");
}
