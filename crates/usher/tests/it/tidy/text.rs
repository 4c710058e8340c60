//! What may stand in a file, whatever room it is in.

use super::source::{Kind, Source};
use super::tree::Tree;

/// Calls that ask the machine for what should be handed in, with the files that may. clippy.toml
/// refuses them too, but does not look into macros, and an `expect` there is quickly written.
const ASKED: &[(&[&str], &[&str])] = &[
    (&["SystemTime", "now"], &["crates/usher/src/time.rs", "crates/usher-bench/"]),
    (&["Timestamp", "now"], &[]),
    (&["Zoned", "now"], &[]),
    (&["Uuid", "now_v7"], &[]),
    (&["Uuid", "new_v4"], &[]),
    (&["thread", "sleep"], &["crates/usher/tests/it/support/", "crates/usher-bench/"]),
    (&["env", "var"], &["crates/usher/tests/", "crates/usher-db/tests/it/engine.rs", "crates/usher-bench/"]),
    (&["env", "vars"], &["crates/usher/src/main.rs"]),
    (&["env", "vars_os"], &["crates/usher/src/main.rs"]),
    (&["env", "set_var"], &[]),
    (&["process", "exit"], &["crates/usher-bench/"]),
];

/// Time, chance, environment and waiting come from outside as values.
pub fn time_and_waiting_are_values(tree: &Tree) -> Vec<String> {
    let mut breaches = Vec::new();
    for source in tree.sources("crates/") {
        for named in source.paths() {
            for (call, allowed) in ASKED {
                if named.holds(call) && !allowed.iter().any(|start| source.path.starts_with(start)) {
                    breaches.push(source.breach(named.line, format!("{} is not asked here", call.join("::"))));
                }
            }
        }
    }
    breaches
}

/// Lines a file may have. A person reads it in one sitting.
const LONGEST: usize = 700;

/// Files that may be longer, with the reason: a table may be long, a rule may not.
const LONG: &[(&str, &str)] = &[];

/// See [`LONGEST`].
pub fn no_file_is_too_long(tree: &Tree) -> Vec<String> {
    too_long(tree, LONG)
}

/// [`no_file_is_too_long`] with these exceptions; one that is no longer needed is a breach as well.
pub fn too_long(tree: &Tree, exceptions: &[(&str, &str)]) -> Vec<String> {
    let mut breaches = Vec::new();
    for (path, text) in tree.below("crates/").filter(|(path, _)| path.ends_with(".rs")) {
        let lines = text.lines().count();
        let excepted = exceptions.iter().any(|(long, reason)| *long == path && !reason.is_empty());
        if lines > LONGEST && !excepted {
            breaches.push(format!("{path}:{lines}: more than {LONGEST} lines; cut it by what it is about"));
        }
    }
    for (long, _) in exceptions {
        if tree.text(long).is_none_or(|text| text.lines().count() <= LONGEST) {
            breaches.push(format!("{long}:1: is excepted from the longest length and need not be"));
        }
    }
    breaches
}

/// What is not done is an issue, not a comment.
pub fn nothing_is_put_off(tree: &Tree) -> Vec<String> {
    const PUT_OFF: &[&str] = &["TODO", "FIXME", "XXX"];
    let put_off = |text: &str| text.split(|c: char| !c.is_alphanumeric()).any(|word| PUT_OFF.contains(&word));
    let mut breaches = Vec::new();
    for source in tree.sources("crates/") {
        for comment in source.tokens.iter().filter(|token| token.kind == Kind::Comment && put_off(token.text)) {
            breaches.push(source.breach(comment.line, "do it now, or write an issue"));
        }
    }
    for (path, text) in tree.below("").filter(|(path, _)| !path.ends_with(".rs")) {
        for (before, _) in text.lines().enumerate().filter(|(_, line)| put_off(line)) {
            breaches.push(format!("{path}:{}: do it now, or write an issue", before + 1));
        }
    }
    breaches
}

/// `mod.rs`, `lib.rs` and `main.rs` open with what the part promises and refuses.
pub fn a_module_says_what_it_promises(tree: &Tree) -> Vec<String> {
    let opens =
        |text: &str| text.lines().next().and_then(|line| line.strip_prefix("//! ")).is_some_and(|said| said.len() > 8);
    let files = tree
        .below("crates/")
        .filter(|(path, _)| ["/mod.rs", "/src/lib.rs", "/src/main.rs"].iter().any(|end| path.ends_with(end)));
    files
        .filter(|(_, text)| !opens(text))
        .map(|(path, _)| format!("{path}:1: opens without `//! ` and a sentence"))
        .collect()
}

/// A test that does not run proves nothing.
pub fn no_test_is_ignored(tree: &Tree) -> Vec<String> {
    tree.sources("crates/").flat_map(|source| ignored(&source)).collect()
}

/// The attributes of `source` in which the word `ignore` stands.
fn ignored(source: &Source) -> Vec<String> {
    let code = source.code();
    let mut breaches = Vec::new();
    for begin in (1..code.len()).filter(|&at| code[at - 1].text == "#" && code[at].text == "[") {
        let mut depth = 0_usize;
        for token in &code[begin..] {
            match (token.kind, token.text) {
                (Kind::Mark, "[") => depth += 1,
                (Kind::Mark, "]") => depth -= 1,
                (Kind::Word, "ignore") => breaches.push(source.breach(token.line, "a test is run or removed")),
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
    breaches
}
