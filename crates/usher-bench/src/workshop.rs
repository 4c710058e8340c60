//! Where a run works, and what it works on: a folder, a built server, prepared installations.

use crate::Told;
use crate::cores::{Cores, On};
use crate::stock::Stock;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// A folder to work in, removed in the end unless its owner named it.
pub struct Workshop {
    /// Where it is.
    pub path: PathBuf,
    keep: bool,
}

impl Workshop {
    /// Beside the program and not among temporary files: those may lie in memory, where a commit costs nothing.
    pub fn open(named: Option<PathBuf>, own: &Path) -> Told<Workshop> {
        let keep = named.is_some();
        let path = named.unwrap_or_else(|| own.with_file_name(format!("usher-bench-{}", std::process::id())));
        fs::create_dir_all(&path)?;
        Ok(Workshop { path: fs::canonicalize(path)?, keep })
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        if !self.keep {
            // What cannot be removed is told by its name, which is ours.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// An installation with sessions.
pub struct House {
    /// Its data directory.
    pub data: PathBuf,
    /// What the driver holds.
    pub stock: Arc<Stock>,
}

/// Builds `usher` beside this program, with the same optimization.
pub fn build(own: &Path, cores: &Cores) -> Told<PathBuf> {
    let mut command = Command::new("cargo");
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(["build", "-p", "usher", "--bin", "usher"]);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    if !cores.start(&mut command, On::All)?.wait()?.success() {
        return Err("usher could not be built; name a built one with --server".into());
    }
    let built = own.with_file_name("usher");
    if built.is_file() { Ok(built) } else { Err("usher was built elsewhere; name it with --server".into()) }
}

/// Makes an installation, in a process of its own so that the driver stays small.
pub fn prepare(own: &Path, cores: &Cores, at: &Path, counts: [usize; 4]) -> Told<House> {
    if at.exists() {
        fs::remove_dir_all(at)?;
    }
    fs::create_dir_all(at)?;
    fill(own, cores, at, counts)
}

/// Adds sessions to the installation at `at`, or makes it.
pub fn fill(own: &Path, cores: &Cores, at: &Path, [sessions, again, once, refreshes]: [usize; 4]) -> Told<House> {
    let (data, credentials) = (at.join("data"), at.join("credentials"));
    let mut command = Command::new(own);
    command.arg("prepare").arg("--data").arg(&data).arg("--credentials").arg(&credentials);
    for (flag, count) in [("--sessions", sessions), ("--again", again), ("--once", once), ("--refreshes", refreshes)] {
        command.arg(flag).arg(count.to_string());
    }
    let status = cores.start(&mut command, On::All)?.wait()?;
    if !status.success() {
        return Err("the installation could not be prepared".into());
    }
    Ok(House { stock: Arc::new(Stock::read(&credentials)?), data })
}
