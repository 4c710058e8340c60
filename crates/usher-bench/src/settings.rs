//! What can be said to every run: where it works, which server it measures, and how it tells what it found.

use crate::Told;
use crate::cores::Cores;
use crate::scale::{FULL, QUICK, Scale};
use crate::workshop::{Workshop, build};
use clap::Args;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Of every run.
#[derive(Debug, Args)]
pub struct Settings {
    /// The built `usher` to measure; else it is built now, as this program was
    #[arg(long, value_name = "FILE")]
    server: Option<PathBuf>,
    /// Where to work, and to keep what was made; else a folder beside this program that is removed
    #[arg(long, value_name = "DIR")]
    work: Option<PathBuf>,
    /// Print JSON instead of tables
    #[arg(long)]
    json: bool,
}

impl Settings {
    /// The place to work in, and the server to measure.
    pub fn open(&self, own: &Path, cores: &Cores) -> Told<(Workshop, PathBuf)> {
        let workshop = Workshop::open(self.work.clone(), own)?;
        let program = match &self.server {
            Some(path) => path.clone(),
            None => build(own, cores)?,
        };
        Ok((workshop, program))
    }

    /// Prints what was found: for programs, or as tables.
    pub fn print<T: Serialize>(&self, found: &T, tables: impl FnOnce(&T) -> String) -> Told<()> {
        println!("{}", if self.json { serde_json::to_string_pretty(found)? } else { tables(found) });
        Ok(())
    }
}

/// Of the runs that measure in rounds.
#[derive(Debug, Args)]
pub struct Size {
    /// Many sessions and long stretches, for BENCHMARKS.md
    #[arg(long, conflicts_with = "quick")]
    full: bool,
    /// Few sessions and short stretches, to see that everything works (the default)
    #[arg(long)]
    quick: bool,
}

impl Size {
    /// How much is measured.
    pub fn scale(&self) -> Scale {
        if self.full { FULL } else { QUICK }
    }
}
