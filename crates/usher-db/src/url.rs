//! The address of a database. A typing error is refused; it never makes a new, empty database.
use std::path::PathBuf;
use std::str::FromStr;

/// Where the data is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DatabaseUrl {
    /// A SQLite file.
    Sqlite(PathBuf),
}

/// Why an address was refused. The address itself is not repeated: it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// No scheme, or one that is not known.
    #[error("the database address has {found}: write sqlite:PATH, for example sqlite:/var/lib/usher/usher.db")]
    UnknownScheme {
        /// What stood there.
        found: String,
    },
    /// A scheme that is known, and that this build does not serve.
    #[error("this build cannot use PostgreSQL yet: use sqlite:PATH, or leave the database address out")]
    NotSupported,
    /// The path cannot be meant.
    #[error("the database address names no usable file: {reason}")]
    BadPath {
        /// What is wrong with it.
        reason: &'static str,
    },
}

impl FromStr for DatabaseUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<DatabaseUrl, UrlError> {
        let Some((scheme, rest)) = text.split_once(':') else {
            return Err(UrlError::UnknownScheme { found: "no scheme".to_owned() });
        };
        match scheme {
            "sqlite" => Ok(DatabaseUrl::Sqlite(sqlite_path(rest)?)),
            "postgres" | "postgresql" => Err(UrlError::NotSupported),
            _ => Err(UrlError::UnknownScheme { found: format!("the unknown scheme {scheme:?}") }),
        }
    }
}

fn sqlite_path(rest: &str) -> Result<PathBuf, UrlError> {
    let path = match rest.strip_prefix("//") {
        Some(path) if path.starts_with('/') => path,
        Some(_) => {
            return Err(UrlError::BadPath {
                reason: "after sqlite:// a third slash and an absolute path are expected",
            });
        }
        None => rest,
    };
    let refused = |reason| Err(UrlError::BadPath { reason });
    match path {
        "" => refused("the path is empty"),
        _ if path.contains(":memory:") => refused("a database in memory would forget every login at the next start"),
        _ if path.contains('\0') => refused("the path holds a zero byte"),
        _ if path.contains('?') || path.contains('#') => refused("options after ? or # are not known here"),
        _ if path.ends_with('/') => refused("the path is a directory"),
        _ => Ok(PathBuf::from(path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_or_refused_but_never_guessed() {
        let file = |path: &str| Ok(DatabaseUrl::Sqlite(PathBuf::from(path)));
        assert_eq!("sqlite:/data/usher.db".parse(), file("/data/usher.db"));
        assert_eq!("sqlite:///data/usher.db".parse(), file("/data/usher.db"));
        assert_eq!("sqlite:usher.db".parse(), file("usher.db"));
        assert_eq!("postgres://u:p@h/d".parse::<DatabaseUrl>(), Err(UrlError::NotSupported));
        for wrong in ["usher.db", "/data/usher.db", "sqlit:/data/usher.db", "mysql://h/d", ""] {
            assert!(matches!(wrong.parse::<DatabaseUrl>(), Err(UrlError::UnknownScheme { .. })), "{wrong}");
        }
        for wrong in ["sqlite:", "sqlite://", "sqlite://host/d", "sqlite::memory:", "sqlite:/d?mode=ro", "sqlite:/d/"] {
            assert!(matches!(wrong.parse::<DatabaseUrl>(), Err(UrlError::BadPath { .. })), "{wrong}");
        }
    }

    #[test]
    fn a_refused_address_is_not_repeated() {
        let error = "hunter2".parse::<DatabaseUrl>().map_err(|e| e.to_string());
        assert!(error.is_err_and(|text| !text.contains("hunter2")));
    }
}
