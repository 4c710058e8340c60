//! Tables for the rule, and properties for what no table thinks of.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use http::HeaderValue;
use proptest::prelude::*;

fn networks(list: &[&str]) -> Vec<IpNet> {
    list.iter().map(|network| network.parse().unwrap()).collect()
}

fn fields(list: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in list {
        headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn seen(peer: &str, list: &[(&'static str, &str)]) -> String {
    let trusted = networks(&["10.0.0.0/8", "fd00::/8"]);
    let found = client_address(peer.parse().unwrap(), &fields(list), &trusted);
    let https = found.https.map_or("-".to_owned(), |https| https.to_string());
    format!("{} {https} {}", found.ip, found.host.as_deref().unwrap_or("-"))
}

#[test]
fn a_stranger_s_forwarding_fields_are_ignored() {
    let list = [
        ("x-forwarded-for", "1.2.3.4"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "evil.example"),
        ("forwarded", "for=1.2.3.4;proto=https;host=evil.example"),
    ];
    assert_eq!(seen("203.0.113.9", &list), "203.0.113.9 - -");
}

#[test]
fn x_forwarded_for_is_read_from_the_right_past_trusted_proxies() {
    let cases = [
        (vec!["198.51.100.7"], "198.51.100.7"),
        (vec!["198.51.100.7, 10.0.0.2"], "198.51.100.7"),
        // What the client wrote itself stands to the left and is never reached.
        (vec!["1.1.1.1, 198.51.100.7, 10.0.0.2"], "198.51.100.7"),
        (vec!["1.1.1.1", "198.51.100.7", "10.0.0.2"], "198.51.100.7"),
        (vec!["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        (vec!["198.51.100.7:4711"], "198.51.100.7"),
        (vec!["[2001:db8::7]:4711"], "2001:db8::7"),
        (vec!["2001:db8::7, [fd00::1]"], "2001:db8::7"),
        (vec!["::ffff:198.51.100.7"], "198.51.100.7"),
        (vec![], "10.0.0.1"),
        // Garbage ends the search at the last hop that could be read.
        (vec!["198.51.100.7, unknown"], "10.0.0.1"),
        (vec!["198.51.100.7, nonsense, 10.0.0.2"], "10.0.0.2"),
        (vec![""], "10.0.0.1"),
        (vec!["198.51.100.7,"], "10.0.0.1"),
        (vec!["198.51.100.7 10.0.0.2"], "10.0.0.1"),
        (vec!["198.51.100.7\u{e9}"], "10.0.0.1"),
    ];
    for (values, ip) in cases {
        let list: Vec<_> = values.iter().map(|value| ("x-forwarded-for", *value)).collect();
        assert_eq!(seen("10.0.0.1", &list), format!("{ip} - -"), "{values:?}");
    }
    assert_eq!(seen("::ffff:10.0.0.1", &[("x-forwarded-for", "198.51.100.7")]), "198.51.100.7 - -");
}

#[test]
fn scheme_and_host_are_believed_only_when_plain() {
    let cases = [
        (vec![("x-forwarded-proto", "https")], "10.0.0.1 true -"),
        (vec![("x-forwarded-proto", "http")], "10.0.0.1 false -"),
        (vec![("x-forwarded-proto", "https, http")], "10.0.0.1 false -"),
        (vec![("x-forwarded-proto", "https"), ("x-forwarded-proto", "https")], "10.0.0.1 true -"),
        (vec![("x-forwarded-proto", "wss")], "10.0.0.1 false -"),
        (vec![("x-forwarded-host", "Media.Example:8443")], "10.0.0.1 - media.example:8443"),
        (vec![("x-forwarded-host", "a.example, b.example")], "10.0.0.1 - -"),
        (vec![("x-forwarded-host", "a.example"), ("x-forwarded-host", "a.example")], "10.0.0.1 - -"),
        (vec![("x-forwarded-host", "a.example/path")], "10.0.0.1 - -"),
    ];
    for (list, expected) in cases {
        assert_eq!(seen("10.0.0.1", &list), expected, "{list:?}");
    }
}

#[test]
fn forwarded_is_read_where_x_forwarded_for_is_absent() {
    let cases = [
        ("for=198.51.100.7;proto=https;host=media.example", "198.51.100.7 true media.example"),
        ("For=\"[2001:db8::7]:4711\"; Proto=http", "2001:db8::7 false -"),
        ("for=1.1.1.1;proto=https, for=198.51.100.7;proto=http, for=10.0.0.2;proto=https", "198.51.100.7 false -"),
        ("for=198.51.100.7, for=_hidden", "10.0.0.1 - -"),
        ("for=unknown;proto=https", "10.0.0.1 - -"),
        ("for=\"198.51.100.7", "10.0.0.1 - -"),
        ("for=198.51.100.7;for=198.51.100.8", "10.0.0.1 - -"),
        ("for=198.51.100.7;host=\"a,b\"", "198.51.100.7 - -"),
        ("nonsense", "10.0.0.1 - -"),
    ];
    for (value, expected) in cases {
        assert_eq!(seen("10.0.0.1", &[("forwarded", value)]), expected, "{value}");
    }
    let both = [("x-forwarded-for", "198.51.100.7"), ("forwarded", "for=1.1.1.1;proto=https")];
    assert_eq!(seen("10.0.0.1", &both), "198.51.100.7 - -");
}

#[test]
fn addresses_are_counted_by_household() {
    let cases = [
        ("198.51.100.7", "198.51.100.0/24"),
        ("::ffff:198.51.100.7", "198.51.100.0/24"),
        ("2001:db8:1:23ff::7", "2001:db8:1:2300::/56"),
    ];
    for (ip, network) in cases {
        assert_eq!(network_of(ip.parse().unwrap()).to_string(), network);
    }
}

#[test]
fn only_one_s_own_networks_are_private() {
    for ip in [
        "127.0.0.1",
        "10.1.2.3",
        "172.31.0.1",
        "192.168.1.1",
        "169.254.1.1",
        "::1",
        "fd00::1",
        "fe80::1",
        "::ffff:10.0.0.1",
    ] {
        assert!(is_private(ip.parse().unwrap()), "{ip}");
    }
    for ip in ["8.8.8.8", "172.32.0.1", "100.64.0.1", "0.0.0.0", "2001:db8::1", "::", "::ffff:8.8.8.8", "ff02::1"] {
        assert!(!is_private(ip.parse().unwrap()), "{ip}");
    }
}

proptest! {
    #[test]
    fn whatever_a_client_writes_the_proxy_s_entry_decides(forged in "[ -~]{0,60}") {
        // The proxy appends what it saw to whatever it was sent, in the same field or in a new one.
        let joined = format!("{forged}, 198.51.100.7");
        // An open quote may swallow the proxy's entry; the search then ends at the proxy, never at a forged address.
        let found = seen("10.0.0.1", &[("x-forwarded-for", &joined)]);
        prop_assert!(found == "198.51.100.7 - -" || (forged.contains('"') && found == "10.0.0.1 - -"), "{}", found);
        let apart = seen("10.0.0.1", &[("x-forwarded-for", &forged), ("x-forwarded-for", "198.51.100.7")]);
        prop_assert_eq!(apart, "198.51.100.7 - -");
    }

    #[test]
    fn a_network_holds_its_address(bits in any::<u128>()) {
        let ip = IpAddr::from(bits.to_be_bytes());
        prop_assert!(network_of(ip).contains(&ip.to_canonical()));
    }
}
