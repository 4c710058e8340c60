//! PyStream's users, and those of its heirs: a JSON map from name to password, by itself or as `authorization` in a
//! `.env` file. The passwords are kept as they are there, so they are hashed here.

use super::{Found, Unread};
use crate::accounts::import::{Candidate, Proof};
use crate::cli::stop::Stop;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use zeroize::Zeroizing;

pub fn read(text: &str) -> Result<Found, Stop> {
    let text = text.trim_start_matches('\u{feff}').trim();
    let owned;
    let map = if text.starts_with('{') {
        text
    } else {
        owned = Zeroizing::new(authorization(text).ok_or_else(|| {
            Stop::refused("the file is neither a JSON map of users nor a .env file with a line `authorization=`")
        })?);
        owned.as_str()
    };
    let Users(users) = serde_json::from_str(map).map_err(|error| {
        let what = "the users are no JSON map from name to password";
        Stop::refused(format!("{what}: line {}, column {}", error.line(), error.column()))
    })?;
    let mut first = BTreeMap::new();
    let mut found = Found::default();
    for (row, (username, password)) in (1..).zip(users) {
        let refused = |username, why: String| Err(Unread { row, username, why });
        let twice = first.get(&username).copied();
        first.entry(username.clone()).or_insert(row);
        found.rows.push(match (twice, password) {
            (Some(row), _) => refused(username, format!("the name stands in row {row} too")),
            (None, Value::String(text)) => {
                let proof = Proof::Plain(Zeroizing::new(text));
                Ok(Candidate { row, username, proof, ..Candidate::default() })
            }
            (None, _) => refused(username, "its password is not text".to_owned()),
        });
    }
    Ok(found)
}

/// The value of `authorization` in a `.env` file, without the quotes around it.
fn authorization(text: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let line = line.trim();
        let (name, value) = line.strip_prefix("export ").unwrap_or(line).split_once('=')?;
        if !name.trim().eq_ignore_ascii_case("authorization") {
            return None;
        }
        let value = value.trim();
        let inside = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
        match (inside('\''), inside('"')) {
            (Some(text), _) => Some(text.to_owned()),
            // Between double quotes, a quote and a backslash are written with a backslash before them.
            (_, Some(text)) if text.contains("\\\"") => Some(text.replace("\\\"", "\"").replace("\\\\", "\\")),
            (_, Some(text)) => Some(text.to_owned()),
            _ => Some(value.to_owned()),
        }
    })
}

/// A JSON map in its order, with names that stand twice.
struct Users(Vec<(String, Value)>);

impl<'de> serde::Deserialize<'de> for Users {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Users, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Users;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a map")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Users, A::Error> {
                let mut users = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    users.push(pair);
                }
                Ok(Users(users))
            }
        }
        from.deserialize_map(Pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<Result<(String, bool), String>> {
        let found = read(text).map(|found| found.rows).unwrap_or_default();
        let secret = |proof: &Proof| matches!(proof, Proof::Plain(text) if text.as_str() == r#"pa"ss\word"#);
        found
            .into_iter()
            .map(|row| row.map(|it| (it.username, secret(&it.proof))).map_err(|unread| unread.why))
            .collect()
    }

    #[test]
    fn a_map_and_every_way_to_quote_it_in_an_environment_file_are_read() {
        let json = r#"{"Alan": "pa\"ss\\word"}"#;
        let escaped = json.replace('\\', "\\\\").replace('"', "\\\"");
        let expected = vec![Ok(("Alan".to_owned(), true))];
        assert_eq!(names(json), expected);
        for line in [
            format!("authorization={json}"),
            format!("# users\nvideo_port=8000\nAUTHORIZATION = '{json}'\n"),
            format!("export authorization=\"{escaped}\""),
        ] {
            assert_eq!(names(&line), expected, "{line}");
        }
    }

    #[test]
    fn a_name_that_stands_twice_and_a_password_that_is_no_text_are_told() {
        let rows = names(r#"{"a": "x", "a": "y", "b": 7}"#);
        assert_eq!(rows[0], Ok(("a".to_owned(), false)));
        assert_eq!(rows[1], Err("the name stands in row 1 too".to_owned()));
        assert_eq!(rows[2], Err("its password is not text".to_owned()));
    }

    #[test]
    fn a_refusal_names_no_part_of_the_file() {
        for text in ["secret", "authorization={\"a\": secret}", "{secret"] {
            let said = read(text).err().map(|stop| stop.message).unwrap_or_default();
            assert!(!said.is_empty() && !said.contains("secret"), "{said}");
        }
    }
}
