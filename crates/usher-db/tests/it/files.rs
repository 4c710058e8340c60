//! SQLite's file: what opens, what is refused, what a copy holds, and what happens when the disk is full.
use crate::engine::{about_the_file, server};
use crate::support::{FIND, GROW, Orchard, Outcome, SCHEMA, count, grow, open};
use std::fs;
use std::io::{Read, Seek, SeekFrom, Write as _};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use usher_db::{Error, Migration, OpenError, Tx, args, prepare_all};

static FAILING: [Migration; 2] = [
    Migration { number: 1, name: "fruits", sql: SCHEMA[0].sql },
    Migration {
        number: 2,
        name: "trees",
        sql: "CREATE TABLE trees (id TEXT PRIMARY KEY); INSERT INTO trees (id) VALUES ('oak'); INSERT INTO nowhere VALUES (1);",
    },
];
static MENDED: [Migration; 2] = [
    Migration { number: 1, name: "fruits", sql: SCHEMA[0].sql },
    Migration { number: 2, name: "trees", sql: "CREATE TABLE trees (id TEXT PRIMARY KEY);" },
];
static EDITED: [Migration; 2] = [
    Migration { number: 1, name: "fruits", sql: "CREATE TABLE other (id TEXT);" },
    Migration { number: 2, name: "trees", sql: MENDED[1].sql },
];

#[tokio::test]
async fn a_migration_that_fails_midway_leaves_nothing_and_can_be_run_again() -> Outcome {
    if about_the_file() {
        return Ok(());
    }
    let Orchard { directory, db, .. } = Orchard::new().await?;
    let path = directory.path().join("fruits.db");
    grow(&db, "apple".into()).await?;
    db.close().await;
    assert!(matches!(open(&path, &FAILING).await, Err(OpenError::Migration { number: 2, .. })));
    let snapshot = directory.path().join("fruits.db.before-0002");
    assert_eq!(mode(&snapshot)?, 0o600);
    let db = open(&path, &MENDED).await?;
    assert_eq!(count(&db).await?, 1, "and what was there is still there");
    db.close().await;
    let copy = open(&snapshot, &SCHEMA).await?;
    assert!(copy.one(&FIND, args!["apple"]).await?.is_some(), "the snapshot is the database before the migration");
    Ok(())
}

#[tokio::test]
async fn a_newer_or_changed_database_is_refused_and_left_alone() -> Outcome {
    if about_the_file() {
        return Ok(());
    }
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("fruits.db");
    open(&path, &MENDED).await?.close().await;
    let before = fs::read(&path)?;
    assert!(matches!(open(&path, &SCHEMA).await, Err(OpenError::Newer { found: 2, known: 1 })));
    assert!(matches!(open(&path, &[]).await, Err(OpenError::Newer { found: 2, known: 0 })));
    assert!(matches!(open(&path, &EDITED).await, Err(OpenError::Changed { number: 1 })));
    assert!(fs::read(&path)? == before, "a refusal writes nothing");
    assert!(open(&path, &MENDED).await.is_ok());
    Ok(())
}

#[tokio::test]
async fn a_second_opener_is_refused_until_the_first_has_closed() -> Outcome {
    if about_the_file() {
        return Ok(());
    }
    let Orchard { directory, db, .. } = Orchard::new().await?;
    let path = directory.path().join("fruits.db");
    assert!(matches!(open(&path, &SCHEMA).await, Err(OpenError::InUse { .. })));
    db.close().await;
    assert!(open(&path, &SCHEMA).await.is_ok());
    Ok(())
}

#[tokio::test]
async fn a_damaged_file_is_refused_with_the_snapshot_to_restore() -> Outcome {
    if about_the_file() {
        return Ok(());
    }
    let Orchard { directory, db, .. } = Orchard::new().await?;
    let path = directory.path().join("fruits.db");
    for n in 0..500 {
        grow(&db, format!("fruit-{n:04}")).await?;
    }
    db.close().await;
    open(&path, &MENDED).await?.close().await;
    let whole = fs::read(&path)?;

    // Two pages of rows are overwritten in the middle of the file.
    let mut file = fs::OpenOptions::new().write(true).open(&path)?;
    file.seek(SeekFrom::Start(whole.len() as u64 / 2 / 4096 * 4096))?;
    file.write_all(&[0xA5; 8192])?;
    let damaged = open(&path, &MENDED).await;
    let Err(OpenError::Corrupt { snapshot: Some(snapshot), .. }) = &damaged else {
        return Err(format!("{:?} was opened", damaged.err()).into());
    };
    assert!(snapshot.ends_with("fruits.db.before-0002"));

    fs::write(
        &path,
        b"this is no database, it is a letter to a friend, long enough to be a header of one...............",
    )?;
    assert!(matches!(open(&path, &MENDED).await, Err(OpenError::Corrupt { .. })));
    fs::write(&path, b"")?;
    assert!(matches!(open(&path, &MENDED).await, Err(OpenError::Corrupt { .. })), "emptied, with a snapshot beside it");
    fs::write(&path, whole)?;
    assert!(open(&path, &MENDED).await.is_ok());
    Ok(())
}

#[tokio::test]
async fn a_database_of_another_program_is_left_as_it_is() -> Outcome {
    if about_the_file() {
        return Ok(());
    }
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("other.db");
    rusqlite::Connection::open(&path)?.execute_batch("CREATE TABLE accounts (id INTEGER)")?;
    let before = fs::read(&path)?;
    assert!(matches!(open(&path, &SCHEMA).await, Err(OpenError::Foreign { .. })));
    assert!(fs::read(&path)? == before);
    Ok(())
}

#[tokio::test]
async fn a_directory_that_is_not_there_is_not_made() -> Outcome {
    if about_the_file() {
        return Ok(());
    }
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("no/such/fruits.db");
    let refused = open(&path, &SCHEMA).await;
    assert!(refused.is_err_and(|error| error.to_string().contains("no/such/fruits.db")));
    assert!(!directory.path().join("no").exists());
    Ok(())
}

#[tokio::test]
async fn every_file_is_its_owners_only_also_one_that_was_not() -> Outcome {
    if about_the_file() {
        return Ok(());
    }
    let Orchard { directory, db, .. } = Orchard::new().await?;
    let path = directory.path().join("fruits.db");
    db.close().await;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644))?;
    let db = open(&path, &SCHEMA).await?;
    grow(&db, "apple".into()).await?;
    let mut names = Vec::new();
    for entry in fs::read_dir(directory.path())? {
        let entry = entry?;
        assert_eq!(mode(&entry.path())?, 0o600, "{:?}", entry.path());
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    assert_eq!(names, ["fruits.db", "fruits.db-shm", "fruits.db-wal", "fruits.db.lock"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_taken_while_serving_is_whole() -> Outcome {
    if about_the_file() {
        return Ok(());
    }
    let orchard = Orchard::new().await?;
    let db = orchard.db.clone();
    let load = tokio::spawn(async move {
        for n in 0..2_000 {
            grow(&db, format!("{n:05}")).await?;
        }
        Ok::<_, Error>(())
    });
    while orchard.count().await? < 100 {
        tokio::task::yield_now().await;
    }
    let to = orchard.directory.path().join("copy.db");
    orchard.db.backup(&to).await?;
    assert!(orchard.db.backup(&to).await.is_err(), "an existing file is never replaced");
    load.await??;
    assert_eq!(mode(&to)?, 0o600);
    let mut header = [0; 20];
    fs::File::open(&to)?.read_exact(&mut header)?;
    assert_eq!(header[18..20], [1, 1], "the copy needs no log beside it");
    let copy = open(&to, &SCHEMA).await?;
    let rows = count(&copy).await?;
    let feed = copy.changes_after(0, 10_000).await?;
    assert!((100..=2_000).contains(&rows));
    assert_eq!((feed.head, feed.changes.len() as i64), (rows, rows), "rows and feed are of one moment");
    Ok(())
}

#[tokio::test]
async fn a_copy_is_not_mixed_with_the_log_of_the_file_it_replaces() -> Outcome {
    if about_the_file() {
        return Ok(());
    }
    let Orchard { directory, db, .. } = Orchard::new().await?;
    let (path, log) = (directory.path().join("fruits.db"), directory.path().join("fruits.db-wal"));
    let to = directory.path().join("copy.db");
    db.backup(&to).await?;
    grow(&db, "apple".into()).await?;
    let left_by_a_crash = fs::read(&log)?;
    assert!(!left_by_a_crash.is_empty());
    db.close().await;
    fs::copy(&to, &path)?;
    fs::write(&log, &left_by_a_crash)?;
    assert!(matches!(open(&path, &SCHEMA).await, Err(OpenError::Corrupt { .. })));
    fs::remove_file(&log)?;
    assert_eq!(count(&open(&path, &SCHEMA).await?).await?, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_writes_keeps_reads_and_heals_by_itself() -> Outcome {
    if about_the_file() {
        return Ok(());
    }
    let Some(disk) = SmallDisk::mount()? else {
        println!("SKIPPED: this environment cannot mount a small tmpfs, so no disk was filled");
        return Ok(());
    };
    let path = disk.path().join("fruits.db");
    let db = open(&path, &SCHEMA).await?;
    grow(&db, "apple".into()).await?;
    fs::write(disk.path().join("ballast"), vec![7; 1 << 20])?;
    let mut grown = 1;
    let refused = loop {
        match bulky(&db, grown).await {
            Ok(()) => grown += 1,
            Err(error) => break error,
        }
        assert!(grown < 10_000, "the disk never filled");
    };
    assert!(refused.is_unavailable(), "{refused:?}");
    assert!(db.stats().last_error.is_some());
    assert_eq!(count(&db).await?, grown, "reads go on, and hold exactly what was acknowledged");
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..40 {
        let db = db.clone();
        tasks.spawn(async move { bulky(&db, 20_000 + n).await });
    }
    while let Some(done) = tasks.join_next().await {
        match done? {
            Ok(()) => grown += 1,
            Err(error) => assert!(error.is_unavailable(), "{error:?}"),
        }
    }
    assert_eq!(count(&db).await?, grown);

    fs::remove_file(disk.path().join("ballast"))?;
    bulky(&db, 30_000).await?;
    assert_eq!(db.stats().last_error, None, "the same handle writes again");
    assert_eq!(count(&db).await?, grown + 1);
    db.close().await;
    assert_eq!(count(&open(&path, &SCHEMA).await?).await?, grown + 1);
    Ok(())
}

async fn bulky(db: &usher_db::Db, n: i64) -> Result<(), Error> {
    let color = "x".repeat(8_000);
    db.write("bulky", async move |tx: &mut Tx| {
        tx.execute(&GROW, args![format!("bulky-{n}"), &color]).await?;
        tx.announce("grown", n, "", 0);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn pruning_raises_the_floor_and_takes_only_whole_stretches() -> Outcome {
    let orchard = Orchard::new().await?;
    for at in [10, 20, 50, 30, 60_i64] {
        orchard
            .db
            .write("announce", async move |tx: &mut Tx| {
                tx.announce("t", at, "", at);
                Ok(())
            })
            .await?;
    }
    assert_eq!(orchard.db.prune_changes(40).await?, 2, "30 lies behind 50, which stays");
    let feed = orchard.db.changes_after(0, 10).await?;
    assert_eq!((crate::support::seqs(&feed.changes), feed.floor, feed.head), (vec![3, 4, 5], 2, 5));
    assert_eq!(orchard.db.prune_changes(40).await?, 0);
    assert_eq!(orchard.db.prune_changes(i64::MAX).await?, 3);
    let feed = orchard.db.changes_after(2, 10).await?;
    assert_eq!((feed.changes.len(), feed.floor, feed.head), (0, 5, 5));
    Ok(())
}

mod wrong {
    usher_db::statements! {
        UNKNOWN: Point = "SELECT nothing FROM fruits WHERE id = $1";
        WHOLE: Point = "SELECT id FROM fruits WHERE eaten_at = $1";
        CHANGES: Scan = "DELETE FROM fruits";
        READS: Write = "SELECT id FROM fruits";
        FEW: Point = "SELECT id FROM fruits WHERE id = $1 AND color = $2";
    }
}

#[tokio::test]
async fn the_registry_test_finds_what_is_wrong_with_a_statement() -> Outcome {
    let orchard = Orchard::new().await?;
    prepare_all(&orchard.db, crate::support::STATEMENTS).await?;
    // Whether it reads or writes, and by what plan, only SQLite says.
    let wrong_here = if server().is_some() { &wrong::STATEMENTS[..1] } else { &wrong::STATEMENTS[..4] };
    for wrong in wrong_here {
        let error = prepare_all(&orchard.db, &[wrong]).await;
        assert!(error.is_err_and(|error| error.statement().starts_with("it::files::wrong::")), "{}", wrong.name);
    }
    let few = orchard.db.one(&wrong::FEW, args!["apple"]).await;
    assert!(few.is_err_and(|error| error.to_string().contains("takes 2 arguments, was given 1")));
    Ok(())
}

#[tokio::test]
async fn a_row_says_which_column_was_read_wrongly() -> Outcome {
    let orchard = Orchard::new().await?;
    grow(&orchard.db, "apple".into()).await?;
    let row = orchard.db.one(&FIND, args!["apple"]).await?.ok_or("no row")?;
    assert_eq!(row.get::<Option<String>>(0)?, Some("red".to_owned()));
    assert_eq!(row.get::<Option<i64>>(1)?, None);
    let error = row.get::<i64>(0).err().map(|error| error.to_string()).unwrap_or_default();
    assert!(error.contains("FIND") && error.contains("column 0") && !error.contains("red"), "{error}");
    assert!(row.get::<i64>(9).is_err());
    Ok(())
}

fn mode(path: &Path) -> std::io::Result<u32> {
    Ok(fs::metadata(path)?.permissions().mode() & 0o777)
}

/// A file system of two megabytes, unmounted when dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> std::io::Result<Option<SmallDisk>> {
        let directory = tempfile::tempdir()?;
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"])
            .arg(directory.path())
            .stderr(std::process::Stdio::null())
            .status();
        Ok(mounted.is_ok_and(|status| status.success()).then_some(SmallDisk(directory)))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, because a failed test may still hold files there.
        let _ = std::process::Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}
