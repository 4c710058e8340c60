//! A new version meets an old database and is killed while it migrates.

use crate::support::engine::about_the_file;
use crate::support::program::{Home, Server};
use rustix::process::Signal;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use usher::schema::MIGRATIONS;
use usher_db::{DatabaseUrl, Db};

/// What the killed migration had written by then: far more than the page cache keeps back.
const UNDER_WAY: u64 = 8 * 1024 * 1024;

/// A database as the version before this one left it, with its key and a table that stands for what people have.
/// Recording the newest migration, the last step in its transaction, is made to take for ever.
async fn old_and_slow(home: &Home) -> PathBuf {
    home.run(&["user", "list"]).refused(4);
    std::fs::create_dir(home.data()).unwrap();
    let (data, key) = (home.data(), home.data().join("master.key"));
    std::fs::write(&key, "01".repeat(32)).unwrap();
    own(&data, 0o700);
    own(&key, 0o600);
    let path = data.join("usher.db");
    let before = MIGRATIONS.split_last().unwrap().1;
    Db::open(&DatabaseUrl::Sqlite(path.clone()), before).await.unwrap().close().await;
    sql(
        &path,
        "CREATE TABLE precious (id INTEGER PRIMARY KEY, what TEXT);
         INSERT INTO precious (what) VALUES ('a'), ('b'), ('c');
         CREATE TABLE heavy (what TEXT);
         CREATE TRIGGER slow AFTER INSERT ON migrations BEGIN
             INSERT INTO heavy WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000)
                 SELECT printf('%0200d', i) FROM n;
         END;",
    );
    path
}

fn own(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn sql(path: &Path, text: &str) {
    rusqlite::Connection::open(path).unwrap().execute_batch(text).unwrap();
}

fn number(path: &Path, query: &str) -> u32 {
    rusqlite::Connection::open(path).unwrap().query_row(query, (), |row| row.get(0)).unwrap()
}

fn with(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[tokio::test]
async fn a_migration_killed_in_the_middle_leaves_the_old_database_and_the_next_start_completes_it() {
    if about_the_file() {
        return;
    }
    let home = Home::new();
    let path = old_and_slow(&home).await;
    let (last, before) = (MIGRATIONS[MIGRATIONS.len() - 1].number, MIGRATIONS[MIGRATIONS.len() - 2].number);
    let mut serve = home.usher(&["serve", "--listen", "127.0.0.1:0", "--ops-listen", "off"]);
    let mut child = serve.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let written = || std::fs::metadata(with(&path, "-wal")).map_or(0, |found| found.len());
    while written() < UNDER_WAY {
        assert_eq!(child.try_wait().unwrap(), None, "it ended before it could be killed");
        tokio::task::yield_now().await;
    }
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), Signal::KILL).unwrap();
    child.wait().unwrap();

    // The old database, whole, and a copy of it from before.
    for file in [with(&path, &format!(".before-{last:04}")), path.clone()] {
        assert_eq!(number(&file, "SELECT max(number) FROM migrations"), before, "{}", file.display());
        assert_eq!(number(&file, "SELECT count(*) FROM precious"), 3);
        assert_eq!(number(&file, "SELECT count(*) FROM heavy"), 0);
        assert_eq!(number(&file, "SELECT count(*) FROM pragma_quick_check WHERE quick_check = 'ok'"), 1);
    }

    sql(&path, "DROP TRIGGER slow; DROP TABLE heavy;");
    let server: Server = home.serve();
    let link = server.setup().expect("nobody was made yet");
    assert_eq!(server.set_up(&link, "alice"), 303);
    server.stop();
    assert_eq!(number(&path, "SELECT max(number) FROM migrations"), last);
    assert_eq!(number(&path, "SELECT count(*) FROM precious"), 3);
}
