//! The address of a database. A typing error is refused; it never makes a new, empty database.
//!
//! How a PostgreSQL server is reached is decided here, before anything is sent: over TLS, with its certificate and
//! name verified, unless it is on this machine. There is no mode that would quietly do without.
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

/// Where the data is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DatabaseUrl {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL database.
    Postgres(PostgresUrl),
}

/// The address of a PostgreSQL database. It is printed without user and password.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl {
    config: Box<tokio_postgres::Config>,
    transport: Transport,
    shown: String,
}

/// How the server is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Transport {
    /// In clear, to this machine.
    Local,
    /// In clear over a network, because the address says `sslmode=disable`.
    Plain,
    /// TLS. Certificate and name are verified against these roots, or those that this system trusts.
    Verified {
        /// A file of certificates, PEM.
        roots: Option<PathBuf>,
    },
}

impl PostgresUrl {
    pub(crate) fn config(&self) -> &tokio_postgres::Config {
        &self.config
    }

    pub(crate) fn transport(&self) -> &Transport {
        &self.transport
    }

    /// Host and database, for people.
    pub fn shown(&self) -> &str {
        &self.shown
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresUrl({}, {:?})", self.shown, self.transport)
    }
}

/// Why an address was refused. The address itself is not repeated: it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// No scheme, or one that is not known.
    #[error(
        "the database address has {found}: write sqlite:PATH, for example sqlite:/var/lib/usher/usher.db, or \
         postgres://USER@HOST/DATABASE"
    )]
    UnknownScheme {
        /// What stood there.
        found: String,
    },
    /// A PostgreSQL address that cannot be used as it is.
    #[error("the PostgreSQL address cannot be used: {reason}")]
    BadPostgres {
        /// What is wrong with it.
        reason: String,
    },
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
            "postgres" | "postgresql" => Ok(DatabaseUrl::Postgres(postgres(text)?)),
            _ => Err(UrlError::UnknownScheme { found: format!("the unknown scheme {scheme:?}") }),
        }
    }
}

fn postgres(text: &str) -> Result<PostgresUrl, UrlError> {
    let refused = |reason: &str| UrlError::BadPostgres { reason: reason.to_owned() };
    let (address, options) = text.split_once('?').unwrap_or((text, ""));
    let (mut mode, mut roots, mut others) = (None, None, Vec::new());
    for option in options.split('&').filter(|option| !option.is_empty()) {
        let value = |value: &str| percent_encoding::percent_decode_str(value).decode_utf8_lossy().into_owned();
        match option.split_once('=') {
            Some(("sslmode", word)) => mode = Some(value(word)),
            Some(("sslrootcert", path)) => roots = Some(PathBuf::from(value(path))),
            _ => others.push(option),
        }
    }
    // What this crate decides itself is not handed on; everything else is the driver's to understand.
    let rest = format!("{address}{}{}", if others.is_empty() { "" } else { "?" }, others.join("&"));
    let mut config: tokio_postgres::Config = rest.parse().map_err(|error: tokio_postgres::Error| {
        // The driver names the option, never its value.
        let why = error.into_source().map_or_else(|| "it is not of the form".to_owned(), |why| why.to_string());
        refused(&format!("{why}; write postgres://USER@HOST/DATABASE"))
    })?;
    let Some(database) = config.get_dbname().map(str::to_owned) else {
        return Err(refused("it names no database; write postgres://USER@HOST/DATABASE"));
    };
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        return Err(refused("it names no host; write postgres://USER@HOST/DATABASE"));
    }
    let socket = |host: &Host| matches!(host, Host::Unix(_));
    let local = |host: &Host| match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            let name = name.trim_start_matches('[').trim_end_matches(']');
            name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
    };
    // An address of its own decides where the bytes go, whatever the name says.
    let here = match config.get_hostaddrs() {
        [] => config.get_hosts().iter().all(local),
        addresses => addresses.iter().all(std::net::IpAddr::is_loopback),
    };
    let transport = match mode.as_deref() {
        None if here => Transport::Local,
        Some("disable") => {
            if here {
                Transport::Local
            } else {
                Transport::Plain
            }
        }
        Some("require" | "verify-full") if config.get_hosts().iter().any(socket) => {
            return Err(refused("a unix socket has no TLS; leave sslmode out"));
        }
        None | Some("require" | "verify-full") => Transport::Verified { roots: roots.clone() },
        Some("allow" | "prefer" | "verify-ca") => {
            return Err(refused(
                "this sslmode would do without TLS, or without checking who answers, and not say so; use verify-full, \
                 with sslrootcert=FILE for a private authority, or disable on a network that you trust",
            ));
        }
        Some(_) => return Err(refused("sslmode is verify-full, require (which verifies too) or disable")),
    };
    if roots.is_some() && !matches!(transport, Transport::Verified { .. }) {
        return Err(refused("sslrootcert is for TLS; add sslmode=verify-full"));
    }
    config.ssl_mode(match transport {
        Transport::Verified { .. } => SslMode::Require,
        Transport::Local | Transport::Plain => SslMode::Disable,
    });
    // Of several hosts, the one that takes writes: nothing here may ever read from a replica.
    config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    if config.get_application_name().is_none() {
        config.application_name("usher");
    }
    let hosts: Vec<String> = config
        .get_hosts()
        .iter()
        .map(|host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(path) => path.display().to_string(),
        })
        .chain(config.get_hostaddrs().iter().map(ToString::to_string))
        .collect();
    let shown = format!("PostgreSQL database {database} at {}", hosts.join(", "));
    Ok(PostgresUrl { config: Box::new(config), transport, shown })
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

    fn transport(text: &str) -> Result<Transport, UrlError> {
        match text.parse()? {
            DatabaseUrl::Postgres(url) => Ok(url.transport),
            DatabaseUrl::Sqlite(_) => Err(UrlError::UnknownScheme { found: "another one".to_owned() }),
        }
    }

    #[test]
    fn a_server_elsewhere_is_reached_over_verified_tls_unless_the_address_says_otherwise_in_so_many_words() {
        let verified = Ok(Transport::Verified { roots: None });
        for (url, wanted) in [
            ("postgres://u:p@localhost/d", Ok(Transport::Local)),
            ("postgres://u@127.0.0.9:5433/d", Ok(Transport::Local)),
            ("postgres://u@[::1]/d", Ok(Transport::Local)),
            ("postgres:///d?host=/run/postgresql&user=u", Ok(Transport::Local)),
            ("postgresql://u@db.example/d", verified.clone()),
            ("postgres://u@db.example/d?sslmode=require", verified.clone()),
            ("postgres://u@localhost/d?sslmode=verify-full", verified.clone()),
            ("postgres://u@localhost,db.example/d", verified.clone()),
            // The name is this machine's; the bytes go elsewhere.
            ("postgres://u@localhost/d?hostaddr=192.0.2.7", verified),
            ("postgres://u@db.example/d?sslmode=disable", Ok(Transport::Plain)),
            (
                "postgres://u@db.example/d?sslrootcert=/etc/my%20ca.pem&sslmode=verify-full",
                Ok(Transport::Verified { roots: Some(PathBuf::from("/etc/my ca.pem")) }),
            ),
        ] {
            assert_eq!(transport(url), wanted, "{url}");
        }
    }

    #[test]
    fn a_postgres_address_that_would_be_guessed_at_is_refused_without_being_repeated() {
        for url in [
            "postgres://u:hunter2@db.example/d?sslmode=prefer",
            "postgres://u:hunter2@db.example/d?sslmode=allow",
            "postgres://u:hunter2@db.example/d?sslmode=verify-ca",
            "postgres://u:hunter2@db.example/d?sslmode=on",
            "postgres://u:hunter2@db.example",
            "postgres:///d",
            "postgres://u:hunter2@db.example:high/d",
            "postgres://u:hunter2@db.example/d?color=red",
            "postgres:///d?host=/run/postgresql&sslmode=require",
            "postgres://u:hunter2@localhost/d?sslrootcert=ca.pem",
            "postgres:d",
        ] {
            let refused = url.parse::<DatabaseUrl>();
            let text = format!("{refused:?} {}", refused.as_ref().err().map(ToString::to_string).unwrap_or_default());
            assert!(matches!(refused, Err(UrlError::BadPostgres { .. })), "{url}");
            assert!(!text.contains("hunter2"), "{text}");
        }
    }

    #[test]
    fn an_address_prints_neither_user_nor_password() {
        let url = "postgres://someone:hunter2@db.example/d".parse::<DatabaseUrl>();
        let shown = format!("{url:?}");
        assert!(shown.contains("database d at db.example"), "{shown}");
        assert!(!shown.contains("hunter2") && !shown.contains("someone"), "{shown}");
    }
}
