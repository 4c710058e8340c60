//! Secrets from people: typed without echo, or read from standard input. Never arguments: those are in the shell's
//! history and in every process list.

use super::stop::Stop;
use std::io::{IsTerminal, Read};
use zeroize::Zeroizing;

/// More than any password; what is longer is a mistaken pipe.
const LONGEST: u64 = 8 * 1024;

/// A new secret: the first line of standard input, or typed twice.
pub fn new(what: &str, from_stdin: bool) -> Result<Zeroizing<String>, Stop> {
    if from_stdin {
        return stdin(what);
    }
    let first = prompt(&format!("{what}: "))?;
    let second = prompt(&format!("{what} again: "))?;
    if *first != *second {
        return Err(Stop::refused("the two entries differ; nothing was changed"));
    }
    Ok(first)
}

/// A secret that exists: the first line of standard input, or typed once.
pub fn known(what: &str, from_stdin: bool) -> Result<Zeroizing<String>, Stop> {
    if from_stdin { stdin(what) } else { prompt(&format!("{what}: ")) }
}

fn prompt(text: &str) -> Result<Zeroizing<String>, Stop> {
    if !std::io::stdin().is_terminal() {
        return Err(Stop::refused(
            "there is no terminal to ask at; pass the secret on standard input (--password-stdin)",
        ));
    }
    match rpassword::prompt_password(text) {
        Ok(secret) if !secret.is_empty() => Ok(Zeroizing::new(secret)),
        Ok(_) => Err(Stop::refused("nothing was entered; nothing was changed")),
        Err(error) => Err(Stop::refused(format!("the terminal could not be asked: {error}"))),
    }
}

fn stdin(what: &str) -> Result<Zeroizing<String>, Stop> {
    let mut text = Zeroizing::new(String::new());
    let read = std::io::stdin().lock().take(LONGEST).read_to_string(&mut text);
    read.map_err(|error| Stop::refused(format!("{what}: standard input could not be read: {error}")))?;
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() {
        return Err(Stop::refused(format!("{what}: standard input is empty; nothing was changed")));
    }
    Ok(Zeroizing::new(line.to_owned()))
}
