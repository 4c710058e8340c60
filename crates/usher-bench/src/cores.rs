//! Which core does what: the server one, the driver another, so that neither steals from the other.

use crate::Told;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::process::{Child, Command};

/// The cores this process was given, and what each is for.
#[derive(Clone, Copy)]
pub struct Cores {
    all: CpuSet,
    server: usize,
    driver: usize,
}

/// Where a process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// On the first core.
    Server,
    /// On every core.
    All,
}

fn only(core: usize) -> CpuSet {
    let mut set = CpuSet::new();
    set.set(core);
    set
}

impl Cores {
    /// Takes the first two cores we may use, and moves this thread to the second.
    pub fn take() -> Told<Cores> {
        let all = sched_getaffinity(None)?;
        let mut ours = (0..CpuSet::MAX_CPU).filter(|&core| all.is_set(core));
        let server = ours.next().ok_or("this process may use no core")?;
        let driver = ours.next().unwrap_or(server);
        if server == driver {
            eprintln!("only one core: driver and server share it, and the numbers mean little");
        }
        sched_setaffinity(None, &only(driver))?;
        Ok(Cores { all, server, driver })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        usize::try_from(self.all.count()).unwrap_or(1)
    }

    /// Starts a process on its cores. A child inherits the cores of the thread that starts it, so it never runs
    /// anywhere else, not even for its first threads.
    pub fn start(&self, command: &mut Command, on: On) -> Told<Child> {
        let set = match on {
            On::Server => only(self.server),
            On::All => self.all,
        };
        sched_setaffinity(None, &set)?;
        let child = command.spawn();
        sched_setaffinity(None, &only(self.driver))?;
        Ok(child.map_err(|error| format!("{} cannot be started: {error}", command.get_program().display()))?)
    }

    /// Lets the calling thread use every core.
    pub fn spread(&self) -> Told<()> {
        Ok(sched_setaffinity(None, &self.all)?)
    }
}
