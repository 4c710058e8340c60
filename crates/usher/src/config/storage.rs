//! Where data lies.

use super::visit::{Keys, Visit};
use std::fmt;
use std::path::PathBuf;

/// The `[storage]` section.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Storage {
    /// The data directory; else `$STATE_DIRECTORY`, else the user's own data directory.
    pub data: Option<PathBuf>,
    /// A database elsewhere; else SQLite in the data directory. May carry a password: print [`Storage::shown_database`].
    pub database: Option<String>,
    /// The file that holds the master key; else `master.key` in the data directory.
    pub master_key_file: Option<PathBuf>,
    /// Start although the file system cannot keep the data directory to its owner.
    pub trust_filesystem_modes: bool,
}

impl Storage {
    /// The database URL with any password as `***`.
    pub fn shown_database(&self) -> Option<String> {
        self.database.as_deref().map(without_password)
    }
}

/// Anything that may hold a password in another place than the usual one is hidden whole.
fn without_password(url: &str) -> String {
    const HIDDEN: &str = "***";
    if url.to_ascii_lowercase().contains("password") {
        return HIDDEN.to_owned();
    }
    let Some((scheme, rest)) = url.split_once("://") else {
        return if url.contains('@') { HIDDEN.to_owned() } else { url.to_owned() };
    };
    // The last `@`: a password may hold one itself.
    match rest.rsplit_once('@') {
        Some((user, host)) => match user.split_once(':') {
            Some((name, _)) => format!("{scheme}://{name}:{HIDDEN}@{host}"),
            None => url.to_owned(),
        },
        None => url.to_owned(),
    }
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Storage")
            .field("data", &self.data)
            .field("database", &self.shown_database())
            .field("master_key_file", &self.master_key_file)
            .field("trust_filesystem_modes", &self.trust_filesystem_modes)
            .finish()
    }
}

impl Keys for Storage {
    fn visit(&mut self, to: &mut dyn Visit) {
        to.setting("data", &mut self.data);
        let shown = self.shown_database();
        to.secret("database", &mut self.database, shown);
        to.setting("master_key_file", &mut self.master_key_file);
        to.setting("trust_filesystem_modes", &mut self.trust_filesystem_modes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_password_is_never_shown() {
        let cases = [
            ("postgres://usher:hunter2@db/usher", "postgres://usher:***@db/usher"),
            ("postgres://usher:hun@ter2@db/usher", "postgres://usher:***@db/usher"),
            ("postgres://usher@db/usher", "postgres://usher@db/usher"),
            ("postgres://db/usher?password=hunter2", "***"),
            ("host=db user=usher password=hunter2", "***"),
            ("sqlite:/srv/usher.db", "sqlite:/srv/usher.db"),
        ];
        for (url, shown) in cases {
            let storage = Storage { database: Some(url.to_owned()), ..Storage::default() };
            assert_eq!(storage.shown_database().as_deref(), Some(shown));
            assert!(!format!("{storage:?}").contains("ter2"), "{url}");
        }
    }
}
