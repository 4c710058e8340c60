//! What the crates depend on, and that nothing lies in the tree without being used.

use super::source::{Kind, Source};
use super::tree::Tree;

/// The tables that our migrations make.
fn tables(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for (_, text) in tree.below("").filter(|(path, _)| path.ends_with(".sql") && path.contains("migrations/")) {
        let code: String =
            text.lines().map(|line| line.split("--").next().unwrap_or(line)).collect::<Vec<_>>().join("\n");
        let words: Vec<&str> = sql_words(&code).collect();
        for at in 0..words.len() {
            let after = match &words[at..] {
                ["TABLE", "IF", "NOT", "EXISTS", name, ..] | ["TABLE", name, ..] => *name,
                _ => continue,
            };
            found.push(after.to_owned());
        }
    }
    found
}

fn sql_words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// usher-db stores anything for anybody: the server's tables are unknown to it.
pub fn usher_db_knows_no_table(tree: &Tree) -> Vec<String> {
    let tables = tables(tree);
    let mut breaches = Vec::new();
    for source in tree.sources("crates/usher-db/src/") {
        for text in source.texts() {
            let words: Vec<&str> = sql_words(text.text).collect();
            for pair in words.windows(2) {
                let names_table = ["FROM", "INTO", "UPDATE", "JOIN", "TABLE", "EXISTS"].contains(&pair[0]);
                if names_table && tables.iter().any(|table| table == pair[1]) {
                    breaches.push(source.breach(text.line, format!("the table {} is the server's", pair[1])));
                }
            }
        }
    }
    breaches
}

/// The dependencies that a manifest names, of all three kinds.
fn dependencies(manifest: &str) -> Vec<String> {
    let manifest: toml::Table = manifest.parse().expect("a manifest is TOML");
    let kinds = ["dependencies", "dev-dependencies", "build-dependencies"];
    let tables = kinds.iter().filter_map(|kind| manifest.get(*kind)?.as_table());
    tables.flat_map(|table| table.keys().cloned()).collect()
}

/// usher-verify is what a stranger's program links and usher-db could be: neither knows the server,
/// nor each other.
pub fn the_libraries_know_no_server(tree: &Tree) -> Vec<String> {
    let mut breaches = Vec::new();
    for (library, strangers) in [("usher-verify", ["usher", "usher-db"]), ("usher-db", ["usher", "usher-verify"])] {
        let path = format!("crates/{library}/Cargo.toml");
        for name in dependencies(tree.text(&path).unwrap_or_default()) {
            if strangers.contains(&name.as_str()) {
                breaches.push(format!("{path}: {library} does not depend on {name}"));
            }
        }
    }
    breaches
}

/// A migration that no code includes would never run, and one without its number would run out of order.
pub fn every_migration_is_listed(tree: &Tree) -> Vec<String> {
    let included: Vec<String> = tree
        .sources("crates/usher/src/")
        .flat_map(|source| {
            let code = source.code();
            let texts = code.windows(4).filter(|four| four[0].text == "include_str" && four[3].kind == Kind::Text);
            texts.map(|four| four[3].text.to_owned()).collect::<Vec<_>>()
        })
        .collect();
    let mut breaches = Vec::new();
    let files = tree.below("").filter(|(path, _)| path.ends_with(".sql") && path.contains("migrations/"));
    for (before, (path, _)) in files.enumerate() {
        let file = path.rsplit('/').next().unwrap_or(path);
        if !included.iter().any(|text| text.ends_with(&format!("migrations/{file}"))) {
            breaches.push(format!("{path}:1: no include_str! names this migration"));
        }
        if !file.starts_with(&format!("{:04}_", before + 1)) {
            breaches.push(format!("{path}:1: migrations are numbered from 0001 without a gap"));
        }
    }
    breaches
}

/// A Rust file that no `mod` names is not compiled: its tests would seem to pass.
pub fn no_file_is_forgotten(tree: &Tree) -> Vec<String> {
    let mut breaches = Vec::new();
    for (path, _) in tree.below("crates/").filter(|(path, _)| path.ends_with(".rs")) {
        let Some((crate_, inside)) = ["/src/", "/tests/it/"].iter().find_map(|cut| {
            let at = path.find(cut)? + cut.len();
            Some(path.split_at(at))
        }) else {
            continue;
        };
        if ["main.rs", "lib.rs"].contains(&inside) || inside.starts_with("bin/") {
            continue;
        }
        let module = inside.trim_end_matches(".rs").trim_end_matches("/mod");
        let (folder, name) = module.rsplit_once('/').map_or(("", module), |(folder, name)| (folder, name));
        let parents = if folder.is_empty() {
            vec![format!("{crate_}main.rs"), format!("{crate_}lib.rs")]
        } else {
            vec![format!("{crate_}{folder}/mod.rs"), format!("{crate_}{folder}.rs")]
        };
        let declared = parents.iter().filter_map(|parent| tree.source(parent)).any(|source| {
            source
                .code()
                .windows(3)
                .any(|three| three[0].text == "mod" && three[1].text == name && three[2].text == ";")
        });
        if !declared && !tree.sources(crate_).any(|source| brings_in(&source, path)) {
            breaches.push(format!("{path}:1: no `mod {name};` in {}", parents.join(" or ")));
        }
    }
    breaches
}

/// Whether `source` has `#[path = "..."]` with the file at `path`, which lies beside it.
fn brings_in(source: &Source, path: &str) -> bool {
    let folder = |path: &str| path.rsplit_once('/').map(|(folder, _)| folder.to_owned());
    folder(source.path) == folder(path)
        && source.code().windows(3).any(|three| {
            let attribute = three[0].text == "path" && three[1].text == "=" && three[2].kind == Kind::Text;
            attribute && path.ends_with(&format!("/{}", three[2].text))
        })
}
