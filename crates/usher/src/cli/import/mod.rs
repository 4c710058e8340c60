//! `usher import …`: people move in with the passwords they have.
//!
//! Promises: the file is read here, by whoever runs the command, and judged row by row; the rows go to the server that
//! runs, or into the database, in slices; what became of each row is said as it happens. Cut off at any point, the
//! command is run again as it is: what was made stays as it is then, and the rest is made. Nobody has to choose a new
//! password. A trial (`--dry-run`) does everything and keeps nothing.
//! Refuses: to make admins of a file's admins unless it is said (`--admins`), and to take a text for a password that is
//! no hash unless it is said (`--plain-passwords`).

pub mod pystream;
pub mod table;
mod takeout;

use super::commands::import::Row;
use super::commands::table::plain;
use super::commands::{Command, CommandError, Output};
use super::stop::{Code, Stop};
use super::{Begin, Common, Desk, Place, print_line, user};
use crate::accounts::import::{Candidate, Proof, Seen};
use crate::admin::import::Taken;
use crate::config::{Overrides, Strings};
use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Longer files hold more accounts than this command is for, or are something else.
const LONGEST_FILE: u64 = 256 << 20;
/// Rows in one slice, and how much text they may hold: a slice is one command to the server.
const SLICE_ROWS: usize = 100;
const SLICE_BYTES: usize = 40 * 1024;
/// Passwords in one slice that have to be hashed, at about a tenth of a second each.
const SLICE_HASHES: usize = 8;

#[derive(Debug, Subcommand)]
pub enum Act {
    /// Takeout's auth.db: users, passwords, passcodes, media lists
    Takeout(Takeout),
    /// PyStream's or RuStream's users: a JSON map, or the `.env` that has it
    Pystream(Pystream),
    /// A table of users as CSV or JSON, with hashes as PHC, bcrypt, passlib or Django write them
    Users(Users),
}

/// What every importer takes.
#[derive(Debug, Args)]
pub struct Options {
    /// The file
    file: PathBuf,
    /// Say what would become of each row, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Buckets that every imported account may open besides its own, separated by commas
    #[arg(long, value_name = "A,B|all", default_value = "none")]
    buckets: String,
    /// A bucket that has another name here; may be given several times
    #[arg(long = "rename-bucket", value_name = "THERE=HERE", value_parser = pair)]
    renamed: Vec<(String, String)>,
}

#[derive(Debug, Args)]
pub struct Takeout {
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Args)]
pub struct Pystream {
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Args)]
pub struct Users {
    #[command(flatten)]
    options: Options,
    /// The format; else by the file's name
    #[arg(long, value_enum)]
    format: Option<table::Format>,
    /// The column that holds a fact, when it has another name than the known ones; may be given several times
    #[arg(long = "column", value_name = "FACT=COLUMN", value_parser = pair)]
    columns: Vec<(String, String)>,
    /// Whoever is an admin in the file is one here; else everybody becomes an ordinary account
    #[arg(long)]
    admins: bool,
    /// The file holds passwords as they are, not hashes
    #[arg(long)]
    plain_passwords: bool,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (there, here) = text.split_once('=').ok_or("write it as THERE=HERE")?;
    Ok((there.to_owned(), here.to_owned()))
}

/// A row that was read: an account to be made, or why it is none.
pub type ReadRow = Result<Candidate, Unread>;

/// A row that could not be read.
#[derive(Debug, PartialEq, Eq)]
pub struct Unread {
    row: u64,
    username: String,
    why: String,
}

/// What was found in a file.
#[derive(Default)]
pub struct Found {
    rows: Vec<ReadRow>,
    notes: Vec<String>,
}

pub async fn run(common: &Common, act: Act, env: &Strings) -> Result<(), Stop> {
    let (from, mut found, options) = match act {
        Act::Takeout(it) => ("takeout", takeout::read(&it.options.file)?, it.options),
        Act::Pystream(it) => ("pystream", pystream::read(&text_of(&it.options.file)?)?, it.options),
        Act::Users(it) => {
            let format = it.format.map_or_else(|| table::Format::of(&it.options.file), Ok)?;
            let asked = table::Asked { columns: it.columns, admins: it.admins, plain: it.plain_passwords };
            ("a table", table::read(&text_of(&it.options.file)?, format, &asked)?, it.options)
        }
    };
    settle_buckets(&mut found.rows, &options);
    Import { common, from, trial: options.dry_run, told: Told::default() }.run(env, found).await
}

/// The text of a file; `-` is standard input.
fn text_of(path: &Path) -> Result<String, Stop> {
    let cannot = |error: std::io::Error| Stop::refused(format!("{} cannot be read: {error}", path.display()));
    let from: Box<dyn Read> = match path.to_str() {
        Some("-") => Box::new(std::io::stdin().lock()),
        _ => Box::new(std::fs::File::open(path).map_err(cannot)?),
    };
    let mut text = String::new();
    let read = from.take(LONGEST_FILE + 1).read_to_string(&mut text).map_err(cannot)?;
    if read as u64 > LONGEST_FILE {
        return Err(Stop::refused(format!("{} is longer than 256 MiB", path.display())));
    }
    Ok(text)
}

/// Gives each account its buckets by the names they have here, and those that everybody gets.
///
/// A bucket that is called `all` elsewhere would be every bucket here, so that name must be given another.
fn settle_buckets(rows: &mut [ReadRow], options: &Options) {
    let everybody = user::names(&options.buckets);
    for row in rows {
        let Ok(candidate) = row else { continue };
        let there = std::mem::take(&mut candidate.buckets);
        let named =
            |name: &String| options.renamed.iter().find(|(there, _)| there == name).map(|(_, here)| here.clone());
        let unnamed = there.iter().any(|name| name == "all" && named(name).is_none());
        candidate.buckets = there.iter().map(|name| named(name).unwrap_or_else(|| name.clone())).collect();
        candidate.buckets.extend(everybody.iter().cloned());
        if unnamed {
            let why = "a bucket called `all` would be every bucket here; say which it is: --rename-bucket all=NAME";
            *row = Err(Unread::of(candidate, why));
        }
    }
}

/// What was said so far.
#[derive(Default)]
struct Told {
    made: u64,
    there: u64,
    refused: u64,
    unknown_buckets: BTreeSet<String>,
}

/// An import on its way.
struct Import<'a> {
    common: &'a Common,
    from: &'static str,
    trial: bool,
    told: Told,
}

/// What the desk says of a slice.
#[derive(Deserialize)]
struct Answer {
    rows: Vec<Row>,
    unknown_buckets: Vec<String>,
}

/// Rows that are done together, in their order, those among them that are refused already.
#[derive(Default)]
struct Slice {
    rows: Vec<ReadRow>,
    hashes: usize,
    bytes: usize,
}

impl Slice {
    /// What a row adds: hashes to compute, and bytes on the way through the socket.
    fn weight(row: &ReadRow) -> (usize, usize) {
        let Ok(row) = row else { return (0, 0) };
        let hashes = usize::from(matches!(row.proof, Proof::Plain(_)));
        (hashes, serde_json::to_string(row).map_or(0, |text| text.len()))
    }

    fn has_place_for(&self, row: &ReadRow) -> bool {
        let (hashes, bytes) = Slice::weight(row);
        self.rows.is_empty()
            || self.rows.len() < SLICE_ROWS && self.hashes + hashes <= SLICE_HASHES && self.bytes + bytes <= SLICE_BYTES
    }

    fn put(&mut self, row: ReadRow) {
        let (hashes, bytes) = Slice::weight(&row);
        self.hashes += hashes;
        self.bytes += bytes;
        self.rows.push(row);
    }
}

impl Import<'_> {
    async fn run(mut self, env: &Strings, found: Found) -> Result<(), Stop> {
        for note in &found.notes {
            eprintln!("usher: {}", plain(note));
        }
        let total = found.rows.len();
        let mut seen = Seen::default();
        let mut slice = Slice::default();
        let desk = self.desk(env).await?;
        let mut outcome = Ok(());
        for (done, row) in found.rows.into_iter().enumerate() {
            self.progress(done, total);
            let row = row.and_then(|row| match seen.judge(&row) {
                Ok(_) => Ok(row),
                Err(why) => Err(Unread::of(&row, &why.to_string())),
            });
            if !slice.has_place_for(&row) {
                outcome = self.send(desk.as_ref(), std::mem::take(&mut slice)).await;
                if outcome.is_err() {
                    break;
                }
            }
            slice.put(row);
        }
        if outcome.is_ok() {
            outcome = self.send(desk.as_ref(), slice).await;
        }
        if let Some(desk) = desk {
            desk.close().await;
        }
        self.end(total as u64, outcome)
    }

    /// Who does it. A trial where there is no installation yet needs nobody, and must not begin one.
    async fn desk(&self, env: &Strings) -> Result<Option<Desk>, Stop> {
        if !self.trial {
            return Desk::find(self.common, env, Begin::New).await.map(Some);
        }
        let begun = Place::find(self.common, Overrides::default(), env)?.begun();
        if begun { Desk::find(self.common, env, Begin::Existing).await.map(Some) } else { Ok(None) }
    }

    /// A line each tenth of the way, on standard error.
    fn progress(&self, done: usize, total: usize) {
        let tenth = (total / 10).max(SLICE_ROWS);
        if done > 0 && done.is_multiple_of(tenth) {
            eprintln!("usher: {done} of {total}");
        }
    }

    /// Has a slice done, and tells what became of its rows, in their order.
    async fn send(&mut self, desk: Option<&Desk>, slice: Slice) -> Result<(), Stop> {
        let (mut rows, mut told): (Vec<Candidate>, Vec<Row>) = (Vec::new(), Vec::new());
        for row in slice.rows {
            match row {
                Ok(row) => rows.push(row),
                Err(unread) => told.push(unread.into_row()),
            }
        }
        let done = match desk {
            None => Ok(rows
                .into_iter()
                .map(|row| Row { row: row.row, username: row.username, taken: Taken::Made })
                .collect()),
            Some(_) if rows.is_empty() => Ok(Vec::new()),
            Some(desk) => self.ask(desk, rows).await,
        };
        let (done, outcome) = match done {
            Ok(done) => (done, Ok(())),
            Err(stop) => (Vec::new(), Err(stop)),
        };
        told.extend::<Vec<Row>>(done);
        told.sort_by_key(|row| row.row);
        told.iter().for_each(|row| self.tell(row));
        outcome
    }

    async fn ask(&mut self, desk: &Desk, rows: Vec<Candidate>) -> Result<Vec<Row>, Stop> {
        let command = Command::Import { from: self.from.to_owned(), trial: self.trial, rows };
        let Output { value, .. } = desk.ask(command).await?;
        let answer: Answer = serde_json::from_value(value).map_err(|error| {
            let what = format!("the server's answer cannot be read: {error}; is it another version than this command?");
            Stop::new(Code::Unavailable, CommandError::UNAVAILABLE, what)
        })?;
        self.told.unknown_buckets.extend(answer.unknown_buckets);
        Ok(answer.rows)
    }

    /// Tells what became of a row.
    fn tell(&mut self, row: &Row) {
        let (counted, word) = match &row.taken {
            Taken::Made if self.trial => (&mut self.told.made, "would be made".to_owned()),
            Taken::Made => (&mut self.told.made, "made".to_owned()),
            Taken::There => (&mut self.told.there, "is there already".to_owned()),
            Taken::Refused(why) => (&mut self.told.refused, format!("refused: {}", plain(why))),
        };
        *counted += 1;
        if self.common.json {
            print_line(&json!(row).to_string());
        } else {
            print_line(&format!("row {}: {} {word}", row.row, plain(&row.username)));
        }
    }

    /// Tells what became of all.
    fn end(self, total: u64, outcome: Result<(), Stop>) -> Result<(), Stop> {
        let Told { made, there, refused, unknown_buckets } = self.told;
        if self.common.json {
            let said = json!({
                "rows": total, "made": made, "there": there, "refused": refused, "dry_run": self.trial,
                "unknown_buckets": unknown_buckets,
            });
            print_line(&said.to_string());
        } else {
            let would = if self.trial { "would be " } else { "" };
            print_line(&format!("{total} rows: {made} {would}made, {there} there already, {refused} refused"));
            if !unknown_buckets.is_empty() {
                let names: Vec<String> = unknown_buckets.iter().map(|name| plain(name)).collect();
                print_line(&format!("No bucket is called {} now; see --rename-bucket", names.join(", ")));
            }
        }
        if let Err(stop) = outcome {
            let what = format!("{}. Rows that were made stay; run the same command again for the rest", stop.message);
            return Err(Stop::new(stop.code, &stop.word, what));
        }
        match refused {
            0 => Ok(()),
            some => Err(Stop::new(
                Code::Refused,
                "rows_refused",
                format!("{some} rows were refused, each with its reason above; correct them and run the command again"),
            )),
        }
    }
}

impl Unread {
    fn of(row: &Candidate, why: &str) -> Unread {
        Unread { row: row.row, username: row.username.clone(), why: why.to_owned() }
    }

    fn into_row(self) -> Row {
        Row { row: self.row, username: self.username, taken: Taken::Refused(self.why) }
    }
}
