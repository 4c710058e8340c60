//! Origins: a scheme, a host and a port, and nothing else (RFC 6454).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// The text is no exact origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an origin")]
pub struct NotAnOrigin;

/// The two schemes that are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Plain.
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    /// As written in a URL.
    pub fn as_str(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }

    fn port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }
}

/// The address people use. Printed without a default port and without a final slash.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PublicUrl {
    /// `http` or `https`.
    pub scheme: Scheme,
    /// Lower-case name or address; IPv6 in brackets.
    pub host: String,
    /// The port, the scheme's own when none was written.
    pub port: u16,
}

impl PublicUrl {
    /// Whether the host is this machine: `localhost`, below it, or a loopback address.
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.host)
    }

    /// Whether the port is the scheme's own and stays unwritten.
    pub fn has_default_port(&self) -> bool {
        self.port == self.scheme.port()
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.host)?;
        if self.has_default_port() { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

/// One final slash is forgiven, for it is what address bars copy; a path, query, name or wildcard is not.
impl FromStr for PublicUrl {
    type Err = NotAnOrigin;
    fn from_str(text: &str) -> Result<Self, NotAnOrigin> {
        let (scheme, rest) = text.split_once("://").ok_or(NotAnOrigin)?;
        let scheme = if scheme.eq_ignore_ascii_case("https") {
            Scheme::Https
        } else if scheme.eq_ignore_ascii_case("http") {
            Scheme::Http
        } else {
            return Err(NotAnOrigin);
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !rest.ends_with(']') => {
                let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
                let port = if digits { port.parse().map_err(|_| NotAnOrigin)? } else { return Err(NotAnOrigin) };
                (host, port)
            }
            _ => (rest, scheme.port()),
        };
        if port == 0 {
            return Err(NotAnOrigin);
        }
        Ok(PublicUrl { scheme, host: host_name(host).ok_or(NotAnOrigin)?, port })
    }
}

/// An exact origin, in the one spelling that browsers send.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin(String);

impl Origin {
    /// As an `Origin` field carries it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the origin is plain HTTP on another machine, where anybody on the way can write pages.
    pub fn is_open_to_tampering(&self) -> bool {
        self.0.parse::<PublicUrl>().is_ok_and(|url| url.scheme == Scheme::Http && !url.is_loopback())
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Origin {
    type Err = NotAnOrigin;
    fn from_str(text: &str) -> Result<Self, NotAnOrigin> {
        if text.ends_with('/') {
            return Err(NotAnOrigin);
        }
        Ok(Origin(text.parse::<PublicUrl>()?.to_string()))
    }
}

/// The one spelling of a host: lower-case ASCII labels, a plain IPv4 address, or an IPv6 address in brackets.
pub(super) fn host_name(text: &str) -> Option<String> {
    if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return inner.parse::<Ipv6Addr>().ok().map(|address| format!("[{address}]"));
    }
    let host = text.to_ascii_lowercase();
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if host.len() > 253 || !host.split('.').all(label) {
        return None;
    }
    // A last label of digits is an address to a browser, in spellings such as 127.1 that nobody else reads alike.
    let numeric = host.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    if numeric && host.parse::<Ipv4Addr>().is_err() {
        return None;
    }
    Some(host)
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_has_one_spelling() {
        let cases = [
            ("https://App.Example:443", "https://app.example"),
            ("http://localhost:5173", "http://localhost:5173"),
            ("https://[2001:DB8::0:1]:8443", "https://[2001:db8::1]:8443"),
            ("http://192.168.1.4", "http://192.168.1.4"),
        ];
        for (text, spelled) in cases {
            assert_eq!(text.parse::<Origin>().map(|origin| origin.to_string()), Ok(spelled.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_not_exactly_an_origin_is_refused() {
        let cases = [
            "*",
            "null",
            "",
            "app.example",
            "https://",
            "https://*.example",
            "https://app.example/",
            "ftp://app.example",
            "https://app.example/path",
            "https://app.example?q",
            "https://app.example#f",
            "https://me@app.example",
            "https://app.example:",
            "https://app.example:0",
            "https://app.example:99999",
            "https://app.example:+80",
            "https://a..b",
            "https://-a.example",
            "https://bücher.example",
            "https://127.1",
            "https://[::1",
            "https://::1",
            "https://a b.example",
            "https://a.example\n",
        ];
        for text in cases {
            assert_eq!(text.parse::<Origin>(), Err(NotAnOrigin), "{text:?}");
        }
    }

    #[test]
    fn this_machine_is_known_by_all_its_names() {
        for url in ["http://localhost:8080", "http://a.localhost", "http://127.0.0.9", "http://[::1]:80"] {
            assert!(url.parse::<PublicUrl>().is_ok_and(|url| url.is_loopback()), "{url}");
        }
        for url in ["http://localhost.example", "http://192.168.0.1", "http://notlocalhost"] {
            assert!(url.parse::<PublicUrl>().is_ok_and(|url| !url.is_loopback()), "{url}");
        }
    }
}
