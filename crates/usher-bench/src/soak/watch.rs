//! Looking at a server from outside: what the kernel says of it, what its tables hold, what its jobs did.

use crate::http::{self, Connection};
use crate::login::Queue;
use crate::{Told, clock};
use rusqlite::OpenFlags;
use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(2);

/// What one look saw, by name.
pub struct Sample {
    /// Seconds since the first.
    pub at: f64,
    pub seen: BTreeMap<String, f64>,
}

/// Requests of visits so far. Rows that these make may grow with them.
pub const ACTS: &str = "acts";
pub const MEMORY: &str = "resident memory, MB";
pub const DESCRIPTORS: &str = "descriptors";
pub const THREADS: &str = "threads";
pub const LOG: &str = "write-ahead log, MB";
pub const ROWS: &str = "rows: ";

/// Looks every two seconds until `end`.
pub async fn until(end: Instant, process: u32, data: PathBuf, visits: Queue) -> Told<Vec<Sample>> {
    let (begin, mut samples) = (clock::now(), Vec::new());
    while clock::now() < end {
        let mut seen = of_process(process)?;
        seen.insert(ACTS.to_owned(), visits.taken() as f64);
        seen.insert(LOG.to_owned(), fs::metadata(data.join("usher.db-wal")).map_or(0.0, |log| log.len() as f64 / 1e6));
        seen.extend(rows(&data)?);
        samples.push(Sample { at: (clock::now() - begin).as_secs_f64(), seen });
        tokio::time::sleep(EVERY).await;
    }
    Ok(samples)
}

fn of_process(process: u32) -> Told<BTreeMap<String, f64>> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let number = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok()).ok_or("a field is missing in /proc")
    };
    let descriptors = fs::read_dir(format!("/proc/{process}/fd"))?.count();
    Ok(BTreeMap::from([
        (MEMORY.to_owned(), number("VmRSS:")? * 1024.0 / 1e6),
        (THREADS.to_owned(), number("Threads:")?),
        (DESCRIPTORS.to_owned(), descriptors as f64),
    ]))
}

/// How many rows each table has, read beside the server.
fn rows(data: &Path) -> Told<Vec<(String, f64)>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let database = rusqlite::Connection::open_with_flags(data.join("usher.db"), flags)?;
    database.busy_timeout(Duration::from_secs(5))?;
    let mut tables =
        database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")?;
    let names = tables.query_map((), |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
    let mut rows = Vec::new();
    for name in names {
        let count: u32 = database.query_row(&format!("SELECT count(*) FROM \"{name}\""), (), |row| row.get(0))?;
        rows.push((format!("{ROWS}{name}"), f64::from(count)));
    }
    let live = "SELECT count(*) FROM sessions WHERE ended_at IS NULL";
    rows.push((format!("{ROWS}sessions, live"), f64::from(database.query_row(live, (), |row| row.get::<_, u32>(0))?)));
    Ok(rows)
}

/// What each job dealt with, as the metrics tell.
pub async fn jobs(ops: SocketAddr) -> Told<Vec<(String, u64)>> {
    let mut connection = Connection::open(ops).await?;
    let answer = connection.exchange(&http::get("/metrics", "")).await?;
    let text = std::str::from_utf8(answer.body)?;
    let lines = text.lines().filter_map(|line| line.strip_prefix("usher_job_items_total{job=\""));
    let mut jobs: Vec<(String, u64)> = lines
        .filter_map(|line| line.split_once("\"} "))
        .filter_map(|(job, items)| Some((job.to_owned(), items.trim().parse().ok()?)))
        .collect();
    jobs.sort();
    Ok(jobs)
}
