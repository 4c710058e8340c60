//! The mail server that letters are handed to.

use super::value::Choice;
use super::visit::{Keys, Visit};
use std::fmt;
use std::path::PathBuf;

/// The `[mail]` section.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Mail {
    /// The mail server's host name; none sends no mail.
    pub server: Option<String>,
    /// Its port; else the usual one of `security`.
    pub port: Option<u16>,
    /// How the connection is protected.
    pub security: MailSecurity,
    /// Who hands letters over; none when the server asks nobody.
    pub username: Option<String>,
    /// Their password.
    pub password: Option<String>,
    /// A file with that password.
    pub password_file: Option<PathBuf>,
    /// Certificates to believe besides the public ones, PEM.
    pub ca_file: Option<PathBuf>,
    /// Who letters are from: an address, or `Name <address>`.
    pub from: Option<String>,
}

/// How the connection to the mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MailSecurity {
    /// TLS after a plain greeting; nothing is said without it.
    #[default]
    StartTls,
    /// TLS from the first byte.
    Tls,
    /// Nothing: for a server on this machine.
    None,
}

impl Choice for MailSecurity {
    const ALL: &'static [(&'static str, MailSecurity)] =
        &[("starttls", MailSecurity::StartTls), ("tls", MailSecurity::Tls), ("none", MailSecurity::None)];
}

impl Mail {
    /// The port.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(match self.security {
            MailSecurity::StartTls => 587,
            MailSecurity::Tls => 465,
            MailSecurity::None => 25,
        })
    }
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mail")
            .field("server", &self.server)
            .field("port", &self.port())
            .field("security", &self.security)
            .field("username", &self.username)
            .field("password", &self.password.as_ref().map(|_| "***"))
            .field("password_file", &self.password_file)
            .field("ca_file", &self.ca_file)
            .field("from", &self.from)
            .finish()
    }
}

impl Keys for Mail {
    fn visit(&mut self, to: &mut dyn Visit) {
        to.setting("server", &mut self.server);
        to.setting("port", &mut self.port);
        to.setting("security", &mut self.security);
        to.setting("username", &mut self.username);
        let shown = self.password.as_ref().map(|_| "***".to_owned());
        to.secret("password", &mut self.password, shown);
        to.setting("password_file", &mut self.password_file);
        to.setting("ca_file", &mut self.ca_file);
        to.setting("from", &mut self.from);
    }
}
