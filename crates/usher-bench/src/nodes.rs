//! `usher-bench nodes`: the gate, refresh and login on SQLite, and on PostgreSQL with one node and with two, and how long
//! a logout on one takes to be felt on the other. PostgreSQL is a server of the bench's own, whose commits reach the disk.

use crate::cores::{Cores, On};
use crate::gate::{By, Pool, knock};
use crate::http::{self, Connection};
use crate::load::{Stretch, drive, measure};
use crate::login::Queue;
use crate::process::Running;
use crate::report::{Goal, Report};
use crate::scale::{CONNECTIONS, REFRESHING, Scale};
use crate::settings::{Settings, Size};
use crate::start::Starter;
use crate::stats::{median, micros, percentile};
use crate::workshop::{House, prepare};
use crate::{Told, clock, ranges, refresh};
use clap::Args;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering::Relaxed;

/// Logouts whose way to the other node is timed, in each round.
const LOGOUTS: usize = 40;

/// `usher-bench nodes`
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    size: Size,
    #[command(flatten)]
    settings: Settings,
    /// Where PostgreSQL's `initdb` and `pg_ctl` are, where that is no usual place
    #[arg(long, value_name = "DIR")]
    postgres: Option<PathBuf>,
}

/// Measures SQLite, one node and two.
pub async fn run(arguments: Arguments) -> Told<()> {
    let scale = arguments.size.scale();
    let cores = Cores::take()?;
    let own = std::env::current_exe()?;
    let bin =
        find(arguments.postgres).ok_or("PostgreSQL's programs are not installed; name them with --postgres DIR")?;
    let (workshop, program) = arguments.settings.open(&own, &cores)?;
    let folder = workshop.path.join("media");
    ranges::make_file(&folder, scale.file)?;
    let sessions = scale.sessions.min(200_000);
    let house =
        prepare(&own, &cores, &workshop.path.join("nodes"), [sessions, scale.again, scale.once / 10, scale.refreshes])?;
    let report = Report::new(&scale, &program, &cores);
    let second = workshop.path.join("second");
    let starter = Starter { program, work: workshop.path.clone(), folder, tls: None };
    let mut bench = Bench { scale, cores, starter, house, second, url: None, report };
    // Refresh tokens rotate, so none is of use to the stage after.
    let stock = bench.house.stock.clone();
    let (for_sqlite, rest) = stock.refreshes.split_at(stock.refreshes.len() / 3);
    let (for_one, for_two) = rest.split_at(rest.len() / 2);
    bench.one("SQLite", for_sqlite).await?;

    let postgres = Postgres::start(bin, &workshop.path)?;
    let moved = Command::new(&bench.starter.program)
        .env_clear()
        .arg("--data")
        .arg(&bench.house.data)
        .args(["migrate", "sqlite-to-postgres", "--to", &postgres.url])
        .stdout(Stdio::null())
        .status()?;
    if !moved.success() {
        return Err("the installation could not be moved to PostgreSQL".into());
    }
    // The second node is a machine of its own: another data directory, the same key.
    fs::create_dir_all(&bench.second)?;
    fs::copy(bench.house.data.join("master.key"), bench.second.join("master.key"))?;
    bench.url = Some(postgres.url.clone());
    bench.one("one node", for_one).await?;
    bench.two(for_two).await?;
    bench.report.tell(&arguments.settings)
}

struct Bench {
    scale: Scale,
    cores: Cores,
    starter: Starter,
    house: House,
    second: PathBuf,
    /// The database; SQLite's file when there is none.
    url: Option<String>,
    report: Report,
}

fn middle(of: &[Stretch], value: fn(&Stretch) -> f64) -> f64 {
    median(&of.iter().map(value).collect::<Vec<_>>())
}

fn absolute(of: &[Stretch]) -> String {
    format!(
        "{:.1} µs CPU of the node, p50 {:.0} µs, p99 {:.0} µs",
        middle(of, |one| one.cpu),
        middle(of, |one| one.p50),
        middle(of, |one| one.p99)
    )
}

impl Bench {
    async fn node(&self, data: &Path) -> Told<Running> {
        let database = self.url.as_ref().map(|url| format!("\n[storage]\ndatabase = {url:?}\n")).unwrap_or_default();
        let mut node = self.starter.start_with(&self.cores, data, On::All, None, &database)?;
        node.ready("/login").await?;
        Ok(node)
    }

    /// Connections that log in at each node: enough that it hashes on every core while others are held back.
    fn logging_in(&self) -> usize {
        2 * self.cores.count() + 2
    }

    fn row(&mut self, work: &str, unit: &str, rounds: Vec<f64>, measured: String) {
        self.report.row(work, unit, Goal::None, rounds, measured);
    }

    async fn one(&mut self, what: &str, refreshing: &[String]) -> Told<()> {
        let node = self.node(&self.house.data).await?;
        let stock = self.house.stock.clone();
        let pool = Pool::new(By::Cookie, stock.cookies.clone(), Vec::new());
        let (mut gate, mut refreshes, mut logins) = (Vec::new(), Vec::new(), Vec::new());
        let (mut works, queue) = (refresh::deal(refreshing, REFRESHING), Queue::default());
        let mut refused = 0;
        for round in 0..=self.scale.rounds {
            eprintln!("{what}: round {round} of {}", self.scale.rounds);
            let (stretch, _) =
                measure(&node, pool.knocking(CONNECTIONS, round, true), self.scale.stretch, None).await?;
            let (rotating, back) = measure(&node, works, self.scale.stretch, None).await?;
            works = back;
            let (tally, done) =
                drive(node.addr, queue.logins(&stock, self.logging_in()), self.scale.logins, None).await?;
            refused += done.iter().map(|one| one.refused).sum::<u64>();
            // The first round warms everything up and is not kept.
            if round > 0 {
                gate.push(stretch);
                refreshes.push(rotating);
                logins.push(tally.rate());
            }
        }
        self.report.fault(&format!("live and refused: {what}"), pool.counts().wrong_refusals.load(Relaxed));
        self.report.fault(&format!("refreshes that were refused: {what}"), works.iter().map(|one| one.refused).sum());
        self.report.fault(&format!("logins that were refused: {what}"), refused);
        self.row(&format!("gate by cookie, {what}"), "/s", gate.iter().map(|one| one.rate).collect(), absolute(&gate));
        self.row(
            &format!("refresh, {what}"),
            "/s",
            refreshes.iter().map(|one| one.rate).collect(),
            absolute(&refreshes),
        );
        self.row(&format!("password login, {what}"), "/s", logins, "as many as all cores take".to_owned());
        node.end().await
    }

    async fn two(&mut self, refreshing: &[String]) -> Told<()> {
        let (first, second) = (self.node(&self.house.data).await?, self.node(&self.second).await?);
        let stock = self.house.stock.clone();
        let pool = Pool::new(By::Cookie, stock.cookies.clone(), Vec::new());
        let (mut gate, mut refreshes, mut logins) = (Vec::new(), Vec::new(), Vec::new());
        let (mut quiet, mut loaded) = (Vec::new(), Vec::new());
        let (left, right) = refreshing.split_at(refreshing.len() / 2);
        let mut works = (refresh::deal(left, REFRESHING / 2), refresh::deal(right, REFRESHING / 2));
        let (queue, mut refused) = (Queue::default(), 0);
        let mut ending = stock.new_cookies.iter();
        for round in 0..=self.scale.rounds {
            eprintln!("two nodes: round {round} of {}", self.scale.rounds);
            let length = self.scale.stretch;
            let (a, b) = tokio::join!(
                drive(first.addr, pool.knocking(CONNECTIONS / 2, 2 * round, true), length, None),
                drive(second.addr, pool.knocking(CONNECTIONS / 2, 2 * round + 1, true), length, None)
            );
            let knocks = a?.0.rate() + b?.0.rate();
            let (a, b) =
                tokio::join!(drive(first.addr, works.0, length, None), drive(second.addr, works.1, length, None));
            let ((a, back_a), (b, back_b)) = (a?, b?);
            works = (back_a, back_b);
            let (c, d) = tokio::join!(
                drive(first.addr, queue.logins(&stock, self.logging_in()), self.scale.logins, None),
                drive(second.addr, queue.logins(&stock, self.logging_in()), self.scale.logins, None)
            );
            let ((c, done_c), (d, done_d)) = (c?, d?);
            refused += done_c.iter().chain(&done_d).map(|one| one.refused).sum::<u64>();
            let cookies: Vec<String> = ending.by_ref().take(2 * LOGOUTS).cloned().collect();
            let (calm, busy) = cookies.split_at(cookies.len() / 2);
            let mut times = felt(&first, &second, calm).await?;
            quiet.append(&mut times);
            // The same while both are busy with the gate and refreshes, whose writes the database takes beside.
            let (times, a2, b2) = tokio::join!(
                felt(&first, &second, busy),
                drive(first.addr, pool.knocking(CONNECTIONS / 2, 900 + round, true), length, None),
                drive(second.addr, works.1, length, None)
            );
            loaded.append(&mut times?);
            a2?;
            works.1 = b2?.1;
            if round > 0 {
                gate.push(knocks);
                refreshes.push(a.rate() + b.rate());
                logins.push(c.rate() + d.rate());
            }
        }
        self.report.fault("live and refused on two nodes", pool.counts().wrong_refusals.load(Relaxed));
        let wrong = works.0.iter().chain(&works.1).map(|one| one.refused).sum();
        self.report.fault("refreshes that were refused on two nodes", wrong);
        self.report.fault("logins that were refused on two nodes", refused);
        let shared = || "both nodes, PostgreSQL and the driver share the cores".to_owned();
        self.row("gate by cookie, two nodes", "/s", gate, shared());
        self.row("refresh, two nodes", "/s", refreshes, shared());
        self.row("password login, two nodes", "/s", logins, shared());
        for (what, mut times) in [("quiet", quiet), ("under load", loaded)] {
            times.sort_unstable();
            let [p50, p99] = [0.5, 0.99].map(|share| micros(percentile(&times, share)) / 1e3);
            let measured = format!("{} logouts, {what}", times.len());
            let name = |which: &str| format!("logout until refused on the other node, {what}: {which}");
            self.report.row(&name("p50"), "ms", Goal::AtMost(50.0), vec![p50], measured.clone());
            self.report.row(&name("p99"), "ms", Goal::AtMost(1_000.0), vec![p99], measured);
        }
        first.end().await?;
        second.end().await
    }
}

/// Ends each session on the first node, and knocks at the second until it refuses. Nanoseconds, from the answer of the
/// logout on.
async fn felt(first: &Running, second: &Running, cookies: &[String]) -> Told<Vec<u64>> {
    let (mut here, mut there) = (Connection::open(first.target()).await?, Connection::open(second.target()).await?);
    let mut times = Vec::with_capacity(cookies.len());
    for cookie in cookies {
        let request = knock(By::Cookie, cookie);
        let before = there.exchange(&request).await?.status;
        if before != 200 {
            return Err(format!("a live session is answered with {before} on the second node").into());
        }
        let fields = format!("{}Sec-Fetch-Site: same-origin\r\n", By::Cookie.fields(cookie));
        let status = here.exchange(&http::post("/api/v1/logout", &fields, "{}")).await?.status;
        if status != 204 {
            return Err(format!("a logout is answered with {status}").into());
        }
        let told = clock::now();
        while there.exchange(&request).await?.status == 200 {}
        times.push(u64::try_from((clock::now() - told).as_nanos())?);
    }
    Ok(times)
}

/// Where PostgreSQL's programs are.
fn find(named: Option<PathBuf>) -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    found.sort();
    named.or_else(|| found.pop()).filter(|bin| bin.join("pg_ctl").is_file())
}

/// A server in the work folder, ended when dropped.
struct Postgres {
    bin: PathBuf,
    folder: PathBuf,
    /// The database.
    url: String,
}

impl Postgres {
    fn start(bin: PathBuf, work: &Path) -> Told<Postgres> {
        let folder = work.join("postgres");
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let url = format!("postgres://usher@127.0.0.1:{port}/postgres");
        let this = Postgres { bin, folder, url };
        if rustix::process::getuid().is_root() {
            // It refuses to run as root. Its user must reach the folder through those above it.
            for above in this.folder.ancestors().take_while(|above| above.starts_with(work)) {
                let mode = std::os::unix::fs::PermissionsExt::from_mode(0o711);
                fs::set_permissions(above, mode)?;
            }
            Command::new("chown").arg("postgres").arg(&this.folder).status()?;
        }
        this.run("initdb", &["-U", "usher", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"])?;
        let options = format!("-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories=");
        this.run("pg_ctl", &["start", "-w", "-s", "-l", &this.folder.join("log").to_string_lossy(), "-o", &options])?;
        Ok(this)
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Told<()> {
        let program = self.bin.join(program);
        let mut command = if rustix::process::getuid().is_root() {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(&program);
            command
        } else {
            Command::new(&program)
        };
        command.current_dir(&self.folder).arg("-D").arg(self.folder.join("data")).args(arguments);
        let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
        if status.success() { Ok(()) } else { Err(format!("{} failed: {status}", program.display()).into()) }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Nothing it holds is needed any more.
        let _ = self.run("pg_ctl", &["stop", "-m", "immediate", "-w", "-s"]);
    }
}
