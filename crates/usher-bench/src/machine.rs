//! Where and with what the numbers were made.

use crate::cores::Cores;
use serde::Serialize;
use std::fs;

/// What a reader must know to compare.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// The processor's name.
    pub processor: String,
    /// Cores this process could use.
    pub cores: usize,
    /// The kernel.
    pub kernel: String,
    /// How the driver was built; so was the yardstick, and the server unless it was built apart.
    pub build: &'static str,
}

impl Machine {
    /// This one.
    pub fn here(cores: &Cores) -> Machine {
        let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let name = info.lines().find_map(|line| line.strip_prefix("model name")).and_then(|rest| rest.split_once(':'));
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Machine {
            processor: name.map_or("unknown", |(_, name)| name.trim()).to_owned(),
            cores: cores.count(),
            kernel: kernel.trim().to_owned(),
            build: if cfg!(debug_assertions) { "debug: these numbers mean nothing" } else { "release" },
        }
    }
}
