//! A server in a process of its own: started on its core, waited for, measured from outside, ended.

use crate::cores::{Cores, On};
use crate::http::{self, Connection, Target};
use crate::{Told, clock};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::HashMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio_rustls::TlsConnector;

/// How long a server may take to answer, or to end.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often a server that starts is asked whether it answers.
const EVERY: Duration = Duration::from_millis(1);
/// The kernel tells processor time to user space in hundredths of a second on every architecture (`USER_HZ`).
const TICK: Duration = Duration::from_millis(10);

/// A running server. Dropping it ends it.
pub struct Running {
    child: Child,
    /// Where it answers.
    pub addr: SocketAddr,
    tls: Option<TlsConnector>,
}

/// A port on this machine that nobody uses at the moment.
pub fn free_address() -> Told<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

impl Running {
    /// Starts `command`, whose server will answer at `addr`. What it logs goes to `log`.
    pub fn start(cores: &Cores, command: &mut Command, on: On, addr: SocketAddr, log: fs::File) -> Told<Running> {
        let command = command.stdin(Stdio::null()).stdout(Stdio::from(log.try_clone()?)).stderr(Stdio::from(log));
        Ok(Running { child: cores.start(command, on)?, addr, tls: None })
    }

    /// The same server, spoken to under TLS.
    pub fn under(self, tls: Option<TlsConnector>) -> Running {
        // The process ends with the value that is returned, not with this one.
        let mut this = self;
        this.tls = tls;
        this
    }

    /// Where and how it is spoken to.
    pub fn target(&self) -> Target {
        Target::new(self.addr, self.tls.clone())
    }

    /// Waits until `request` is answered with 200, and says how long after `since` that was.
    pub async fn first_200(&mut self, request: &[u8], since: std::time::Instant) -> Told<Duration> {
        let mut last = String::new();
        while clock::now() - since < PATIENCE {
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("the server ended before it answered: {status}; its log says why").into());
            }
            let answered = async {
                let mut connection = Connection::open(self.target()).await?;
                connection.exchange(request).await.map(|answer| answer.status)
            };
            match answered.await {
                Ok(200) => return Ok(clock::now() - since),
                Ok(status) => last = format!("it answers {status}"),
                Err(error) => last = error.to_string(),
            }
            tokio::time::sleep(EVERY).await;
        }
        Err(format!("the server does not answer with 200: {last}").into())
    }

    /// Waits until it answers at all.
    pub async fn ready(&mut self, path: &str) -> Told<()> {
        self.first_200(&http::get(path, ""), clock::now()).await.map(|_| ())
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The processor time it has used.
    pub fn usage(&self) -> Told<Usage> {
        Usage::of(self.child.id())
    }

    /// The memory it holds, in bytes.
    pub fn resident(&self) -> Told<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS in /proc/PID/status")?;
        let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kib * 1024)
    }

    /// Asks it to end and waits until it has.
    pub async fn end(mut self) -> Told<()> {
        if let Some(pid) = Pid::from_raw(i32::try_from(self.child.id())?) {
            kill_process(pid, Signal::TERM)?;
        }
        let since = clock::now();
        while clock::now() - since < PATIENCE {
            if self.child.try_wait()?.is_some() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Err("the server does not end when it is asked to".into())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Whoever ended it properly has waited already, and both of these do nothing then.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Processor time that a process has used, user and kernel together.
pub struct Usage {
    /// Of all its threads, to 10 ms, also those that are gone.
    ticks: u64,
    /// Of each thread that lives, in nanoseconds.
    threads: HashMap<String, u64>,
}

impl Usage {
    fn of(pid: u32) -> Told<Usage> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let ticks = ticks(&stat).ok_or("/proc/PID/stat has another form than expected")?;
        let mut threads = HashMap::new();
        for entry in fs::read_dir(format!("/proc/{pid}/task"))? {
            let entry = entry?;
            // A thread may end while we look; a kernel may keep no such accounts.
            let Ok(line) = fs::read_to_string(entry.path().join("schedstat")) else { continue };
            let nanos = line.split_whitespace().next().and_then(|first| first.parse().ok());
            threads.extend(nanos.map(|nanos| (entry.file_name().to_string_lossy().into_owned(), nanos)));
        }
        Ok(Usage { ticks, threads })
    }

    /// What was used since `before`.
    ///
    /// The scheduler's own account is exact, but a thread takes its part with it when it ends. Then the two differ
    /// by more than rounding can, and the coarse one is right.
    pub fn since(&self, before: &Usage) -> Duration {
        let coarse = TICK * u32::try_from(self.ticks.saturating_sub(before.ticks)).unwrap_or(u32::MAX);
        let of =
            |(thread, nanos): (&String, &u64)| nanos - before.threads.get(thread).copied().unwrap_or(0).min(*nanos);
        let fine = Duration::from_nanos(self.threads.iter().map(of).sum());
        let rounding = TICK * 2 * u32::try_from(self.threads.len()).unwrap_or(1);
        if coarse > fine + rounding.max(coarse / 20) { coarse } else { fine }
    }
}

/// `utime` and `stime` of proc(5): the 14th and 15th field, after a name that may hold anything.
fn ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_found_behind_any_name() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194304 100 0 0 0 12 30 0 0 20 0 2 0 1 1 1";
        assert_eq!(ticks(stat), Some(42));
        assert_eq!(ticks("7 no name"), None);
    }

    #[test]
    fn a_thread_that_ended_is_counted_by_the_coarse_account() {
        let usage = |ticks, thread: &str, nanos| Usage { ticks, threads: HashMap::from([(thread.to_owned(), nanos)]) };
        let kept = usage(110, "1", 1_005_000_000).since(&usage(10, "1", 5_000_000));
        assert_eq!(kept, Duration::from_secs(1));
        let lost = usage(110, "2", 10_000_000).since(&usage(10, "1", 5_000_000));
        assert_eq!(lost, TICK * 100);
    }
}
