//! The whole run: installations are prepared, servers started, stretches of load alternate, and a table comes out.

use crate::cores::{Cores, On};
use crate::gate::{By, Pool};
use crate::load::{Same, Stretch, drive, measure};
use crate::login::Queue;
use crate::process::{Running, free_address};
use crate::report::{Goal, Report};
use crate::scale::{CONNECTIONS, END_ONE_IN, PACE, PACED, REFRESHING, Scale};
use crate::settings::{Settings, Size};
use crate::start::Starter;
use crate::stats::median;
use crate::tls::Pair;
use crate::whole::{self, Flow};
use crate::workshop::{House, prepare};
use crate::{Told, http, login, memory, nginx, ranges, refresh};
use clap::Args;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// `usher-bench all`
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    size: Size,
    #[command(flatten)]
    settings: Settings,
    /// nginx, where it does not lie in a usual place
    #[arg(long, value_name = "FILE")]
    nginx: Option<PathBuf>,
}

/// Everything a stage needs.
struct Run {
    scale: Scale,
    cores: Cores,
    work: PathBuf,
    starter: Starter,
    many: House,
    few: House,
    report: Report,
}

/// Measures everything.
pub async fn run(arguments: Arguments) -> Told<()> {
    let scale = arguments.size.scale();
    let cores = Cores::take()?;
    let own = std::env::current_exe()?;
    let (workshop, program) = arguments.settings.open(&own, &cores)?;
    let folder = workshop.path.join("media");
    ranges::make_file(&folder, scale.file)?;
    let many =
        prepare(&own, &cores, &workshop.path.join("many"), [scale.sessions, scale.again, scale.once, scale.refreshes])?;
    let few = prepare(&own, &cores, &workshop.path.join("few"), [scale.few, scale.few / 4, 0, 0])?;
    let report = Report::new(&scale, &program, &cores);
    let starter = Starter { program, work: workshop.path.clone(), folder, tls: None };
    let mut run = Run { scale, cores, work: workshop.path.clone(), starter, many, few, report };
    let hello = run.hello(&own, None).await?;
    run.stages(&own, &hello, arguments.nginx.as_deref()).await?;
    drop(hello);
    run.report.tell(&arguments.settings)
}

/// Ratios, round by round.
fn ratios(of: &[Stretch], to: &[Stretch], value: fn(&Stretch) -> f64) -> Vec<f64> {
    of.iter().zip(to).map(|(of, to)| value(of) / value(to).max(1e-9)).collect()
}

fn middle(of: &[Stretch], value: fn(&Stretch) -> f64) -> f64 {
    median(&of.iter().map(value).collect::<Vec<_>>())
}

/// The absolute numbers of a kind of stretch.
fn absolute(of: &[Stretch]) -> String {
    format!(
        "{:.1} µs CPU, {:.0}/s, p50 {:.0} µs, p99 {:.0} µs",
        middle(of, |one| one.cpu),
        middle(of, |one| one.rate),
        middle(of, |one| one.p50),
        middle(of, |one| one.p99)
    )
}

impl Run {
    async fn hello(&self, own: &Path, tls: Option<&Pair>) -> Told<Running> {
        let addr = free_address()?;
        let mut command = Command::new(own);
        command.arg("hello").arg("--listen").arg(addr.to_string());
        if let Some(pair) = tls {
            command.arg("--cert").arg(&pair.cert).arg("--key").arg(&pair.key);
        }
        let log = File::create(self.work.join("hello.log"))?;
        let running = Running::start(&self.cores, &mut command, On::Server, addr, log)?;
        let mut running = running.under(tls.map(|pair| pair.connector.clone()));
        running.ready("/").await?;
        Ok(running)
    }

    async fn stages(&mut self, own: &Path, hello: &Running, nginx: Option<&Path>) -> Told<()> {
        let server = self.starter.ready(&self.cores, &self.many.data, On::Server).await?;
        let stock = self.many.stock.clone();
        let cookies = Pool::new(By::Cookie, stock.cookies.clone(), stock.new_cookies.clone());
        let bearers = Pool::new(By::Bearer, stock.bearers.clone(), stock.new_bearers.clone());
        self.gate(hello, &server, [&cookies, &bearers]).await?;
        self.lookups(&server, &cookies).await?;
        self.refreshes(hello, &server).await?;
        let bearer = self.many.stock.new_bearers.last().ok_or("no access tokens")?;
        let fields = By::Bearer.fields(bearer);
        self.bytes(&server, &fields, nginx, None).await?;
        server.end().await?;
        self.under_tls(own, nginx).await?;
        self.logins(&cookies).await?;
        for pool in [&cookies, &bearers] {
            let counts = pool.counts();
            self.report.fault("ended and admitted", counts.wrong_admits.load(Relaxed));
            self.report.fault("live and refused", counts.wrong_refusals.load(Relaxed));
        }
        self.starts().await?;
        self.memory().await
    }

    /// The gate by cookie and by bearer token, with a bare server in alternation.
    async fn gate(&mut self, hello: &Running, server: &Running, pools: [&Arc<Pool>; 2]) -> Told<()> {
        let length = self.scale.stretch;
        let (mut bare, mut by) = (Vec::new(), [Vec::new(), Vec::new()]);
        // The first round warms everything up and is not kept.
        for round in 0..=self.scale.rounds {
            eprintln!("gate: round {round} of {}", self.scale.rounds);
            let (stretch, same) =
                measure(hello, Same::times(CONNECTIONS, &http::get("/", ""), 200), length, None).await?;
            self.report.fault("hello", same.iter().map(|one| one.wrong).sum());
            let mut kept = [stretch; 3];
            for (at, pool) in pools.iter().enumerate() {
                let end = pool.size().div_ceil(END_ONE_IN * (self.scale.rounds + 1));
                let ending = tokio::spawn(Arc::clone(pool).end_some(server.addr, end, length, round));
                let (stretch, _) = measure(server, pool.knocking(CONNECTIONS, round, false), length, None).await?;
                ending.await??;
                kept[at + 1] = stretch;
            }
            if round > 0 {
                bare.push(kept[0]);
                by[0].push(kept[1]);
                by[1].push(kept[2]);
            }
        }
        self.report.row(
            "hello, the yardstick",
            "µs CPU",
            Goal::None,
            bare.iter().map(|one| one.cpu).collect(),
            absolute(&bare),
        );
        for ((pool, stretches), name) in pools.iter().zip(&by).zip(["gate by cookie", "gate by bearer token"]) {
            let row = |report: &mut Report, what: &str, goal, value: fn(&Stretch) -> f64, unit: &str| {
                let measured =
                    format!("{:.1}{unit}, hello {:.1}{unit}", middle(stretches, value), middle(&bare, value));
                report.row(&format!("{name}: {what}"), "x hello", goal, ratios(stretches, &bare, value), measured);
            };
            row(&mut self.report, "CPU", Goal::AtMost(1.5), |one| one.cpu, " µs");
            row(&mut self.report, "rate (the dream)", Goal::AtLeast(0.8), |one| one.rate, "/s");
            row(&mut self.report, "p99", Goal::AtMost(2.0), |one| one.p99, " µs");
            let ended = pool.try_ended(server.addr).await?;
            let counts = pool.counts();
            let (asked, new, shown) =
                (counts.asked.load(Relaxed), counts.new.load(Relaxed), counts.ended.load(Relaxed));
            let wrong = counts.wrong_admits.load(Relaxed);
            let measured = format!(
                "{asked} requests, {:.1} % with a credential never seen before, {ended} sessions ended meanwhile, \
                 {shown} requests with an ended one",
                new as f64 * 100.0 / asked.max(1) as f64
            );
            self.report.row(&format!("{name}: wrong admits"), "", Goal::AtMost(0.0), vec![wrong as f64], measured);
        }
        Ok(())
    }

    /// Whether many sessions make a look-up slower than few do.
    async fn lookups(&mut self, many: &Running, known: &Arc<Pool>) -> Told<()> {
        let small = self.starter.ready(&self.cores, &self.few.data, On::Server).await?;
        let few = Pool::new(By::Cookie, self.few.stock.cookies.clone(), Vec::new());
        let mut stretches = [Vec::new(), Vec::new()];
        for round in 0..=self.scale.rounds {
            for (at, (server, pool)) in [(&small, &few), (many, known)].into_iter().enumerate() {
                let works = pool.knocking(CONNECTIONS, 100 + round, true);
                let (stretch, _) = measure(server, works, self.scale.stretch, None).await?;
                if round > 0 {
                    stretches[at].push(stretch);
                }
            }
        }
        small.end().await?;
        let [few, many] = &stretches;
        let measured =
            format!("{} live: {}; {} live: {}", self.scale.few, absolute(few), self.scale.sessions, absolute(many));
        let rounds = ratios(many, few, |one| one.cpu);
        self.report.row("gate among all sessions: CPU", "x few sessions", Goal::AtMost(1.5), rounds, measured);
        Ok(())
    }

    /// Rotating refresh, on the disk before it is answered.
    async fn refreshes(&mut self, hello: &Running, server: &Running) -> Told<()> {
        let mut works = refresh::deal(&self.many.stock.refreshes, REFRESHING);
        let (mut bare, mut ours) = (Vec::new(), Vec::new());
        for round in 0..=self.scale.rounds {
            eprintln!("refresh: round {round} of {}", self.scale.rounds);
            let same = Same::times(works.len(), &http::get("/", ""), 200);
            let (yardstick, _) = measure(hello, same, self.scale.stretch, None).await?;
            let (stretch, back) = measure(server, works, self.scale.stretch, None).await?;
            works = back;
            if round > 0 {
                bare.push(yardstick);
                ours.push(stretch);
            }
        }
        self.report.fault("refreshes that were refused", works.iter().map(|one| one.refused).sum());
        let rounds = ratios(&ours, &bare, |one| one.cpu);
        self.report.row("refresh, rotating: CPU", "x hello", Goal::AtMost(8.0), rounds, absolute(&ours));
        Ok(())
    }

    /// A local file in pieces and whole, with nginx in alternation.
    async fn bytes(&mut self, server: &Running, fields: &str, nginx: Option<&Path>, tls: Option<&Pair>) -> Told<()> {
        let under = if tls.is_some() { " under TLS" } else { "" };
        let path = ranges::media_path(server.target(), fields).await?;
        let beside = match nginx::find(nginx) {
            Some(program) => Some(nginx::start(&program, &self.cores, &self.starter.folder, &self.work, tls).await?),
            None => {
                self.report.skip(format!("files{under} against nginx, which is not installed"));
                None
            }
        };
        let (mut ours, mut theirs, mut wrong) = (Vec::new(), Vec::new(), 0);
        let (mut whole, mut their_whole) = (Vec::new(), Vec::new());
        let (size, length, plain) = (self.scale.file, self.scale.stretch, format!("/{}", ranges::NAME));
        for round in 0..=self.scale.rounds {
            eprintln!("files{under}: round {round} of {}", self.scale.rounds);
            let works = ranges::seeking(&path, size, CONNECTIONS, round);
            let (stretch, back) = measure(server, works, length, None).await?;
            wrong += back.iter().map(|one| one.wrong).sum::<u64>();
            let flow = whole::fetch(server, &path, size, length).await?;
            ours.extend((round > 0).then_some(stretch));
            whole.extend((round > 0).then_some(flow));
            if let Some(nginx) = &beside {
                let works = ranges::seeking(&plain, size, CONNECTIONS, round);
                let (stretch, _) = measure(nginx, works, length, None).await?;
                let flow = whole::fetch(nginx, &plain, size, length).await?;
                theirs.extend((round > 0).then_some(stretch));
                their_whole.extend((round > 0).then_some(flow));
            }
        }
        self.report.fault("pieces of a file that were not the piece", wrong);
        let flow = |of: &[Flow]| {
            let middle = |value: fn(&Flow) -> f64| median(&of.iter().map(value).collect::<Vec<_>>());
            format!("{:.0} MiB/s, {:.2} s CPU for a GiB", middle(|one| one.rate), middle(|one| one.cpu))
        };
        let pieces = format!("64 KiB ranges{under}");
        if theirs.is_empty() {
            let rounds = ours.iter().map(|one| one.rate).collect();
            self.report.row(&pieces, "/s", Goal::None, rounds, absolute(&ours));
            let rounds = whole.iter().map(|one| one.rate).collect();
            self.report.row(&format!("whole file{under}"), "MiB/s", Goal::None, rounds, flow(&whole));
        } else {
            let measured = format!("{}; nginx: {}", absolute(&ours), absolute(&theirs));
            let rounds = ratios(&ours, &theirs, |one| one.rate);
            self.report.row(&format!("{pieces}: rate"), "x nginx", Goal::AtLeast(0.9), rounds, measured);
            let measured = format!("{}; nginx: {}", flow(&whole), flow(&their_whole));
            let rounds = whole.iter().zip(&their_whole).map(|(ours, theirs)| ours.rate / theirs.rate).collect();
            let what = format!("whole file{under}: rate");
            self.report.row(&what, "x nginx", Goal::AtLeast(0.9), rounds, measured.clone());
            let rounds = whole.iter().zip(&their_whole).map(|(ours, theirs)| ours.cpu / theirs.cpu).collect();
            self.report.row(&format!("whole file{under}: CPU"), "x nginx", Goal::None, rounds, measured);
        }
        let count = self.scale.slow;
        let each = whole::per_slow_reader(server, &path, count).await?;
        let measured = format!("{count} who took the head of a file of {} MiB and then nothing", size >> 20);
        self.report.row(&format!("slow reader{under}: memory"), "KiB", Goal::AtMost(32.0), vec![each], measured);
        Ok(())
    }

    /// The gate and files under TLS, beside a bare server and nginx under TLS.
    async fn under_tls(&mut self, own: &Path, nginx: Option<&Path>) -> Told<()> {
        let pair = Pair::make(&self.work)?;
        let bare = self.hello(own, Some(&pair)).await?;
        let starter = Starter { tls: Some(pair.clone()), ..self.starter.clone() };
        let server = starter.ready(&self.cores, &self.few.data, On::Server).await?;
        let pool = Pool::new(By::SecureCookie, self.few.stock.cookies.clone(), Vec::new());
        let (mut hello, mut ours) = (Vec::new(), Vec::new());
        for round in 0..=self.scale.rounds {
            let length = self.scale.stretch;
            let same = Same::times(CONNECTIONS, &http::get("/", ""), 200);
            let (stretch, _) = measure(&bare, same, length, None).await?;
            hello.extend((round > 0).then_some(stretch));
            let (stretch, _) = measure(&server, pool.knocking(CONNECTIONS, 300 + round, true), length, None).await?;
            ours.extend((round > 0).then_some(stretch));
        }
        let wrong = pool.counts().wrong_refusals.load(Relaxed);
        self.report.fault("live and refused under TLS", wrong);
        let measured = format!("{}; hello: {}", absolute(&ours), absolute(&hello));
        let rounds = ratios(&ours, &hello, |one| one.cpu);
        self.report.row("gate by cookie under TLS: CPU", "x hello under TLS", Goal::AtMost(1.5), rounds, measured);
        let cookie = self.few.stock.cookies.first().ok_or("no cookies")?;
        let fields = By::SecureCookie.fields(cookie);
        self.bytes(&server, &fields, nginx, Some(&pair)).await?;
        server.end().await
    }

    /// Logins on all cores beside the bare hash, and the gate while many log in.
    async fn logins(&mut self, cookies: &Arc<Pool>) -> Told<()> {
        let server = self.starter.ready(&self.cores, &self.many.data, On::All).await?;
        let (stock, queue, length) = (self.many.stock.clone(), Queue::default(), self.scale.logins);
        let connections = 2 * self.cores.count() + 2;
        let (mut bare, mut rates, mut quiet, mut storm, mut refused) = (vec![], vec![], vec![], vec![], 0);
        for round in 0..self.scale.rounds {
            eprintln!("login: round {} of {}", round + 1, self.scale.rounds);
            bare.push(login::bare_rate(&self.cores, length)?);
            let (tally, works) = drive(server.addr, queue.logins(&stock, connections), length, None).await?;
            rates.push(tally.rate());
            refused += works.iter().map(|one| one.refused).sum::<u64>();
            let knocking = |part| cookies.knocking(PACED, 200 + 2 * round + part, true);
            quiet.push(drive(server.addr, knocking(0), length, Some(PACE)).await?.0.p99());
            let logins = tokio::spawn(drive(server.addr, queue.logins(&stock, connections), length, None));
            storm.push(drive(server.addr, knocking(1), length, Some(PACE)).await?.0.p99());
            refused += logins.await??.1.iter().map(|one| one.refused).sum::<u64>();
        }
        server.end().await?;
        self.report.fault("logins that were refused", refused);
        let measured = format!("{:.1} logins/s, {:.1} bare hashes/s", median(&rates), median(&bare));
        let rounds = rates.iter().zip(&bare).map(|(ours, bare)| ours / bare).collect();
        self.report.row("password login: rate on all cores", "x the bare hash", Goal::AtLeast(0.97), rounds, measured);
        let measured = format!("quiet {:.0} µs, storm {:.0} µs, at 1,000/s", median(&quiet), median(&storm));
        let rounds = storm.iter().zip(&quiet).map(|(storm, quiet)| storm / quiet).collect();
        self.report.row("gate in a storm of logins: p99", "x quiet", Goal::AtMost(5.0), rounds, measured);
        Ok(())
    }

    async fn starts(&mut self) -> Told<()> {
        let (mut first, mut few, mut many) = (Vec::new(), Vec::new(), Vec::new());
        let of = |house: &House| house.stock.cookies.last().cloned().ok_or("no cookies");
        let (new, live) = (self.work.join("new"), self.many.stock.new_cookies.last().ok_or("no cookies")?);
        for _ in 0..self.scale.rounds {
            first.push(self.starter.first_boot(&self.cores, &new).await?);
            few.push(self.starter.later_start(&self.cores, &self.few.data, &of(&self.few)?).await?);
            many.push(self.starter.later_start(&self.cores, &self.many.data, live).await?);
        }
        for (work, most, rounds) in [
            ("first boot to the first 200".to_owned(), 1_000.0, first),
            (format!("later start to the first 200, {} sessions", self.scale.few), 50.0, few),
            (format!("later start to the first 200, {} sessions", self.scale.sessions), 3_000.0, many),
        ] {
            let measured = format!("{:.0} ms", median(&rounds));
            self.report.row(&work, "ms", Goal::AtMost(most), rounds, measured);
        }
        Ok(())
    }

    async fn memory(&mut self) -> Told<()> {
        let rest = self.scale.rest;
        let idle = memory::idle(&self.starter, &self.cores, &self.few.data, &self.few.stock, rest).await?;
        let measured = format!("{} s after the last login", rest.as_secs());
        self.report.row("idle resident memory", "MB", Goal::AtMost(25.0), vec![idle], measured);
        let cookies = &self.many.stock.new_cookies;
        let each = memory::per_session(&self.starter, &self.cores, &self.many.data, cookies).await?;
        let measured = format!("over {} sessions, resident memory of the whole server", cookies.len() / 2);
        self.report.row("live session in memory", "bytes", Goal::AtMost(300.0), vec![each], measured);
        Ok(())
    }
}
