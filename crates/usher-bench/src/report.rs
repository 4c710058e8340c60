//! The table: what was measured, what it should be, and how far the two are apart.

use crate::Told;
use crate::cores::Cores;
use crate::machine::Machine;
use crate::scale::Scale;
use crate::settings::Settings;
use crate::stats::median;
use serde::Serialize;
use std::fmt::Write;
use std::path::Path;

/// What a number must be.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// No more.
    AtMost(f64),
    /// No less.
    AtLeast(f64),
    /// It stands beside others, for comparison.
    None,
}

impl Goal {
    fn met(self, value: f64) -> Option<bool> {
        match self {
            Goal::AtMost(most) => Some(value <= most),
            Goal::AtLeast(least) => Some(value >= least),
            Goal::None => None,
        }
    }

    fn shown(self, unit: &str) -> String {
        match self {
            Goal::AtMost(most) => format!("≤ {}", number(most, unit)),
            Goal::AtLeast(least) => format!("≥ {}", number(least, unit)),
            Goal::None => "–".to_owned(),
        }
    }
}

/// One line.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What was done.
    pub work: String,
    /// What is measured, and against what: `x hello's CPU`, `ms`.
    pub unit: String,
    /// What it must be.
    pub goal: Goal,
    /// The median over rounds.
    pub value: f64,
    /// Every round.
    pub rounds: Vec<f64>,
    /// The goal is met.
    pub met: Option<bool>,
    /// The absolute numbers behind it.
    pub measured: String,
}

/// Everything.
#[derive(Debug, Serialize)]
pub struct Report {
    /// `quick` or `full`.
    pub scale: &'static str,
    /// Which server was measured.
    pub server: String,
    /// Where.
    pub machine: Machine,
    /// The lines.
    pub rows: Vec<Row>,
    /// What was not measured, and why.
    pub skipped: Vec<String>,
    /// Answers that should have been others. Anything here makes the run worthless.
    pub faults: Vec<String>,
}

fn number(value: f64, unit: &str) -> String {
    let digits = if value >= 100.0 || value.fract() == 0.0 { 0 } else { 2 };
    format!("{value:.digits$} {unit}")
}

impl Report {
    /// Adds a line. `rounds` has one value for each round.
    pub fn row(&mut self, work: &str, unit: &str, goal: Goal, rounds: Vec<f64>, measured: String) {
        let value = median(&rounds);
        let (work, unit) = (work.to_owned(), unit.to_owned());
        self.rows.push(Row { work, unit, goal, value, met: goal.met(value), rounds, measured });
    }

    /// Says why something is not measured.
    pub fn skip(&mut self, what: impl Into<String>) {
        let what = what.into();
        eprintln!("skipped: {what}");
        self.skipped.push(what);
    }

    /// Says that answers were wrong, if `count` were.
    pub fn fault(&mut self, what: &str, count: u64) {
        if count > 0 {
            eprintln!("wrong answers: {what}: {count}");
            self.faults.push(format!("{what}: {count}"));
        }
    }

    /// An empty one.
    pub fn new(scale: &Scale, program: &Path, cores: &Cores) -> Report {
        Report {
            scale: scale.name,
            server: program.file_name().unwrap_or_default().to_string_lossy().into_owned() + " serve",
            machine: Machine::here(cores),
            rows: Vec::new(),
            skipped: Vec::new(),
            faults: Vec::new(),
        }
    }

    /// Prints it. A wrong answer is an error: then the numbers are worth nothing.
    pub fn tell(&self, settings: &Settings) -> Told<()> {
        settings.print(self, Report::markdown)?;
        if self.faults.is_empty() {
            Ok(())
        } else {
            Err("there were wrong answers; the numbers are worth nothing".into())
        }
    }

    /// For BENCHMARKS.md.
    fn markdown(&self) -> String {
        let Machine { processor, cores, kernel, build } = &self.machine;
        let mut out = format!(
            "{processor}, {cores} cores, Linux {kernel}. Run: {}. Server: {}. Build: {build}.\n\n\
             | work | goal | median | lowest to highest round | | measured |\n|---|---|---|---|---|---|\n",
            self.scale, self.server
        );
        for row in &self.rows {
            let (low, high) = row
                .rounds
                .iter()
                .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &one| (low.min(one), high.max(one)));
            let verdict = match row.met {
                Some(true) => "met",
                Some(false) => "**missed**",
                None => "",
            };
            let spread = if row.rounds.len() < 2 { String::new() } else { format!("{low:.2} to {high:.2}") };
            // Writing to a String cannot fail.
            let _ = writeln!(
                out,
                "| {} | {} | {} | {spread} | {verdict} | {} |",
                row.work,
                row.goal.shown(&row.unit),
                number(row.value, &row.unit),
                row.measured
            );
        }
        for skipped in &self.skipped {
            let _ = writeln!(out, "\nNot measured: {skipped}.");
        }
        for fault in &self.faults {
            let _ = writeln!(out, "\n**Wrong answers**: {fault}.");
        }
        out
    }
}
