//! The context of a request: read once, before anything else, and carried to the handler.

use super::cookies;
use super::failure::Failure;
use crate::App;
use crate::cx::{Cx, Request as Facts};
use crate::http::accept::Peer;
use crate::net;
use crate::secret::Rng;
use axum::extract::Request;
use http::header::{HOST, USER_AGENT};
use http::uri::Authority;
use http::{HeaderMap, StatusCode, Uri, Version};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// Characters of a client's own name that are kept.
const AGENT_LENGTH: usize = 200;

/// Builds the context of the request `id`, or refuses one that was not meant for this server.
pub fn establish(app: &Arc<App>, request: &Request, id: &str) -> Result<Cx, Failure> {
    let facts = facts(app, request, id.to_owned())?;
    Ok(Cx { now: app.clock.now(), app: app.clone(), request: Arc::new(facts), caller: None })
}

/// Whether the connection itself is under TLS, for answers to requests that have no context.
pub fn peer_speaks_tls(request: &Request) -> bool {
    request.extensions().get::<Peer>().is_some_and(|peer| peer.tls)
}

/// Names for requests: in their answers, in the log, and in the events that they cause. No two of one process are alike,
/// and no secret: they are counted, and only spread so that they are told apart at a glance.
pub struct RequestNames(AtomicU64);

impl RequestNames {
    /// Beginning anywhere, so that two runs of a server do not begin alike.
    pub fn new(rng: &Rng) -> RequestNames {
        RequestNames(AtomicU64::new(u64::from_be_bytes(rng.bytes())))
    }

    /// The next: 16 hexadecimal digits.
    pub fn next(&self) -> String {
        // Multiplied by an odd number and folded by halves: both can be undone, so no two counts have one name.
        let count = self.0.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        format!("{:016x}", count ^ count >> 32)
    }
}

fn facts(app: &App, request: &Request, id: String) -> Result<Facts, Failure> {
    let peer =
        request.extensions().get::<Peer>().copied().ok_or_else(|| {
            Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "The connection has no address.")
        })?;
    let client = net::client_address(peer.addr.ip(), request.headers(), &app.config.server.trusted_proxies);
    // `GET file` and `OPTIONS *` name nothing here, and a name without a slash must not be taken for a host.
    if !request.uri().path().starts_with('/') {
        return Err(Failure::new(StatusCode::BAD_REQUEST, "bad_target", "The request names no path."));
    }
    let path = request.uri().path();
    let path = if app.config.compat.takeout { crate::takeout::folded(path) } else { path };
    if ambiguous(path) {
        return Err(Failure::new(StatusCode::BAD_REQUEST, "bad_target", "The address can be read in several ways."));
    }
    let https = client.https.unwrap_or(peer.tls);
    let asked = client.host.clone().or_else(|| host_of(request.version(), request.uri(), request.headers()));
    let asked = asked.filter(|asked| is_host(asked));
    let asked = asked.ok_or_else(|| Failure::new(StatusCode::BAD_REQUEST, "bad_host", "The request names no host."))?;
    let name = host_name(&asked);
    if !app.hosts.allows(name) {
        return Err(Failure::new(
            StatusCode::MISDIRECTED_REQUEST,
            "unknown_host",
            "This server does not answer for that host name. Its owner can add it to `hosts`, or set `public_url`.",
        ));
    }
    if !https && !app.config.server.lan && !loopback(name) {
        return Err(Failure::new(
            StatusCode::FORBIDDEN,
            "https_required",
            "This server is reached through HTTPS only. Behind a proxy, name the proxy in `trusted_proxies`.",
        ));
    }
    if app.config.server.lan && !net::is_private(client.ip) {
        return Err(Failure::new(StatusCode::FORBIDDEN, "lan_only", "This server answers on its own network only."));
    }
    // Passwords come with requests that change something; what is only read, and asked for most, needs no look at it.
    let device = if request.method().is_safe() { None } else { cookies::find_device(request.headers(), https) };
    let agent = request.headers().get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    Ok(Facts {
        id,
        address: client.ip,
        agent: agent.chars().take(AGENT_LENGTH).collect(),
        device: device.map(Arc::new),
        why: OnceLock::new(),
        origin: format!("{}://{}", if https { "https" } else { "http" }, asked.to_ascii_lowercase()),
    })
}

/// Below these, file names are decoded once, from the target as it was sent, and hold what names may hold.
const NAMES_OF_FILES: [&str; 4] = ["/m/", "/library/", "/playlist/", "/renew/"];

/// Whether a proxy before us could take the path for another one than we do (RFC 3986 section 6.2.2): by folding
/// segments, by decoding what we do not, by taking a backslash for a slash, or by cutting parameters off.
fn ambiguous(path: &str) -> bool {
    if NAMES_OF_FILES.iter().any(|root| path.starts_with(root)) {
        return false;
    }
    let folds = path.split('/').any(|segment| matches!(segment, "." | ".."));
    let encoded = path.split('%').skip(1).filter_map(|rest| u8::from_str_radix(rest.get(..2)?, 16).ok());
    folds
        || path.contains("//")
        || path.contains(['\\', ';'])
        || encoded.into_iter().any(|byte| byte.is_ascii_control() || matches!(byte, b'/' | b'\\' | b'.' | b';'))
}

/// The host a request asks for: of its absolute target, else of its one `Host` field (RFC 9112 section 3.2). On HTTP/2
/// the two must not differ (RFC 9113 section 8.3.1); in HTTP/1.1 the target counts alone (RFC 9112 section 3.2.2).
fn host_of(version: Version, uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let mut fields = headers.get_all(HOST).iter();
    let field = match (fields.next(), fields.next()) {
        (Some(one), None) => Some(one.to_str().ok()?),
        (None, _) => None,
        (Some(_), Some(_)) => return None,
    };
    match (uri.authority().map(Authority::as_str), field) {
        (Some(target), Some(field)) if version >= Version::HTTP_2 && target != field => None,
        (Some(one), _) | (None, Some(one)) => Some(one.to_owned()),
        (None, None) => None,
    }
}

/// Whether this is a name and at most a port. What else an authority can be (a user, nothing, a port that is none)
/// would end up in links.
fn is_host(text: &str) -> bool {
    let Ok(authority) = text.parse::<Authority>() else { return false };
    let port = text.len() > authority.host().len();
    !text.contains('@') && !authority.host().is_empty() && port == authority.port_u16().is_some()
}

/// The name without its port.
fn host_name(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split(']').next().unwrap_or_default();
    }
    host.rsplit_once(':').map_or(host, |(name, _)| name)
}

fn loopback(name: &str) -> bool {
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The host names this server answers for.
pub struct Hosts {
    names: Vec<String>,
    lan: bool,
}

impl Hosts {
    /// From configuration: the public name, the further names, and this machine's own.
    pub fn of(config: &crate::config::Config) -> Hosts {
        let mut names: Vec<String> = config.server.hosts.clone();
        if let Some(url) = &config.server.public_url {
            names.push(host_name(&url.host).to_owned());
        }
        Hosts { names, lan: config.server.lan }
    }

    /// Whether `name`, without port, is one of them. Private addresses count on a LAN, loopback always:
    /// neither can be the name of somebody else's site.
    pub fn allows(&self, name: &str) -> bool {
        self.names.iter().any(|known| known.eq_ignore_ascii_case(name))
            || loopback(name)
            || (self.lan && (name.parse::<IpAddr>().is_ok_and(net::is_private) || name.ends_with(".local")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_no_part_of_the_name() {
        assert_eq!(host_name("example.org:8443"), "example.org");
        assert_eq!(host_name("[::1]:8080"), "::1");
        assert_eq!(host_name("localhost"), "localhost");
    }

    #[test]
    fn a_path_that_a_proxy_could_read_otherwise_is_ambiguous() {
        for path in ["/", "/login", "/api/v1/users/x", "/docs/", "/%ff", "/a%20b", "/library/a;b//..", "/m/t/%5c"] {
            assert!(!ambiguous(path), "{path}");
        }
        for path in [
            "//login",
            "/login//",
            "/./login",
            "/docs/../login",
            "/docs/..",
            "/login;x=1",
            "/log\\in",
            "/api%2fv1",
            "/api%5Cv1",
            "/%2e%2E/login",
            "/login%00",
            "/login%0d%0a",
            "/login%3b",
            "/libraryx/..",
        ] {
            assert!(ambiguous(path), "{path}");
        }
    }

    #[test]
    fn a_host_is_a_name_and_at_most_a_port() {
        for host in ["a", "a.example:8443", "192.0.2.1:1", "[::1]", "[::1]:65535", "xn--bcher-kva.example"] {
            assert!(is_host(host), "{host}");
        }
        for no in
            ["", ":80", "a:", "a:x", "a:65536", "a:-1", "u@a", "a@", "a/b", "a b", "a?b", "http://a", "[::1", "a\\b"]
        {
            assert!(!is_host(no), "{no}");
        }
    }

    #[test]
    fn two_host_fields_are_no_host() {
        let mut headers = HeaderMap::new();
        headers.append(HOST, http::HeaderValue::from_static("a"));
        headers.append(HOST, http::HeaderValue::from_static("b"));
        for target in ["/", "http://a/"] {
            assert_eq!(host_of(Version::HTTP_11, &Uri::from_static(target), &headers), None);
        }
    }

    #[test]
    fn only_known_names_are_answered_for() {
        let hosts = Hosts { names: vec!["media.example".to_owned()], lan: false };
        assert!(hosts.allows("Media.Example") && hosts.allows("127.0.0.1") && hosts.allows("localhost"));
        assert!(
            !hosts.allows("evil.example") && !hosts.allows("192.168.1.5") && !hosts.allows("127.0.0.1.evil.example")
        );
        let lan = Hosts { names: vec![], lan: true };
        assert!(lan.allows("192.168.1.5") && !lan.allows("8.8.8.8"));
    }
}
