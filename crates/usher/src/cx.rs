//! The context of one request or job: the present instant, who asks, and the application.

use crate::App;
use crate::gate::Caller;
use crate::secret::Plain;
use crate::time::Time;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, OnceLock};
use usher_db::{Error, Tx};

/// What is known of a request besides its credentials. Nothing here proves anything.
#[derive(Clone, Debug)]
pub struct Request {
    /// Names the request in logs, audit events and error answers.
    pub id: String,
    /// The client's address, as the nearest trusted hop tells it.
    pub address: IpAddr,
    /// What the client calls itself, shortened.
    pub agent: String,
    /// What a browser shows in which a password was proven before; read only where something may be changed. It proves
    /// nothing, and says only whose count of wrong passwords is asked.
    pub device: Option<Arc<Plain>>,
    /// Why it is refused, if it is: for admins, never for whoever asks.
    pub why: OnceLock<String>,
    /// The origin that the request was sent to (`https://host`), from configuration or an allowed Host.
    pub origin: String,
}

impl Request {
    /// Whether the client reached us through TLS, here or at a trusted proxy.
    pub fn secure(&self) -> bool {
        self.origin.starts_with("https://")
    }

    /// What stands for a request when there is none: a job, or a command on this machine.
    pub fn internal(name: &str) -> Request {
        Request {
            id: name.to_owned(),
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            agent: String::new(),
            device: None,
            why: OnceLock::new(),
            origin: String::new(),
        }
    }
}

/// Everything a domain function needs to know of its surroundings. Cheap to clone.
#[derive(Clone)]
pub struct Cx {
    /// The application.
    pub app: Arc<App>,
    /// Read once, when the request or job began.
    pub now: Time,
    /// The request.
    pub request: Arc<Request>,
    /// Who was admitted. `None` before the gate, and for jobs.
    pub caller: Option<Caller>,
}

impl Cx {
    /// The context of a job or of a command on this machine.
    pub fn internal(app: &Arc<App>, name: &str) -> Cx {
        Cx { app: app.clone(), now: app.clock.now(), request: Arc::new(Request::internal(name)), caller: None }
    }

    /// A path of this server for use elsewhere: in a mail, a player, on another device. From the public address where
    /// there is one, never from what a request calls us; else from the request's host, which was checked against the
    /// list of those that this server answers for.
    pub fn absolute(&self, path: &str) -> String {
        match &self.app.config.server.public_url {
            Some(url) => format!("{url}{path}"),
            None => format!("{}{path}", self.request.origin),
        }
    }

    /// Notes why this request is refused, exactly, for the admins who are asked about it. The first word counts: it is
    /// spoken where the refusal was decided.
    pub fn because(&self, why: impl std::fmt::Display) {
        self.request.why.get_or_init(|| why.to_string());
    }

    /// The same context, for an admitted caller.
    pub fn admitted(&self, caller: Caller) -> Cx {
        Cx { caller: Some(caller), ..self.clone() }
    }

    /// Runs `work` in one transaction: committed when it returns `Ok`, rolled back on `Err`. It may run again.
    pub async fn write<T, F>(&self, name: &'static str, work: F) -> Result<T, Error>
    where
        F: AsyncFn(&mut Tx) -> Result<T, Error> + Send + 'static,
        T: Send + 'static,
    {
        self.app.db.write(name, work).await
    }

    /// The same for what is rare and must be one commit however much it is ([`usher_db::Db::write_at_length`]).
    pub async fn write_at_length<T, F>(&self, name: &'static str, work: F) -> Result<T, Error>
    where
        F: AsyncFn(&mut Tx) -> Result<T, Error> + Send + 'static,
        T: Send + 'static,
    {
        self.app.db.write_at_length(name, work).await
    }
}
