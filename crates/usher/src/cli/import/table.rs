//! A table of users, as CSV with a head line, as a JSON list, or as one JSON object a line.
//!
//! Most programs call their columns by one of a few names, so those are known: Django's `auth_user`, and tables such as
//! `id, username, email, pword, admin` or `uuid, email, username, role, password, verified, disabled`, are read as they
//! are. A column that means nothing here is named once and left out. Two columns for one fact are refused: which of them
//! counts is said with `--column`.

use super::{Found, ReadRow, Unread};
use crate::accounts::import::{Candidate, Proof};
use crate::cli::stop::Stop;
use clap::ValueEnum;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::path::Path;
use zeroize::Zeroizing;

/// The form of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Commas, with a head line (RFC 4180).
    Csv,
    /// A list of objects, or one object a line.
    Json,
}

impl Format {
    /// The form that a file's name promises.
    pub fn of(path: &Path) -> Result<Format, Stop> {
        match path.extension().and_then(|ending| ending.to_str()).map(str::to_ascii_lowercase).as_deref() {
            Some("csv") => Ok(Format::Csv),
            Some("json" | "jsonl" | "ndjson") => Ok(Format::Json),
            _ => Err(Stop::refused("the file's name does not tell its format; say --format csv or --format json")),
        }
    }
}

/// How a table is to be understood.
#[derive(Debug, Default)]
pub struct Asked {
    /// The columns of facts that are called otherwise than usual.
    pub columns: Vec<(String, String)>,
    /// Whether the file's admins are admins here.
    pub admins: bool,
    /// Whether passwords are there as they are.
    pub plain: bool,
}

/// A fact, and what its column is called.
struct Fact {
    name: &'static str,
    columns: &'static [&'static str],
}

const FACTS: &[Fact] = &[
    Fact { name: "username", columns: &["username", "user_name", "user", "login", "name"] },
    Fact {
        name: "password",
        columns: &["password", "password_hash", "hashed_password", "passwordhash", "hash", "pword", "passwd"],
    },
    Fact { name: "email", columns: &["email", "mail", "email_address"] },
    Fact { name: "display_name", columns: &["display_name", "displayname", "full_name", "fullname"] },
    Fact { name: "first_name", columns: &["first_name", "firstname", "given_name"] },
    Fact { name: "last_name", columns: &["last_name", "lastname", "surname", "family_name"] },
    Fact { name: "role", columns: &["role"] },
    Fact { name: "admin", columns: &["admin", "is_admin", "is_superuser", "superuser"] },
    Fact { name: "verified", columns: &["verified", "is_verified", "email_verified"] },
    Fact { name: "disabled", columns: &["disabled", "is_disabled"] },
    Fact { name: "active", columns: &["active", "is_active", "enabled"] },
    Fact { name: "groups", columns: &["groups"] },
    Fact { name: "buckets", columns: &["buckets"] },
];

/// Reads the rows of a table.
pub fn read(text: &str, format: Format, asked: &Asked) -> Result<Found, Stop> {
    if let Some((name, _)) = asked.columns.iter().find(|(name, _)| FACTS.iter().all(|fact| fact.name != name)) {
        let known: Vec<&str> = FACTS.iter().map(|fact| fact.name).collect();
        return Err(Stop::refused(format!("there is no fact `{name}`; there are: {}", known.join(", "))));
    }
    let text = text.trim_start_matches('\u{feff}');
    let (columns, records) = match format {
        Format::Csv => csv(text)?,
        Format::Json => json(text)?,
    };
    let places = Places::find(&columns, asked)?;
    let mut found = Found::default();
    let left_out = places.left_out(&columns);
    if !left_out.is_empty() {
        found.notes.push(format!("columns that mean nothing here: {}", left_out.join(", ")));
    }
    for (row, record) in (1..).zip(records) {
        found.rows.push(match record {
            Ok(record) => places.candidate(row, &record, asked),
            Err(why) => Err(Unread { row, username: String::new(), why }),
        });
    }
    Ok(found)
}

/// One row's values by the names of their columns; absent ones are left out.
type Record = Map<String, Value>;
type Records = (Vec<String>, Vec<Result<Record, String>>);

fn csv(text: &str) -> Result<Records, Stop> {
    let mut reader = ::csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
    let heads = reader.headers().map_err(|error| Stop::refused(format!("the head line cannot be read: {error}")))?;
    let columns: Vec<String> = heads.iter().map(|head| head.trim().to_owned()).collect();
    let records = reader.records().map(|record| {
        let record = record.map_err(|error| format!("it cannot be read: {error}"))?;
        if record.len() != columns.len() {
            return Err(format!("it has {} values for {} columns", record.len(), columns.len()));
        }
        let pairs = columns.iter().zip(record.iter()).filter(|(_, value)| !value.is_empty() && *value != "\\N");
        Ok(pairs.map(|(column, value)| (column.clone(), Value::from(value))).collect())
    });
    let records = records.collect();
    Ok((columns, records))
}

fn json(text: &str) -> Result<Records, Stop> {
    // Where it broke, and never what stood there.
    let broken = |error: serde_json::Error| {
        Stop::refused(format!("the JSON is broken at line {}, column {}", error.line(), error.column()))
    };
    let values: Vec<Value> = if text.trim_start().starts_with('[') {
        serde_json::from_str(text).map_err(broken)?
    } else {
        serde_json::Deserializer::from_str(text).into_iter().collect::<Result<_, _>>().map_err(broken)?
    };
    let mut columns: Vec<String> = Vec::new();
    let mut known = BTreeSet::new();
    let records = values.into_iter().map(|value| {
        let Value::Object(record) = value else { return Err("it is no JSON object".to_owned()) };
        for column in record.keys().filter(|column| known.insert((*column).clone())) {
            columns.push(column.clone());
        }
        Ok(record.into_iter().filter(|(_, value)| !value.is_null() && value != "").collect())
    });
    let records = records.collect();
    Ok((columns, records))
}

/// The column of each fact.
struct Places<'a>(Vec<(&'static str, &'a str)>);

impl<'a> Places<'a> {
    fn find(columns: &'a [String], asked: &Asked) -> Result<Places<'a>, Stop> {
        let mut places = Vec::new();
        for fact in FACTS {
            let named: Vec<&str> = match asked.columns.iter().find(|(name, _)| name == fact.name) {
                Some((_, column)) => {
                    let there = columns.iter().find(|there| *there == column);
                    let missing = || Stop::refused(format!("the table has no column `{column}`"));
                    vec![there.ok_or_else(missing)?]
                }
                None => columns
                    .iter()
                    .map(String::as_str)
                    .filter(|column| fact.columns.contains(&column.to_ascii_lowercase().as_str()))
                    .collect(),
            };
            match named.as_slice() {
                [] => {}
                [one] => places.push((fact.name, *one)),
                [one, other, ..] => {
                    return Err(Stop::refused(format!(
                        "the columns `{one}` and `{other}` could both be the {name}; say which: --column {name}={one}",
                        name = fact.name
                    )));
                }
            }
        }
        let places = Places(places);
        if places.column("username").or(places.column("email")).is_none() {
            return Err(Stop::refused(
                "no column is called like a username or an email address; say which it is: --column username=NAME",
            ));
        }
        Ok(places)
    }

    fn column(&self, fact: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| *name == fact).map(|(_, column)| *column)
    }

    fn left_out(&self, columns: &'a [String]) -> Vec<&'a str> {
        columns.iter().map(String::as_str).filter(|column| self.0.iter().all(|(_, used)| used != column)).collect()
    }

    /// What a row says, in the words of this house.
    fn candidate(&self, row: u64, record: &Record, asked: &Asked) -> ReadRow {
        let value = |fact: &str| self.column(fact).and_then(|column| record.get(column));
        let text = |fact: &str| value(fact).map(spelled);
        let username = text("username").or_else(|| text("email")).unwrap_or_default();
        let read = || -> Result<Candidate, String> {
            let truth = |fact: &str| value(fact).map(truth).transpose().map_err(|()| unclear(fact));
            let names = [text("first_name"), text("last_name")].into_iter().flatten().collect::<Vec<_>>().join(" ");
            let role = text("role").map(|role| role.to_ascii_lowercase());
            if let Some(other) = role.as_deref().filter(|role| !["user", "admin"].contains(role)) {
                return Err(format!("there is no role `{other}`; the roles are `user` and `admin`"));
            }
            let admin = truth("admin")?.unwrap_or(false) || role.as_deref() == Some("admin");
            let proof = match text("password").map(Zeroizing::new) {
                None => Proof::None,
                Some(text) if asked.plain => Proof::Plain(text),
                Some(text) => Proof::Hash(text),
            };
            Ok(Candidate {
                row,
                username: username.clone(),
                proof,
                email: text("email"),
                display_name: text("display_name").or(Some(names).filter(|names| !names.is_empty())),
                admin: admin && asked.admins,
                verified: truth("verified")?.unwrap_or(false),
                disabled: truth("disabled")?.unwrap_or(false) || !truth("active")?.unwrap_or(true),
                groups: value("groups").map(list).unwrap_or_default(),
                buckets: value("buckets").map(list).unwrap_or_default(),
                otpauth: Zeroizing::default(),
            })
        };
        read().map_err(|why| Unread { row, username, why })
    }
}

fn unclear(fact: &str) -> String {
    format!("{fact} is neither true nor false")
}

/// A value as text.
fn spelled(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A value as databases and languages spell yes and no.
fn truth(value: &Value) -> Result<bool, ()> {
    match spelled(value).to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "1" => Ok(true),
        "false" | "f" | "no" | "n" | "0" => Ok(false),
        _ => Err(()),
    }
}

/// Names in a JSON list, or separated by commas.
fn list(value: &Value) -> Vec<String> {
    match value {
        Value::Array(names) => names.iter().map(spelled).collect(),
        other => spelled(other).split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str, format: Format, asked: &Asked) -> Vec<ReadRow> {
        read(text, format, asked).map(|found| found.rows).unwrap_or_default()
    }

    #[test]
    fn a_table_of_django_is_read_as_it_is() {
        let text = "id,password,last_login,is_superuser,username,first_name,last_name,email,is_staff,is_active\n\
            1,pbkdf2_sha256$1$a$b,,t,anna,Anna,\"B., Dr.\",anna@example.org,t,f\n";
        let read = rows(text, Format::Csv, &Asked::default());
        let Ok(row) = &read[0] else { panic!("{read:?}") };
        assert_eq!(row.username, "anna");
        assert_eq!(row.display_name.as_deref(), Some("Anna B., Dr."));
        assert!(row.disabled && !row.admin, "an admin only when it is said");
        let admins = rows(text, Format::Csv, &Asked { admins: true, ..Asked::default() });
        assert!(admins[0].as_ref().is_ok_and(|row| row.admin));
    }

    #[test]
    fn a_name_may_be_missing_where_there_is_an_address() {
        let text = r#"{"uuid": "x", "email": "a@example.org", "password": "$2b$", "role": "user", "groups": ["g", "h"]}
            {"email": "b@example.org", "username": null, "verified": true, "buckets": "films, music"}"#;
        let read = rows(text, Format::Json, &Asked::default());
        let names: Vec<_> = read.iter().map(|row| row.as_ref().map(|row| row.username.as_str())).collect();
        assert_eq!(names, [Ok("a@example.org"), Ok("b@example.org")]);
        assert!(read[0].as_ref().is_ok_and(|row| row.groups == ["g", "h"]));
        assert!(read[1].as_ref().is_ok_and(|row| row.verified && row.buckets == ["films", "music"]));
    }

    #[test]
    fn two_columns_for_one_fact_are_refused_until_it_is_said_which_counts() {
        let text = "username,password,password_hash\na,b,c\n";
        let refused = read(text, Format::Csv, &Asked::default()).err().map(|stop| stop.message).unwrap_or_default();
        assert!(refused.contains("--column password="), "{refused}");
        let columns = vec![("password".to_owned(), "password_hash".to_owned())];
        let read = rows(text, Format::Csv, &Asked { columns, ..Asked::default() });
        assert!(read[0].as_ref().is_ok_and(|row| row.proof == Proof::Hash(Zeroizing::new("c".to_owned()))));
        let columns = vec![("pasword".to_owned(), "password".to_owned())];
        assert!(super::read(text, Format::Csv, &Asked { columns, ..Asked::default() }).is_err());
    }

    #[test]
    fn a_row_of_another_length_or_kind_is_one_refused_row() {
        let read = rows("username,password\na\nb,c\n", Format::Csv, &Asked::default());
        assert!(read[0].is_err() && read[1].is_ok());
        let read =
            rows(r#"[7, {"username": "a"}, {"username": "b", "admin": "perhaps"}]"#, Format::Json, &Asked::default());
        assert!(read[0].is_err() && read[1].is_ok() && read[2].is_err());
    }

    #[test]
    fn broken_json_is_told_by_its_place_and_not_by_what_stands_there() {
        let said = read("[{\"password\": secret}]", Format::Json, &Asked::default()).err();
        let said = said.map(|stop| stop.message).unwrap_or_default();
        assert!(said.contains("line 1") && !said.contains("secret"), "{said}");
    }
}
