//! Writes: who is answered what, when, and what remains.
use crate::engine::{about_the_file, server};
use crate::support::{EAT, FIND, GROW, LIST, Orchard, Outcome, PEEL, SLOW, grow, hold, queued};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::JoinSet;
use usher_db::{Error, Tx, args};

#[tokio::test(flavor = "multi_thread")]
async fn many_concurrent_writes_share_few_commits() -> Outcome {
    if about_the_file() {
        return Ok(());
    }
    let orchard = Orchard::new().await?;
    let (release, held) = hold(&orchard.db).await;
    let before = orchard.db.stats();
    let mut tasks = JoinSet::new();
    for n in 0..600 {
        let db = orchard.db.clone();
        tasks.spawn(async move { grow(&db, format!("f{n}")).await });
    }
    queued(&orchard.db, 600).await;
    drop(release);
    held.await??;
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    let stats = orchard.db.stats();
    assert_eq!(stats.jobs - before.jobs, 600);
    assert_eq!(stats.batches - before.batches, 3, "256 + 256 + 88");
    assert_eq!(orchard.count().await?, 600);
    Ok(())
}

/// Queues these writes behind a held writer, so that they run in one batch, in order, and gives their answers.
async fn in_one_batch(orchard: &Orchard, writes: Vec<Kind>) -> Vec<Result<&'static str, Error>> {
    let (release, held) = hold(&orchard.db).await;
    let mut tasks = Vec::new();
    for (n, kind) in writes.into_iter().enumerate() {
        let db = orchard.db.clone();
        tasks.push(tokio::spawn(async move { kind.run(&db).await }));
        queued(&orchard.db, n + 1).await;
    }
    drop(release);
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap_or_else(|error| {
            Err(Error::Other { statement: "the task of the caller", message: error.to_string() })
        }));
    }
    assert!(matches!(held.await, Ok(Ok(()))));
    answers
}

enum Kind {
    Grow(&'static str),
    Panic(&'static str),
    Pending(&'static str),
    Undo(&'static str),
    Refuse(&'static str),
    Swallow(&'static str, &'static str),
    TooLong,
}

impl Kind {
    async fn run(self, db: &usher_db::Db) -> Result<&'static str, Error> {
        db.write("kind", async move |tx: &mut Tx| {
            let id = match self {
                Kind::TooLong => {
                    tx.execute(&SLOW, args![50_000_000_i64]).await?;
                    return Ok("an endless row of fruits");
                }
                Kind::Grow(id) | Kind::Panic(id) | Kind::Pending(id) | Kind::Undo(id) | Kind::Refuse(id) => id,
                Kind::Swallow(id, _) => id,
            };
            tx.execute(&GROW, args![id, "red"]).await?;
            tx.announce("grown", id, "", 0);
            match self {
                Kind::Panic(_) => std::panic::resume_unwind(Box::new("a planted panic")),
                Kind::Pending(_) => std::future::pending::<()>().await,
                Kind::Undo(_) => return Ok(tx.undo("undone")),
                Kind::Refuse(_) => return Err(Error::Other { statement: "kind", message: "refused".into() }),
                Kind::Swallow(_, taken) => {
                    let _ = tx.execute(&GROW, args![taken, "red"]).await;
                }
                Kind::Grow(_) | Kind::TooLong => {}
            }
            Ok("grown")
        })
        .await
    }
}

async fn ids(orchard: &Orchard) -> Result<Vec<String>, Error> {
    orchard.db.all(&LIST, args![]).await?.iter().map(|row| row.get(0)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_write_takes_nobody_else_with_it() -> Outcome {
    if about_the_file() {
        return Ok(());
    }
    let orchard = Orchard::new().await?;
    let answers = in_one_batch(
        &orchard,
        vec![
            Kind::Grow("apple"),
            Kind::Grow("apple"),
            Kind::Panic("bread"),
            Kind::Pending("cake"),
            Kind::Undo("dust"),
            Kind::Refuse("earth"),
            Kind::Swallow("fog", "apple"),
            Kind::Grow("grape"),
        ],
    )
    .await;
    assert!(matches!(answers[0], Ok("grown")));
    assert!(answers[1].as_ref().is_err_and(Error::is_unique), "{:?}", answers[1]);
    assert!(answers[2].as_ref().is_err_and(|e| e.to_string().contains("panicked")), "{:?}", answers[2]);
    assert!(answers[3].as_ref().is_err_and(|e| e.to_string().contains("awaited")), "{:?}", answers[3]);
    assert!(matches!(answers[4], Ok("undone")));
    assert!(answers[5].as_ref().is_err_and(|e| e.to_string().contains("refused")), "{:?}", answers[5]);
    assert!(answers[6].as_ref().is_err_and(Error::is_unique), "a swallowed failure is told: {:?}", answers[6]);
    assert!(matches!(answers[7], Ok("grown")));
    assert_eq!(ids(&orchard).await?, ["apple", "grape"]);
    let feed = orchard.db.changes_after(0, 100).await?;
    let keys: Vec<_> = feed.changes.iter().map(|it| it.key.as_str()).collect();
    assert_eq!(keys, ["apple", "grape"], "only what was committed is announced");
    assert_eq!(orchard.db.stats().batches, 2, "one for the held write and one for all of these");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_holds_for_a_write_alone() -> Outcome {
    let orchard = Orchard::new().await?;
    assert!(Kind::Grow("apple").run(&orchard.db).await.is_ok());
    assert!(Kind::Grow("apple").run(&orchard.db).await.is_err_and(|e| e.is_unique()));
    assert!(Kind::Panic("bread").run(&orchard.db).await.is_err());
    assert!(Kind::Pending("cake").run(&orchard.db).await.is_err());
    assert!(matches!(Kind::Undo("dust").run(&orchard.db).await, Ok("undone")));
    assert!(Kind::Refuse("earth").run(&orchard.db).await.is_err());
    assert!(Kind::Swallow("fog", "apple").run(&orchard.db).await.is_err_and(|e| e.is_unique()));
    assert_eq!(ids(&orchard).await?, ["apple"]);
    assert_eq!(orchard.db.changes_after(0, 100).await?.head, 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_computes_too_long_is_stopped_and_its_neighbors_are_run_again() -> Outcome {
    if about_the_file() {
        return Ok(());
    }
    let orchard = Orchard::new().await?;
    let answers =
        in_one_batch(&orchard, vec![Kind::Grow("apple"), Kind::TooLong, Kind::Grow("apple"), Kind::Grow("fig")]).await;
    assert!(matches!(answers[0], Ok("grown")));
    assert!(answers[1].as_ref().is_err_and(|e| e.to_string().contains("slices")), "{:?}", answers[1]);
    assert!(answers[2].as_ref().is_err_and(Error::is_unique), "{:?}", answers[2]);
    assert!(matches!(answers[3], Ok("grown")));
    assert_eq!(ids(&orchard).await?, ["apple", "fig"]);
    assert_eq!(orchard.db.stats().retried, 3);
    assert!(Kind::TooLong.run(&orchard.db).await.is_err());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_must_be_one_commit_may_compute_longer() -> Outcome {
    if about_the_file() {
        return Ok(());
    }
    let orchard = Orchard::new().await?;
    let work = async |tx: &mut Tx| {
        tx.execute(&GROW, args!["apple", "red"]).await?;
        tx.execute(&SLOW, args![200_000_i64]).await
    };
    assert!(orchard.db.write("long", work).await.is_err_and(|error| error.to_string().contains("slices")));
    assert!(ids(&orchard).await?.is_empty());
    orchard.db.write_at_length("long", work).await?;
    assert_eq!(ids(&orchard).await?.len(), 200_001);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_32_guarded_updates_at_once_exactly_one_wins() -> Outcome {
    let orchard = Orchard::new().await?;
    grow(&orchard.db, "apple".into()).await?;
    let mut tasks = JoinSet::new();
    for n in 0..32_i64 {
        let db = orchard.db.clone();
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
async fn the_follower_has_heard_of_a_change_before_its_writer_is_answered() -> Outcome {
    let orchard = Orchard::new().await?;
    let heard = Arc::new(Mutex::new(Vec::new()));
    let ear = Arc::clone(&heard);
    orchard.db.follow(move |changes| {
        ear.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(changes);
    });
    let mut tasks = JoinSet::new();
    for n in 0..64 {
        let (db, heard) = (orchard.db.clone(), Arc::clone(&heard));
        tasks.spawn(async move {
            for round in 0..8 {
                let id = format!("{n}-{round}");
                if n % 4 == 0 {
                    let kept = db
                        .write("undone", async move |tx: &mut Tx| {
                            tx.announce("grown", "never", "", 0);
                            tx.undo(());
                            Ok(())
                        })
                        .await;
                    assert!(kept.is_ok());
                    continue;
                }
                grow(&db, id.clone()).await?;
                let known = heard.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|it| it.key == id);
                assert!(known, "{id} was acknowledged before memory knew of it");
            }
            Ok::<_, Error>(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if server().is_some() {
        // There a node hears of its own changes at once, and each change once.
        heard.sort_by_key(|change| change.seq);
    }
    let stored = orchard.db.changes_after(0, 10_000).await?;
    assert_eq!(crate::support::seqs(&heard), (1..=48 * 8).collect::<Vec<i64>>(), "gapless, in commit order");
    assert_eq!(heard, stored.changes, "what memory heard is what the database holds");
    assert_eq!((stored.head, stored.floor), (48 * 8, 0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn when_memory_cannot_follow_nothing_is_acknowledged_any_more() -> Outcome {
    if about_the_file() {
        return Ok(());
    }
    let orchard = Orchard::new().await?;
    orchard.db.follow(|_| std::panic::resume_unwind(Box::new("a planted panic")));
    let answers = in_one_batch(&orchard, vec![Kind::Grow("apple"), Kind::Grow("fig")]).await;
    assert!(answers.iter().all(|it| it.as_ref().is_err_and(Error::is_unavailable)), "{answers:?}");
    assert!(orchard.db.stats().broken);
    assert!(orchard.db.one(&FIND, args!["apple"]).await.is_err_and(|e| e.is_unavailable()));
    assert!(grow(&orchard.db, "grape".into()).await.is_err_and(|e| e.is_unavailable()));
    let path = orchard.path();
    orchard.db.close().await;
    let again = crate::support::open(&path, &crate::support::SCHEMA).await?;
    assert_eq!(again.changes_after(0, 100).await?.head, 2, "committed once, not run again");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_is_said_at_once() -> Outcome {
    if about_the_file() {
        return Ok(());
    }
    let orchard = Orchard::new().await?;
    let (release, held) = hold(&orchard.db).await;
    let refused = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for n in 0..4_100 {
        let (db, refused) = (orchard.db.clone(), Arc::clone(&refused));
        tasks.spawn(async move {
            match grow(&db, format!("f{n}")).await {
                Err(error) if error.is_unavailable() => {
                    refused.fetch_add(1, Ordering::Relaxed);
                    Ok(())
                }
                other => other,
            }
        });
    }
    while refused.load(Ordering::Relaxed) < 4 {
        tokio::task::yield_now().await;
    }
    drop(release);
    held.await??;
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    assert_eq!(refused.load(Ordering::Relaxed), 4);
    assert_eq!(orchard.count().await?, 4_096);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_goes_on_when_its_caller_has_left() -> Outcome {
    if about_the_file() {
        return Ok(());
    }
    let orchard = Orchard::new().await?;
    let (release, held) = hold(&orchard.db).await;
    let db = orchard.db.clone();
    let caller = tokio::spawn(async move { grow(&db, "apple".into()).await });
    queued(&orchard.db, 1).await;
    caller.abort();
    assert!(caller.await.is_err_and(|error| error.is_cancelled()));
    drop(release);
    held.await??;
    grow(&orchard.db, "fig".into()).await?;
    assert_eq!(ids(&orchard).await?, ["apple", "fig"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_keys_hold_also_for_a_write_that_returns_rows() -> Outcome {
    let orchard = Orchard::new().await?;
    let peeled = orchard.db.write("peel", async |tx: &mut Tx| tx.one(&PEEL, args!["nothing"]).await).await;
    assert!(peeled.is_err_and(|error| error.to_string().to_lowercase().contains("foreign key")));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_finishes_what_waits_and_refuses_the_rest() -> Outcome {
    if about_the_file() {
        return Ok(());
    }
    let orchard = Orchard::new().await?;
    let (release, held) = hold(&orchard.db).await;
    let db = orchard.db.clone();
    let waiting = tokio::spawn(async move { grow(&db, "apple".into()).await });
    queued(&orchard.db, 1).await;
    let closing = tokio::spawn(orchard.db.clone().close());
    queued(&orchard.db, 2).await;
    drop(release);
    closing.await?;
    held.await??;
    waiting.await??;
    assert!(grow(&orchard.db, "fig".into()).await.is_err_and(|e| e.is_unavailable()));
    assert!(orchard.db.one(&FIND, args!["apple"]).await.is_err_and(|e| e.is_unavailable()));
    let again = crate::support::open(&orchard.path(), &crate::support::SCHEMA).await?;
    assert!(again.one(&FIND, args!["apple"]).await?.is_some());
    Ok(())
}

/// As a handler of a web framework would: a `Send` future around a write that borrows what it captured.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_fits_into_a_future_that_is_sent_between_threads() -> Outcome {
    fn sendable<T>(future: impl Future<Output = T> + Send + 'static) -> impl Future<Output = T> + Send + 'static {
        future
    }
    let orchard = Orchard::new().await?;
    let (db, name) = (orchard.db.clone(), "apple".to_owned());
    let handler = sendable(async move {
        let kept = name.clone();
        let color = db
            .write("handler", async move |tx: &mut Tx| {
                tx.execute(&GROW, args![&name, "red"]).await?;
                let row = tx.one(&FIND, args![&name]).await?;
                row.map(|row| row.get::<String>(0)).transpose()
            })
            .await?;
        Ok::<_, Error>((kept, color))
    });
    assert_eq!(tokio::spawn(handler).await??, ("apple".to_owned(), Some("red".to_owned())));
    Ok(())
}
