//! `usher migrate sqlite-to-postgres`: a live installation from its file to a server, sessions and all.
//!
//! With the server stopped. Every row is copied in one transaction, read back and compared before the commit; the file
//! stays as it is. The master key stays the same, so every cookie, token and media URL goes on working.

use super::place::Place;
use super::stop::{Code, Stop};
use super::{Common, print_line, secrets};
use crate::config::{Overrides, Strings};
use crate::schema;
use crate::secret::Rng;
use clap::{Args, Subcommand};
use serde_json::json;
use usher_db::{DatabaseUrl, move_to_postgres};

#[derive(Debug, Subcommand)]
pub enum Act {
    /// Move everything from the SQLite file into an empty PostgreSQL database
    SqliteToPostgres(Arguments),
}

#[derive(Debug, Args)]
pub struct Arguments {
    /// The database to fill, as postgres://USER@HOST/DATABASE
    #[arg(long, value_name = "URL", required_unless_present = "to_stdin")]
    to: Option<String>,
    /// Read its address from standard input: one that holds a password is no argument
    #[arg(long, conflicts_with = "to")]
    to_stdin: bool,
}

pub async fn run(common: &Common, act: Act, env: &Strings) -> Result<(), Stop> {
    let Act::SqliteToPostgres(arguments) = act;
    let place = Place::find(common, Overrides::default(), env)?;
    let files = place.existing_files()?;
    let from = files.only_file("there is nothing to move: leave --database out to name the file")?.to_owned();
    let to = match arguments.to {
        Some(to) => to,
        None => secrets::known("The address of the database", true)?.to_string(),
    };
    let to = match to.parse::<DatabaseUrl>() {
        Ok(DatabaseUrl::Postgres(to)) => to,
        Ok(_) => return Err(Stop::refused("--to names no PostgreSQL database; write postgres://USER@HOST/DATABASE")),
        Err(error) => return Err(Stop::new(Code::Configuration, "configuration", error)),
    };
    // Holding the file keeps every server away from it; the right key and the newest tables are seen to on the way.
    let (db, _) = files.open_with_key(&place.config.database.options(), &Rng::os()).await?;
    let moved = move_to_postgres(&from, &to, schema::MIGRATIONS).await;
    db.close().await;
    let moved = moved?;
    let rows: u64 = moved.iter().map(|table| table.rows).sum();
    if common.json {
        let tables: Vec<_> = moved
            .iter()
            .map(|table| json!({ "table": table.table, "rows": table.rows, "digest": table.digest }))
            .collect();
        print_line(&json!({ "rows": rows, "tables": tables }).to_string());
        return Ok(());
    }
    let mut lines: Vec<String> =
        moved.iter().map(|table| format!("{:>10}  {:<24} {}", table.rows, table.table, &table.digest[..16])).collect();
    lines.push(format!(
        "{rows} rows were moved into the {}, and compared.\nStart with --database from now on, with the same master key. \
         {} was left as it is: put it away, so that nobody starts on it again",
        to.shown(),
        from.display()
    ));
    print_line(&lines.join("\n"));
    Ok(())
}
