//! The directions of the house, kept by tests.
//!
//! `main -> lib -> http, jobs, cli -> <domain>/{api,pages} -> <domain>/mod -> <domain>/store -> usher-db`.
//! Cargo keeps the edges between crates; between modules nothing does but these tests. Each rule reads
//! the source as tokens, so that a word in a comment or a string is never taken for code, and answers
//! with every breach at once. `planted.rs` shows each rule catching one.
//!
//! A rule that stands in the way is changed here, in the open, with its reason; there is no comment
//! that switches one off.

mod build;
mod direction;
mod planted;
mod source;
mod text;
mod tree;

use tree::Tree;

/// A rule: every breach in the tree, as `path:line: what is wrong`.
type Rule = fn(&Tree) -> Vec<String>;

/// All of them. `planted.rs` has a test for each.
const RULES: &[(&str, Rule)] = &[
    ("sql stands in stores", direction::sql_stands_in_stores),
    ("stores hold no rule", direction::stores_hold_no_rule),
    ("rules name no door and no driver", direction::rules_name_no_door_and_no_driver),
    ("siblings meet through mod.rs", direction::siblings_meet_through_mod),
    ("leaves import no domain", direction::leaves_import_no_domain),
    ("usher-db knows no table", build::usher_db_knows_no_table),
    ("the libraries know no server", build::the_libraries_know_no_server),
    ("every migration is listed", build::every_migration_is_listed),
    ("no file is forgotten", build::no_file_is_forgotten),
    ("time and waiting are values", text::time_and_waiting_are_values),
    ("no file is too long", text::no_file_is_too_long),
    ("nothing is put off", text::nothing_is_put_off),
    ("a module says what it promises", text::a_module_says_what_it_promises),
    ("no test is ignored", text::no_test_is_ignored),
];

#[test]
fn the_house_keeps_its_rules() {
    let tree = Tree::read();
    assert!(tree.source("crates/usher/src/lib.rs").is_some(), "the tree was not found");
    let mut breaches = String::new();
    for (name, rule) in RULES {
        for breach in rule(&tree) {
            breaches.push_str(&format!("{name}: {breach}\n"));
        }
    }
    assert!(breaches.is_empty(), "\n{breaches}");
}
