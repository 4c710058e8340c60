//! Whose request it is, when proxies stand between.
//!
//! Only a peer inside a trusted network is believed, and of what it forwards only the part that trusted proxies wrote:
//! the list is read from the right, and the first address that is not trusted is the client. Whatever cannot be read
//! ends the search at the last hop that could be, so that a forged entry never stands for a client.
//! `X-Forwarded-For` is what proxies append to by default, so it decides where it is present; `Forwarded` (RFC 7239)
//! is read only where it is not, for most proxies hand a client's own `Forwarded` through untouched.

use http::HeaderMap;
use http::header::HeaderName;
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};

/// Who sent a request, as far as it can be believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientAddress {
    /// The client; IPv4 in IPv6 is written as IPv4.
    pub ip: IpAddr,
    /// Whether the client spoke HTTPS to the proxy; `None` when no trusted proxy says.
    pub https: Option<bool>,
    /// The host that the client asked the proxy for; `None` when no trusted proxy says so plainly.
    pub host: Option<String>,
}

/// Reads the forwarding fields of a request that came from `peer`.
pub fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> ClientAddress {
    let peer = peer.to_canonical();
    if !is_trusted(peer, trusted) {
        return ClientAddress { ip: peer, https: None, host: None };
    }
    let x_for = HeaderName::from_static("x-forwarded-for");
    if headers.contains_key(&x_for) || !headers.contains_key(http::header::FORWARDED) {
        let hops = items(headers, &x_for, ',');
        let ip = client_of(peer, hops.into_iter().rev().map(|hop| hop.and_then(address)), trusted).0;
        ClientAddress { ip, https: x_https(headers), host: x_host(headers) }
    } else {
        forwarded(peer, headers, trusted)
    }
}

/// The network that an address is counted with: its /24 (IPv4) or its /56 (IPv6), what one household or one
/// small institute usually has.
pub fn network_of(ip: IpAddr) -> IpNet {
    let ip = ip.to_canonical();
    let length = if ip.is_ipv4() { 24 } else { 56 };
    IpNet::new(ip, length).unwrap_or_else(|_| IpNet::from(ip)).trunc()
}

/// Whether an address belongs to this machine or a network of one's own: loopback, private (RFC 1918), unique
/// local (RFC 4193) or link-local. Carrier networks (100.64.0.0/10) are shared with strangers and are not.
pub fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

fn is_trusted(ip: IpAddr, trusted: &[IpNet]) -> bool {
    trusted.iter().any(|network| network.contains(&ip))
}

/// Walks from the nearest hop outwards. Gives the client and how many hops were believed.
fn client_of(peer: IpAddr, hops: impl Iterator<Item = Option<IpAddr>>, trusted: &[IpNet]) -> (IpAddr, usize) {
    let mut client = peer;
    let mut believed = 0;
    for hop in hops {
        let Some(hop) = hop else { break };
        client = hop;
        believed += 1;
        if !is_trusted(hop, trusted) {
            break;
        }
    }
    (client, believed)
}

/// The items of all fields of one name, in order. A field that is not ASCII is one item that cannot be read: what a
/// proxy wrote behind it can. A separator inside a quoted string separates nothing.
fn items<'h>(headers: &'h HeaderMap, name: &HeaderName, separator: char) -> Vec<Option<&'h str>> {
    let mut all = Vec::new();
    for field in headers.get_all(name) {
        match field.to_str() {
            Ok(text) => all.extend(split(text, separator).into_iter().map(Some)),
            Err(_) => all.push(None),
        }
    }
    all
}

fn split(text: &str, separator: char) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut quoted, mut escaped, mut start) = (false, false, 0);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            c if c == separator && !quoted => {
                parts.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim());
    parts
}

/// An address, perhaps with a port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let ip = bare.parse::<IpAddr>().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))?;
    Some(ip.to_canonical())
}

/// HTTPS only when every proxy says so: one hop in clear is one too many.
fn x_https(headers: &HeaderMap) -> Option<bool> {
    let name = HeaderName::from_static("x-forwarded-proto");
    let said = || items(headers, &name, ',');
    let https = |scheme: Option<&str>| scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"));
    headers.contains_key(&name).then(|| said().into_iter().all(https))
}

fn x_host(headers: &HeaderMap) -> Option<String> {
    match items(headers, &HeaderName::from_static("x-forwarded-host"), ',').as_slice() {
        [Some(host)] => plain_host(host),
        _ => None,
    }
}

/// A host with perhaps a port, in the characters that one is made of.
fn plain_host(text: &str) -> Option<String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'[' | b']');
    (!text.is_empty() && text.len() <= 260 && text.bytes().all(plain)).then(|| text.to_ascii_lowercase())
}

/// RFC 7239 section 4. `proto` and `host` are those of the element that names the client: a trusted proxy wrote it.
fn forwarded(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> ClientAddress {
    let elements = items(headers, &http::header::FORWARDED, ',');
    let hops = elements.iter().rev().map(|element| parameter((*element)?, "for").and_then(|node| address(&node)));
    let (ip, believed) = client_of(peer, hops, trusted);
    let element = believed.checked_sub(1).and_then(|back| *elements.iter().rev().nth(back)?);
    let said = |name| element.and_then(|element| parameter(element, name));
    ClientAddress {
        ip,
        https: said("proto").map(|scheme| scheme.eq_ignore_ascii_case("https")),
        host: said("host").and_then(|host| plain_host(&host)),
    }
}

/// The value of a parameter that stands exactly once, without quotes.
fn parameter(element: &str, name: &str) -> Option<String> {
    let mut found = None;
    for pair in split(element, ';') {
        let (key, value) = pair.split_once('=')?;
        if key.eq_ignore_ascii_case(name) {
            if found.is_some() {
                return None;
            }
            found = Some(match value.strip_prefix('"') {
                Some(rest) => rest.strip_suffix('"')?.replace('\\', ""),
                None => value.to_owned(),
            });
        }
    }
    found
}

#[cfg(test)]
mod tests;
