//! Credentials that a prepared installation will accept, in a file for the driver.
//!
//! One a line: what it is for, then its value. The installation is the bench's own and its credentials open nothing
//! else, but the file is for its owner alone like every other.

use crate::Told;
use std::fs;
use std::io::{BufWriter, Write};
use std::path::Path;

/// What the driver holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Stock {
    /// How many live sessions there are, with or without a credential here.
    pub sessions: usize,
    /// How many accounts there are, `user0` and on.
    pub accounts: usize,
    /// The password of each.
    pub password: String,
    /// Cookies that are used again and again.
    pub cookies: Vec<String>,
    /// Access tokens that are used again and again.
    pub bearers: Vec<String>,
    /// Cookies to use once.
    pub new_cookies: Vec<String>,
    /// Access tokens to use once.
    pub new_bearers: Vec<String>,
    /// Refresh tokens of sessions that nothing else here belongs to.
    pub refreshes: Vec<String>,
}

impl Stock {
    fn lists(&self) -> [(&'static str, &Vec<String>); 5] {
        [
            ("cookie", &self.cookies),
            ("bearer", &self.bearers),
            ("new-cookie", &self.new_cookies),
            ("new-bearer", &self.new_bearers),
            ("refresh", &self.refreshes),
        ]
    }

    /// Writes the file.
    pub fn write(&self, path: &Path) -> Told<()> {
        let mut file = BufWriter::new(fs::File::create(path)?);
        writeln!(file, "sessions {}\naccounts {}\npassword {}", self.sessions, self.accounts, self.password)?;
        for (word, list) in self.lists() {
            for value in list {
                writeln!(file, "{word} {value}")?;
            }
        }
        Ok(file.flush()?)
    }

    /// Reads it.
    pub fn read(path: &Path) -> Told<Stock> {
        let mut stock = Stock::default();
        let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        for line in text.lines() {
            let (word, value) = line.split_once(' ').ok_or("a line of credentials has no value")?;
            match word {
                "sessions" => stock.sessions = value.parse()?,
                "accounts" => stock.accounts = value.parse()?,
                "password" => value.clone_into(&mut stock.password),
                "cookie" => stock.cookies.push(value.to_owned()),
                "bearer" => stock.bearers.push(value.to_owned()),
                "new-cookie" => stock.new_cookies.push(value.to_owned()),
                "new-bearer" => stock.new_bearers.push(value.to_owned()),
                "refresh" => stock.refreshes.push(value.to_owned()),
                other => return Err(format!("`{other}` is no kind of credential").into()),
            }
        }
        Ok(stock)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() -> Told<()> {
        let path = std::env::temp_dir().join(format!("usher-bench-stock-{}", std::process::id()));
        let list = |name: &str| vec![format!("{name}-1"), format!("{name}-2")];
        let stock = Stock {
            sessions: 7,
            accounts: 2,
            password: "plum anchor violin 37".to_owned(),
            cookies: list("c"),
            bearers: list("b"),
            new_cookies: list("nc"),
            new_bearers: list("nb"),
            refreshes: list("r"),
        };
        stock.write(&path)?;
        let back = Stock::read(&path)?;
        fs::remove_file(&path)?;
        assert_eq!(back, stock);
        Ok(())
    }
}
