//! Every statement of the house, against the tables it names.

use crate::support::app::TestApp;
use std::collections::BTreeSet;

#[tokio::test]
async fn every_statement_fits_the_tables_and_has_a_name_of_its_own() {
    let app = TestApp::new().await;
    let statements = usher::schema::statements();
    let mut wrong = Vec::new();
    for statement in &statements {
        wrong.extend(usher_db::prepare_all(&app.app.db, &[*statement]).await.err().map(|error| error.to_string()));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let names: BTreeSet<_> = statements.iter().map(|statement| statement.name).collect();
    assert_eq!(names.len(), statements.len());
    assert!(statements.len() > 60, "the registry lists {} only", statements.len());
}

/// A store that nobody lists would escape the test above.
#[test]
fn every_store_is_in_the_registry() {
    let names: BTreeSet<_> = usher::schema::statements().iter().map(|statement| statement.name).collect();
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
    let mut folders = vec![std::path::PathBuf::from(source)];
    let mut stores = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            if path.extension().is_some_and(|ext| ext == "rs") && text.contains("\nstatements! {") {
                let inside = path.strip_prefix(source).unwrap().with_extension("");
                let module = inside.to_str().unwrap().replace('/', "::");
                let module = module.strip_suffix("::mod").unwrap_or(&module);
                let listed = names.iter().any(|name| name.starts_with(&format!("usher::{module}::")));
                assert!(listed, "no statement of {module} is in schema::statements()");
                stores += 1;
            }
        }
    }
    assert!(stores >= 6, "found {stores} stores only");
}
