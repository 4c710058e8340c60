//! The faults of `mutants/list` still fit the source: a mutant that cannot be planted proves nothing.

use std::path::Path;
use std::process::Command;

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

#[test]
fn every_mutant_stands_exactly_once_in_the_source() {
    let checked = Command::new(root().join("scripts/mutants")).arg("--check").output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    let listed = Command::new(root().join("scripts/mutants")).arg("--list").output().unwrap();
    let count = String::from_utf8_lossy(&listed.stdout).lines().count();
    assert!(count >= 40, "only {count} mutants are listed");
}

#[test]
fn every_mutant_names_tests_that_exist() {
    let list = std::fs::read_to_string(root().join("mutants/list")).unwrap();
    let mut names = std::collections::BTreeSet::new();
    let mut tested = 0;
    for line in list.lines() {
        if let Some(name) = line.strip_prefix("mutant ") {
            assert!(names.insert(name.split(':').next().unwrap()), "two mutants are named {name}");
        }
        let Some(test) = line.strip_prefix("test ") else { continue };
        let words: Vec<&str> = test.split(' ').collect();
        assert!(matches!(words[..2], ["usher" | "usher-db" | "usher-verify", "lib" | "it"]), "{line}");
        tested += 1;
        for filter in &words[2..] {
            // A filter names a module by its path, and perhaps the beginning of a test in it.
            let module = filter.split("::").next().unwrap();
            let folder = if words[1] == "it" { "tests/it" } else { "src" };
            let base = root().join("crates").join(words[0]).join(folder);
            let there = base.join(module).is_dir() || base.join(format!("{module}.rs")).is_file();
            assert!(there, "{line}: there is no {module}");
        }
    }
    assert_eq!(tested, names.len(), "each mutant names its tests");
}
