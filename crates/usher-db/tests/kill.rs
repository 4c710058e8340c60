//! `kill -9` under load: whatever was acknowledged is there afterwards.
//!
//! The program starts itself again as a child that writes and prints each acknowledged id; then it kills the child
//! without warning, several times over, on the same database.
#[path = "it/fruits.rs"]
mod fruits;

use fruits::{LIST, SCHEMA, grow, open};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use usher_db::args;

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

const ROUNDS: usize = 6;
const ACKNOWLEDGED_BEFORE_THE_KILL: usize = 400;

fn main() -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build()?;
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|it| it == "--as-the-child") {
        let path = arguments.next().ok_or("the child needs a path")?;
        let round = arguments.next().ok_or("the child needs a round")?;
        return runtime.block_on(write_until_killed(Path::new(&path), &round.to_string_lossy()));
    }
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("fruits.db");
    let mut acknowledged = BTreeSet::new();
    for round in 0..ROUNDS {
        kill_one(&path, round, &mut acknowledged)?;
        runtime.block_on(all_there(&path, &acknowledged))?;
    }
    println!("{ROUNDS} kills under load, {} acknowledged writes, none lost: ok", acknowledged.len());
    Ok(())
}

async fn write_until_killed(path: &Path, round: &str) -> Outcome<()> {
    let db = open(path, &SCHEMA).await?;
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..32 {
        let (db, round) = (db.clone(), round.to_owned());
        tasks.spawn(async move {
            for n in 0..100_000 {
                let id = format!("{round}-{task}-{n}");
                if let Err(error) = grow(&db, id.clone()).await {
                    return error.to_string();
                }
                println!("{id}");
            }
            "ran out of work".to_owned()
        });
    }
    match tasks.join_next().await {
        Some(why) => Err(why?.into()),
        None => Ok(()),
    }
}

fn kill_one(path: &Path, round: usize, acknowledged: &mut BTreeSet<String>) -> Outcome<()> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg("--as-the-child")
        .arg(path)
        .arg(round.to_string())
        .stdout(Stdio::piped())
        .spawn()?;
    let lines = BufReader::new(child.stdout.take().ok_or("the child has no output")?).lines();
    for (seen, line) in lines.enumerate() {
        let line = line?;
        if seen == ACKNOWLEDGED_BEFORE_THE_KILL + 37 * round {
            child.kill()?;
        }
        // What it had printed before it died is read too; only a last line may be cut off.
        acknowledged.insert(line);
    }
    let status = child.wait()?;
    match std::os::unix::process::ExitStatusExt::signal(&status) {
        Some(9) => Ok(()),
        _ => Err(format!("the child ended by itself: {status}").into()),
    }
}

async fn all_there(path: &Path, acknowledged: &BTreeSet<String>) -> Outcome<()> {
    let db = open(path, &SCHEMA).await?;
    let mut stored = BTreeSet::new();
    for row in db.all(&LIST, args![]).await? {
        stored.insert(row.get::<String>(0)?);
    }
    let lost: Vec<_> = acknowledged.difference(&stored).collect();
    if !lost.is_empty() {
        return Err(format!("{} acknowledged writes are lost, among them {:?}", lost.len(), lost.first()).into());
    }
    let feed = db.changes_after(0, u32::MAX).await?;
    let gapless = feed.changes.iter().map(|it| it.seq).eq(1..=feed.head);
    if !gapless || feed.changes.len() != stored.len() {
        return Err(format!("{} rows, but {} changes up to {}", stored.len(), feed.changes.len(), feed.head).into());
    }
    db.close().await;
    Ok(())
}
