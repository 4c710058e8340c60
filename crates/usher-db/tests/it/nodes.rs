//! PostgreSQL: several nodes on one database, and a database that goes away and comes back.
use crate::engine::{Database, about_nodes, query};
use crate::support::{EAT, FIND, GROW, LIST, Orchard, Outcome, SCHEMA, SLOW, grow};
use crate::wire::Wire;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;
use usher_db::{
    Change, DatabaseUrl, Db, Error, Interruption, Migration, OpenError, Options, Tx, args, examine, move_to_postgres,
};

/// What a follower has heard so far.
#[derive(Clone, Default)]
struct Ear(Arc<Mutex<Vec<Change>>>, Arc<Mutex<Vec<Interruption>>>);

impl Ear {
    fn at(db: &Db) -> Ear {
        let ear = Ear::default();
        let (changes, interruptions) = (Arc::clone(&ear.0), Arc::clone(&ear.1));
        db.when_interrupted(move |it| interruptions.lock().unwrap_or_else(PoisonError::into_inner).push(it));
        db.follow(move |heard| changes.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(heard));
        ear
    }

    fn seqs(&self) -> Vec<i64> {
        crate::support::seqs(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn interruptions(&self) -> Vec<Interruption> {
        self.1.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Waits for what must come. A test that waits for ever has failed, and is ended by its runner.
async fn until(come: impl Fn() -> bool) {
    while !come() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A node that can be cut off, and notices soon.
async fn behind_a_wire(database: &Database) -> Result<(Wire, Db), Box<dyn std::error::Error + Send + Sync>> {
    let wire = Wire::to(database).await;
    let options = Options {
        staleness: Duration::from_secs(2),
        statement_timeout: Duration::from_millis(500),
        connect_timeout: Duration::from_millis(500),
        ..Options::default()
    };
    let db = Db::open_with(&wire.url.parse()?, &SCHEMA, &options).await?;
    Ok((wire, db))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_node_commits_the_other_hears_once_and_in_order() -> Outcome {
    if about_nodes() {
        return Ok(());
    }
    let orchard = Orchard::new().await?;
    let other = orchard.again(&Options::default()).await?;
    let (here, there) = (Ear::at(&orchard.db), Ear::at(&other));
    let mut tasks = JoinSet::new();
    for n in 0..200 {
        let db = if n % 2 == 0 { orchard.db.clone() } else { other.clone() };
        tasks.spawn(async move { grow(&db, format!("f{n}")).await });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    let wanted: Vec<i64> = (1..=200).collect();
    for ear in [&here, &there] {
        until(|| ear.seqs().len() >= 200).await;
        let mut seqs = ear.seqs();
        seqs.sort_unstable();
        assert_eq!(seqs, wanted, "gapless, each once");
    }
    assert!(here.interruptions().is_empty() && there.interruptions().is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_32_guarded_updates_on_two_nodes_exactly_one_wins() -> Outcome {
    if about_nodes() {
        return Ok(());
    }
    let orchard = Orchard::new().await?;
    let other = orchard.again(&Options::default()).await?;
    grow(&orchard.db, "apple".into()).await?;
    let mut tasks = JoinSet::new();
    for n in 0..32_i64 {
        let db = if n % 2 == 0 { orchard.db.clone() } else { other.clone() };
        tasks.spawn(async move {
            db.write("eat", async move |tx: &mut Tx| Ok(tx.one(&EAT, args!["apple", n]).await?.is_some())).await
        });
    }
    let mut winners = 0;
    while let Some(done) = tasks.join_next().await {
        winners += u32::from(done??);
    }
    assert_eq!(winners, 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_writes_that_lock_each_other_out_both_get_through() -> Outcome {
    if about_nodes() {
        return Ok(());
    }
    // PostgreSQL looks for a circle of waiters only after a second, each time anew.
    let options = Options { statement_timeout: Duration::from_secs(60), ..Options::default() };
    let orchard = Orchard::with(&options).await?;
    for fruit in ["apple", "fig"] {
        grow(&orchard.db, fruit.into()).await?;
    }
    let mut tasks = JoinSet::new();
    for n in 0..4 {
        let (db, order) = (orchard.db.clone(), if n % 2 == 0 { ["apple", "fig"] } else { ["fig", "apple"] });
        tasks.spawn(async move {
            db.write("both", async move |tx: &mut Tx| {
                for fruit in order {
                    tx.execute(&TOUCH, args![fruit]).await?;
                }
                Ok(())
            })
            .await
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}

usher_db::statements! {
    TOUCH: Write = "UPDATE fruits SET color = color WHERE id = $1";
    TASTE: Write = "UPDATE fruits SET taste = $2, eaten_at = $3 WHERE id = $1";
    PEELED: Write = "INSERT INTO peels (fruit) VALUES ($1)";
    FELL: Write = "DELETE FROM fruits WHERE id = $1";
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_takes_too_long_is_given_up_and_leaves_nothing() -> Outcome {
    if about_nodes() {
        return Ok(());
    }
    let options = Options { statement_timeout: Duration::from_millis(300), ..Options::default() };
    let orchard = Orchard::with(&options).await?;
    let slow = orchard
        .db
        .write("slow", async |tx: &mut Tx| {
            tx.execute(&GROW, args!["apple", "red"]).await?;
            tx.execute(&SLOW, args![50_000_000_i64]).await
        })
        .await;
    assert!(slow.is_err_and(|error| error.is_unavailable()));
    assert_eq!(orchard.count().await?, 0);
    grow(&orchard.db, "fig".into()).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn when_memory_cannot_follow_nothing_is_acknowledged_on_this_node() -> Outcome {
    if about_nodes() {
        return Ok(());
    }
    let orchard = Orchard::new().await?;
    let other = orchard.again(&Options::default()).await?;
    orchard.db.follow(|_| std::panic::resume_unwind(Box::new("a planted panic")));
    assert!(grow(&orchard.db, "apple".into()).await.is_err_and(|error| error.is_unavailable()));
    assert!(!orchard.db.is_current() && orchard.db.stats().broken);
    assert!(orchard.db.one(&FIND, args!["apple"]).await.is_err_and(|error| error.is_unavailable()));
    assert!(grow(&orchard.db, "grape".into()).await.is_err_and(|error| error.is_unavailable()));
    assert_eq!(other.changes_after(0, 100).await?.head, 1, "committed once, not run again");
    grow(&other, "fig".into()).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_compare_by_bytes_whatever_the_database_prefers() -> Outcome {
    if about_nodes() {
        return Ok(());
    }
    let orchard = Orchard::new().await?;
    for id in ["b", "B", "a", "ä", "Z", "_", "1", "~"] {
        grow(&orchard.db, id.into()).await?;
    }
    let mut ids = Vec::new();
    for row in orchard.db.all(&LIST, args![]).await? {
        ids.push(row.get::<String>(0)?);
    }
    assert_eq!(ids, ["1", "B", "Z", "_", "a", "b", "~", "ä"]);
    Ok(())
}

static TREES: [Migration; 2] = [
    Migration { number: 1, name: "fruits", sql: SCHEMA[0].sql },
    Migration { number: 2, name: "trees", sql: "CREATE TABLE trees (id TEXT PRIMARY KEY);" },
];
static FELLED: [Migration; 2] = [
    Migration { number: 1, name: "fruits", sql: SCHEMA[0].sql },
    Migration { number: 2, name: "trees", sql: "CREATE TABLE trees (id TEXT); INSERT INTO nowhere VALUES (1);" },
];

#[tokio::test(flavor = "multi_thread")]
async fn of_nodes_that_start_at_once_each_finds_the_tables_made_once() -> Outcome {
    if about_nodes() {
        return Ok(());
    }
    let database = Database::empty().await;
    let url: DatabaseUrl = database.url().parse()?;
    let mut tasks = JoinSet::new();
    for _ in 0..8 {
        let url = url.clone();
        tasks.spawn(async move { Db::open(&url, &TREES).await });
    }
    while let Some(opened) = tasks.join_next().await {
        opened??.close().await;
    }
    examine(&url, &TREES).await?;
    let older = Db::open(&url, &SCHEMA).await;
    assert!(matches!(older, Err(OpenError::Newer { found: 2, known: 1 })));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_that_fails_leaves_nothing_and_another_programs_tables_are_left_alone() -> Outcome {
    if about_nodes() {
        return Ok(());
    }
    let database = Database::empty().await;
    let url: DatabaseUrl = database.url().parse()?;
    assert!(matches!(Db::open(&url, &FELLED).await, Err(OpenError::Migration { number: 2, .. })));
    Db::open(&url, &TREES).await?.close().await;

    let theirs = Database::empty().await;
    query(&theirs.url(), "CREATE TABLE accounts (id INTEGER)").await?;
    let refused = Db::open(&theirs.url().parse()?, &SCHEMA).await;
    assert!(refused.is_err_and(|error| error.to_string().contains("another program")));
    let tables = query(&theirs.url(), "SELECT relname FROM pg_class WHERE relname IN ('migrations', 'fruits')").await?;
    assert!(tables.is_empty(), "{tables:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_looked_before_another_took_the_place_looks_again() -> Outcome {
    if about_nodes() {
        return Ok(());
    }
    let orchard = Orchard::new().await?;
    let other = orchard.again(&Options::default()).await?;
    for fruit in ["apple", "fig", "plum", "pear"] {
        let mut tasks = JoinSet::new();
        for n in 0..8 {
            let db = if n % 2 == 0 { orchard.db.clone() } else { other.clone() };
            tasks.spawn(async move {
                db.write("take", async move |tx: &mut Tx| {
                    let free = tx.one(&FIND, args![fruit]).await?.is_none();
                    if free {
                        tx.execute(&GROW, args![fruit, "red"]).await?;
                    }
                    Ok(free)
                })
                .await
            });
        }
        let mut took = 0;
        while let Some(done) = tasks.join_next().await {
            took += usize::from(done??);
        }
        assert_eq!(took, 1, "{fruit}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_cut_off_says_so_after_its_bound_and_recovers_by_itself() -> Outcome {
    if about_nodes() {
        return Ok(());
    }
    let database = Database::of(&SCHEMA).await;
    let (wire, db) = behind_a_wire(&database).await?;
    let other = Db::open(&database.url().parse()?, &SCHEMA).await?;
    let ear = Ear::at(&db);
    grow(&other, "before".into()).await?;
    until(|| ear.seqs() == [1]).await;
    assert!(db.is_current());

    wire.cut(true);
    grow(&other, "meanwhile".into()).await?;
    until(|| !db.is_current()).await;
    assert!(grow(&db, "lost".into()).await.is_err_and(|error| error.is_unavailable()));
    until(|| ear.interruptions() == [Interruption::Cut]).await;
    assert_eq!(ear.seqs(), [1]);

    wire.cut(false);
    until(|| db.is_current()).await;
    assert_eq!(ear.seqs(), [1, 2], "current only when memory has followed");
    until(|| ear.interruptions() == [Interruption::Cut, Interruption::Restored]).await;
    // Its connections are new ones by then, or become so without a failed write.
    grow(&db, "after".into()).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_missed_pruned_changes_is_told_to_forget_everything() -> Outcome {
    if about_nodes() {
        return Ok(());
    }
    let database = Database::of(&SCHEMA).await;
    let (wire, db) = behind_a_wire(&database).await?;
    let other = Db::open(&database.url().parse()?, &SCHEMA).await?;
    let ear = Ear::at(&db);
    wire.cut(true);
    until(|| !db.is_current()).await;
    for fruit in ["apple", "fig", "grape"] {
        grow(&other, fruit.into()).await?;
    }
    assert_eq!(other.prune_changes(i64::MAX).await?, 3);
    wire.cut(false);
    until(|| db.is_current()).await;
    assert!(ear.interruptions().contains(&Interruption::Missed));
    assert!(ear.seqs().is_empty());
    grow(&other, "plum".into()).await?;
    until(|| ear.seqs() == [4]).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_were_ended_under_us_cost_no_failed_write_and_no_failed_read() -> Outcome {
    if about_nodes() {
        return Ok(());
    }
    let database = Database::of(&SCHEMA).await;
    let db = Db::open(&database.url().parse()?, &SCHEMA).await?;
    for round in 0..5 {
        let mut tasks = JoinSet::new();
        for n in 0..8 {
            let db = db.clone();
            tasks.spawn(async move { grow(&db, format!("{round}-{n}")).await });
        }
        while let Some(done) = tasks.join_next().await {
            done??;
        }
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() \
            AND pid <> pg_backend_pid()";
        query(&database.url(), end).await?;
        assert!(db.one(&FIND, args![format!("{round}-0")]).await?.is_some());
    }
    assert_eq!(crate::support::count(&db).await?, 40);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_node_knows_whether_others_have_the_database_open() -> Outcome {
    if about_nodes() {
        return Ok(());
    }
    let orchard = Orchard::new().await?;
    let others = async |wanted: u32| -> Outcome {
        while orchard.db.others().await? != wanted {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    };
    // The server notices a moment late that a connection was closed: that of the database's making may still be seen.
    others(0).await?;
    let other = orchard.again(&Options::default()).await?;
    others(1).await?;
    other.close().await;
    others(0).await?;
    orchard.db.give_up("a planted reason");
    assert!(!orchard.db.is_current());
    assert!(grow(&orchard.db, "apple".into()).await.is_err_and(|error| error.is_unavailable()));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_is_the_databases() -> Outcome {
    if about_nodes() {
        return Ok(());
    }
    let database = Database::of(&SCHEMA).await;
    let db = Db::open(&database.url().parse()?, &SCHEMA).await?;
    let clock = db.clock().ok_or("PostgreSQL has a clock")?;
    let ask = "SELECT CAST(floor(extract(epoch FROM clock_timestamp()) * 1000) AS BIGINT)";
    let before = clock.now();
    let told = query(&database.url(), ask).await?;
    let told: i64 = told.first().and_then(|row| row[0].as_deref()).ok_or("no time")?.parse()?;
    // A connection is made and ended in between, and a busy machine may take its time over it.
    assert!((before - 1_000..=clock.now() + 1_000).contains(&told), "{before} {told} {}", clock.now());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_finishes_what_runs_and_refuses_the_rest() -> Outcome {
    if about_nodes() {
        return Ok(());
    }
    let orchard = Orchard::new().await?;
    let mut tasks = JoinSet::new();
    for n in 0..40 {
        let db = orchard.db.clone();
        tasks.spawn(async move { (n, grow(&db, format!("f{n}")).await) });
    }
    tokio::task::yield_now().await;
    orchard.db.clone().close().await;
    let mut grown = 0;
    while let Some(done) = tasks.join_next().await {
        match done? {
            (_, Ok(())) => grown += 1,
            (_, Err(error)) => assert!(error.is_unavailable(), "{error}"),
        }
    }
    assert!(grow(&orchard.db, "late".into()).await.is_err_and(|error: Error| error.is_unavailable()));
    assert!(orchard.db.one(&FIND, args!["f0"]).await.is_err_and(|error| error.is_unavailable()));
    let again = orchard.again(&Options::default()).await?;
    assert_eq!(crate::support::count(&again).await?, grown);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_moves_into_an_empty_database_whole_or_not_at_all() -> Outcome {
    if about_nodes() {
        return Ok(());
    }
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("fruits.db");
    let file = Db::open(&DatabaseUrl::Sqlite(path.clone()), &SCHEMA).await?;
    for n in 0..1_203 {
        grow(&file, format!("früchte-{n}")).await?;
    }
    file.write("taste", async |tx: &mut Tx| {
        tx.execute(&TASTE, args!["früchte-7", vec![0_u8, 255, 7], i64::MIN]).await?;
        tx.execute(&PEELED, args!["früchte-9"]).await
    })
    .await?;
    let full = Database::of(&SCHEMA).await;
    let DatabaseUrl::Postgres(taken) = full.url().parse()? else { return Err("no PostgreSQL".into()) };
    assert!(move_to_postgres(&path, &taken, &SCHEMA).await.is_err());

    let database = Database::empty().await;
    let url: DatabaseUrl = database.url().parse()?;
    let DatabaseUrl::Postgres(to) = &url else { return Err("no PostgreSQL".into()) };
    // What PostgreSQL cannot hold stops the whole of it.
    file.write("nul", async |tx: &mut Tx| tx.execute(&GROW, args!["nul", "a\0b"]).await).await?;
    assert!(move_to_postgres(&path, to, &SCHEMA).await.is_err());
    let tables = query(&database.url(), "SELECT relname FROM pg_class WHERE relname = 'fruits'").await?;
    assert!(tables.is_empty(), "nothing stayed");
    file.write("nul", async |tx: &mut Tx| tx.execute(&FELL, args!["nul"]).await).await?;

    let moved = move_to_postgres(&path, to, &SCHEMA).await?;
    let rows: Vec<_> = moved.iter().map(|table| (table.table.as_str(), table.rows)).collect();
    assert_eq!(rows, [("changes", 1_203), ("feed", 1), ("fruits", 1_203), ("peels", 1)]);
    let db = Db::open(&url, &SCHEMA).await?;
    let row = db.one(&FIND, args!["früchte-7"]).await?.ok_or("no row")?;
    assert_eq!((row.get::<i64>(1)?, row.get::<Vec<u8>>(2)?), (i64::MIN, vec![0, 255, 7]));
    assert_eq!(db.changes_after(0, 2_000).await?, file.changes_after(0, 2_000).await?);
    grow(&db, "one more".into()).await?;
    assert_eq!(db.changes_after(1_203, 10).await?.head, 1_204, "the feed goes on where it was");
    Ok(())
}
