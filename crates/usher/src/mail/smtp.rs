//! The way to the mail server: SMTP submission (RFC 6409), encrypted unless the server is this machine.

use super::letter::Written;
use crate::config::{Config, Mail, MailSecurity};
use crate::id::LetterId;
use crate::time::Time;
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::AsyncSmtpTransportBuilder;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use std::time::Duration;

/// What one conversation with the mail server may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Hands letters to the mail server.
pub struct Courier {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    /// The right half of message ids.
    host: String,
}

/// Why no letters can be sent with this configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("mail.{key}: {what}")]
pub struct NoCourier {
    /// The key under `[mail]`.
    pub key: &'static str,
    /// What is wrong.
    pub what: String,
}

/// A letter that was not taken.
pub struct NotTaken {
    /// Whether it would never be.
    pub for_good: bool,
    /// What the server said.
    pub why: String,
}

impl Courier {
    /// The courier that the configuration asks for; none without `mail.server`. Opens no connection.
    ///
    /// # Errors
    /// A file that cannot be read, a sender that is no address, certificates that are none.
    pub fn of(config: &Config) -> Result<Option<Courier>, NoCourier> {
        let mail = &config.mail;
        let Some(server) = &mail.server else { return Ok(None) };
        let wrong = |key: &'static str| move |error: &dyn std::fmt::Display| NoCourier { key, what: error.to_string() };
        let from: Mailbox = mail.from.as_deref().unwrap_or_default().parse().map_err(|error| wrong("from")(&error))?;
        let host = config.server.public_url.as_ref().map_or_else(|| "localhost".to_owned(), |url| url.host.clone());
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(server.as_str())
            .port(mail.port())
            .tls(tls(mail, server)?)
            .hello_name(ClientId::Domain(host.clone()))
            .timeout(Some(PATIENCE));
        if let Some(username) = &mail.username {
            builder = with_password(builder, mail, username)?;
        }
        Ok(Some(Courier { transport: builder.build(), from, host }))
    }

    /// Hands one letter over.
    pub async fn send(&self, to: &str, written: &Written, id: LetterId, at: Time) -> Result<(), NotTaken> {
        let malformed = |error: &dyn std::fmt::Display| NotTaken { for_good: true, why: error.to_string() };
        let to: Mailbox = to.parse().map_err(|error| malformed(&error))?;
        let made = std::time::UNIX_EPOCH + Duration::from_millis(at.0.max(0).cast_unsigned());
        let message = Message::builder()
            .from(self.from.clone())
            .to(to)
            .subject(&written.subject)
            .date(made)
            .message_id(Some(format!("<{id}@{}>", self.host)))
            .multipart(MultiPart::alternative_plain_html(written.text.clone(), written.html.clone()))
            .map_err(|error| malformed(&error))?;
        // The library's own patience is for each step; this one is for all of them together.
        match tokio::time::timeout(PATIENCE * 2, self.transport.send(message)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => {
                // A password that the mail server does not take says nothing about the letter.
                let login = error.status().is_some_and(|code| (530..540).contains(&u16::from(code)));
                Err(NotTaken { for_good: error.is_permanent() && !login, why: error.to_string() })
            }
            Err(_) => Err(NotTaken { for_good: false, why: "the mail server did not answer in time".to_owned() }),
        }
    }

    /// Whether the mail server answers, for `doctor`. Sends nothing.
    ///
    /// # Errors
    /// What went wrong, in words.
    pub async fn knock(&self) -> Result<(), String> {
        match tokio::time::timeout(PATIENCE, self.transport.test_connection()).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err("it answers, but takes no letters".to_owned()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("it does not answer".to_owned()),
        }
    }
}

fn tls(mail: &Mail, server: &str) -> Result<Tls, NoCourier> {
    if mail.security == MailSecurity::None {
        return Ok(Tls::None);
    }
    let mut parameters = TlsParameters::builder(server.to_owned());
    if let Some(path) = &mail.ca_file {
        let wrong =
            |error: &dyn std::fmt::Display| NoCourier { key: "ca_file", what: format!("{}: {error}", path.display()) };
        let pem = std::fs::read(path).map_err(|error| wrong(&error))?;
        parameters = parameters.add_root_certificate(Certificate::from_pem(&pem).map_err(|error| wrong(&error))?);
    }
    let parameters = parameters.build().map_err(|error| NoCourier { key: "security", what: error.to_string() })?;
    Ok(match mail.security {
        MailSecurity::Tls => Tls::Wrapper(parameters),
        _ => Tls::Required(parameters),
    })
}

fn with_password(
    builder: AsyncSmtpTransportBuilder,
    mail: &Mail,
    username: &str,
) -> Result<AsyncSmtpTransportBuilder, NoCourier> {
    let password = match (&mail.password, &mail.password_file) {
        (Some(password), _) => password.clone(),
        (None, Some(path)) => {
            let wrong = |error: std::io::Error| NoCourier {
                key: "password_file",
                what: format!("{}: {error}", path.display()),
            };
            std::fs::read_to_string(path).map_err(wrong)?.trim_end_matches(['\r', '\n']).to_owned()
        }
        (None, None) => String::new(),
    };
    Ok(builder.credentials(Credentials::new(username.to_owned(), password)))
}
