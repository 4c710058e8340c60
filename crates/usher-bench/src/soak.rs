//! Everything at once for many minutes: does a server that is only used grow?
//!
//! People log in, refresh, keep data, log out; others are let in at the gate, seek in a film, look at pages; an admin
//! reads lists. Meanwhile the memory, the descriptors, the write-ahead log and the rows of every table are looked at,
//! and after a warm-up of half the time a line is laid through each. What grows must grow by what was done and will be
//! swept: the installation begins with two months old leavings of every kind, so that the sweeps are seen at work.

mod aged;
mod mix;
mod trend;
mod watch;

use crate::cores::{Cores, On};
use crate::gate::{By, Pool};
use crate::login::Queue;
use crate::machine::Machine;
use crate::process::free_address;
use crate::ranges;
use crate::settings::Settings;
use crate::start::Starter;
use crate::workshop::fill;
use crate::{Told, clock};
use clap::Args;
use mix::{Administering, Browsing, Done, Visiting, keep_on};
use serde::Serialize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::task::JoinSet;
use trend::Line;

/// `usher-bench soak`
#[derive(Debug, Args)]
pub struct Arguments {
    /// How long, without the preparation
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    minutes: u32,
    #[command(flatten)]
    settings: Settings,
}

/// Live sessions, and credentials of them: cookies and tokens to use again, to use once, and refresh tokens.
const STOCK: [usize; 4] = [4_000, 400, 1_000, 100];
/// The film in which some seek.
const FILM: usize = 64 << 20;
/// The server's settings besides the usual: what keeps things for years elsewhere keeps them for weeks here, and wrong
/// passwords from the one address that everybody has do not slow everybody.
const SETTINGS: &str = "\n[audit]\nretain = \"30d\"\n\n[throttle]\nfree_attempts = 1000\nmax_failures = 100000\n\
                        forget_after = \"1m\"\nper_address = 1000000\nper_network = 1000000\n";

/// What a job dealt with.
#[derive(Debug, Serialize)]
struct Swept {
    job: String,
    items: u64,
}

/// Everything that is told.
#[derive(Debug, Serialize)]
struct Outcome {
    minutes: u32,
    machine: Machine,
    done: Vec<Done>,
    lines: Vec<Line>,
    jobs: Vec<Swept>,
    /// Whatever is not as it should be.
    faults: Vec<String>,
}

/// Runs it.
pub async fn run(arguments: Arguments) -> Told<()> {
    let cores = Cores::take()?;
    let own = std::env::current_exe()?;
    let (workshop, program) = arguments.settings.open(&own, &cores)?;
    let (folder, house) = (workshop.path.join("media"), workshop.path.join("soak"));
    ranges::make_file(&folder, FILM)?;
    if house.exists() {
        std::fs::remove_dir_all(&house)?;
    }
    std::fs::create_dir_all(&house)?;
    aged::leave_behind(&house.join("data")).await?;
    let house = fill(&own, &cores, &house, STOCK)?;
    let starter = Starter { program, work: workshop.path.clone(), folder, tls: None };
    let ops = free_address()?;
    let mut server = starter.start_with(&cores, &house.data, On::All, Some(ops), SETTINGS)?;
    server.ready("/login").await?;

    let length = Duration::from_secs(60) * arguments.minutes;
    let end = clock::now() + length;
    let (to, stock) = (server.addr, house.stock.clone());
    let bearer = stock.new_bearers.last().ok_or("no access tokens")?;
    let film = ranges::media_path(to, &By::Bearer.fields(bearer)).await?;
    let cookies = Pool::new(By::Cookie, stock.cookies.clone(), stock.new_cookies.clone());
    let bearers = Pool::new(By::Bearer, stock.bearers.clone(), Vec::new());
    let logins = Queue::default();
    let mut running: JoinSet<Told<Done>> = JoinSet::new();
    let ms = Duration::from_millis;
    running.spawn(keep_on("gate by cookie", to, cookies.knocking(2, 0, false), end, ms(4)));
    running.spawn(keep_on("gate by bearer token", to, bearers.knocking(2, 1, true), end, ms(4)));
    running.spawn(keep_on("64 KiB ranges", to, ranges::seeking(&film, FILM, 2, 0), end, ms(10)));
    running.spawn(keep_on("refreshes", to, crate::refresh::deal(&stock.refreshes, 2), end, ms(50)));
    running.spawn(keep_on("visits", to, Visiting::crowd(&stock, &logins, 4), end, ms(250)));
    running.spawn(keep_on("pages", to, Browsing::crowd(&stock.cookies, 2), end, ms(50)));
    running.spawn(keep_on("admin lists", to, vec![Administering::new(&stock.password)], end, ms(200)));
    let watching = watch::until(end, server.id(), house.data.clone(), logins);
    let samples = watching.await?;
    let mut done = Vec::new();
    while let Some(finished) = running.join_next().await {
        done.push(finished??);
    }
    done.sort_by_key(|one| one.what);
    let jobs = watch::jobs(ops).await?.into_iter().map(|(job, items)| Swept { job, items }).collect::<Vec<_>>();
    server.end().await?;

    let lines = trend::lines(&samples);
    let mut faults: Vec<String> = done.iter().filter_map(Done::fault).collect();
    for (what, pool) in [("by cookie", &cookies), ("by bearer token", &bearers)] {
        let wrong = pool.counts().wrong_refusals.load(Relaxed);
        faults.extend((wrong > 0).then(|| format!("live and refused {what}: {wrong}")));
    }
    faults.extend(lines.iter().filter(|line| !line.good).map(|line| format!("{} grows", line.what)));
    faults.extend(aged::left(&jobs.iter().map(|one| (one.job.as_str(), one.items)).collect(), length));
    let outcome = Outcome { minutes: arguments.minutes, machine: Machine::here(&cores), done, lines, jobs, faults };
    arguments.settings.print(&outcome, Outcome::markdown)?;
    if outcome.faults.is_empty() { Ok(()) } else { Err("it is not as it should be; the faults stand above".into()) }
}

impl Outcome {
    fn markdown(&self) -> String {
        let Machine { processor, cores, kernel, build } = &self.machine;
        let mut out =
            format!("{processor}, {cores} cores, Linux {kernel}. {} minutes. Build: {build}.\n\n", self.minutes);
        out.push_str("| what | number | wrong | p99 |\n|---|---|---|---|\n");
        for one in &self.done {
            out.push_str(&format!("| {} | {} | {} | {:.1} ms |\n", one.what, one.count, one.wrong, one.p99_ms));
        }
        out.push_str(
            "\n| after warm-up | from | to | highest | slope per hour | verdict |\n|---|---|---|---|---|---|\n",
        );
        for line in &self.lines {
            let Line { what, from, to, highest, slope, verdict, .. } = line;
            out.push_str(&format!("| {what} | {from:.1} | {to:.1} | {highest:.1} | {slope:+.1} | {verdict} |\n"));
        }
        out.push_str("\n| job | dealt with |\n|---|---|\n");
        for swept in &self.jobs {
            out.push_str(&format!("| {} | {} |\n", swept.job, swept.items));
        }
        for fault in &self.faults {
            out.push_str(&format!("\n**Fault**: {fault}.\n"));
        }
        out
    }
}
