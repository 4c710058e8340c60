//! How a command ends when it does not succeed: what happened, why, what to do, and an exit code.

use super::commands::CommandError;
use crate::config::Problems;
use crate::datadir::Refusal;
use serde_json::json;
use std::fmt::Display;
use std::process::ExitCode;

/// Exit codes. 0 is success; 2 is a command line that cannot be read, as everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// It was refused, or did not work.
    Refused = 1,
    /// The configuration is wrong.
    Configuration = 3,
    /// The data directory, the master key or the database cannot be used.
    Data = 4,
    /// The server or the database does not answer right now.
    Unavailable = 5,
    /// Nothing is wrong, and `apply --plan` has told what would change.
    Changes = 6,
}

/// A command that did not succeed.
#[derive(Debug)]
pub struct Stop {
    /// The exit code.
    pub code: Code,
    /// A stable word for programs.
    pub word: String,
    /// Sentences for people.
    pub message: String,
}

impl Stop {
    /// A refusal with this code and these sentences.
    pub fn new(code: Code, word: &str, message: impl Display) -> Stop {
        Stop { code, word: word.to_owned(), message: message.to_string() }
    }

    /// An end that says everything by its code; whatever there was to say has been printed.
    pub fn silent(code: Code) -> Stop {
        Stop::new(code, "", "")
    }

    /// An act that did not work.
    pub fn refused(message: impl Display) -> Stop {
        Stop::new(Code::Refused, "refused", message)
    }

    /// Data that cannot be used.
    pub fn data(message: impl Display) -> Stop {
        Stop::new(Code::Data, "data_unusable", message)
    }

    /// Tells it on standard error, and ends with its code.
    pub fn tell(&self, as_json: bool) -> ExitCode {
        if self.message.is_empty() {
            return ExitCode::from(self.code as u8);
        }
        if as_json {
            eprintln!("{}", json!({ "error": self.word, "message": self.message }));
        } else {
            eprintln!("usher: {}", self.message);
        }
        ExitCode::from(self.code as u8)
    }
}

impl From<Problems> for Stop {
    fn from(problems: Problems) -> Stop {
        Stop::new(Code::Configuration, "configuration", format!("the configuration cannot be used:\n{problems}"))
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Stop {
        Stop::data(refusal)
    }
}

impl From<usher_db::OpenError> for Stop {
    fn from(error: usher_db::OpenError) -> Stop {
        Stop::data(error)
    }
}

impl From<usher_db::Error> for Stop {
    fn from(error: usher_db::Error) -> Stop {
        Stop::new(Code::Unavailable, "unavailable", format!("the database did not answer: {error}"))
    }
}

impl From<crate::installation::InstallationError> for Stop {
    fn from(error: crate::installation::InstallationError) -> Stop {
        Stop::data(error)
    }
}

impl From<crate::BuildError> for Stop {
    fn from(error: crate::BuildError) -> Stop {
        Stop::data(error)
    }
}

impl From<CommandError> for Stop {
    fn from(error: CommandError) -> Stop {
        let code = match error.code.as_str() {
            CommandError::UNAVAILABLE => Code::Unavailable,
            CommandError::DECLARATION => Code::Configuration,
            _ => Code::Refused,
        };
        Stop::new(code, &error.code, error.message)
    }
}
