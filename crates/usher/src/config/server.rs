//! Where the server listens, under which names it is known, and whom it believes about addresses.

use super::origin::PublicUrl;
use super::visit::{Keys, Visit};
use ipnet::IpNet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// The `[server]` section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Where people and programs reach the server.
    pub listen: SocketAddr,
    /// Where health and metrics are served; `None` (written `off`) serves neither.
    pub ops_listen: Option<SocketAddr>,
    /// What links, the issuer and cookies are built from; never the `Host` of a request.
    pub public_url: Option<PublicUrl>,
    /// Further names that a request's `Host` may carry, lower case, without port.
    pub hosts: Vec<String>,
    /// Networks whose `X-Forwarded-*` and `Forwarded` fields are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Serve plain HTTP to private addresses.
    pub lan: bool,
    /// Allow localhost origins for apps under development.
    pub dev: bool,
    /// Connections open at once, all listeners together.
    pub max_connections: usize,
    /// What pages call the service.
    pub service_name: String,
}

impl Default for Server {
    fn default() -> Self {
        Server {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            ops_listen: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 9080))),
            public_url: None,
            hosts: Vec::new(),
            trusted_proxies: Vec::new(),
            lan: false,
            dev: false,
            max_connections: 10_000,
            service_name: "Usher".to_owned(),
        }
    }
}

impl Keys for Server {
    fn visit(&mut self, to: &mut dyn Visit) {
        to.setting("listen", &mut self.listen);
        to.setting("ops_listen", &mut self.ops_listen);
        to.setting("public_url", &mut self.public_url);
        to.setting("hosts", &mut self.hosts);
        to.setting("trusted_proxies", &mut self.trusted_proxies);
        to.setting("lan", &mut self.lan);
        to.setting("dev", &mut self.dev);
        to.setting("max_connections", &mut self.max_connections);
        to.setting("service_name", &mut self.service_name);
    }
}

/// The `[tls]` section: both files or neither.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The certificate chain, PEM, the server's own certificate first.
    pub cert: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
}

/// What `[tls]` says before it is known to be complete.
#[derive(Default)]
pub(super) struct TlsFiles {
    pub(super) cert: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
}

impl Keys for TlsFiles {
    fn visit(&mut self, to: &mut dyn Visit) {
        to.setting("cert", &mut self.cert);
        to.setting("key", &mut self.key);
    }
}
