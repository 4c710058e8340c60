//! `--lan`: plain HTTP for the house, as somebody at home starts it.

use crate::support::program::{Answer, Home, PASSWORD, Server, ask};
use fast_qr::qr::QRBuilder;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::process::Stdio;

const SERVE: [&str; 6] = ["serve", "--lan", "--listen", "[::]:0", "--ops-listen", "off"];

fn serving(home: &Home) -> Server {
    Server::start(home.usher(&SERVE))
}

/// What stands behind a word at the beginning of a line.
fn lines<'t>(said: &'t str, word: &str) -> Vec<&'t str> {
    said.lines().filter_map(|line| line.strip_prefix(word)).map(str::trim).collect()
}

/// Where an announced origin is reached.
fn reached(origin: &str) -> SocketAddr {
    let authority = origin.strip_prefix("http://").unwrap();
    authority.replace("localhost", "127.0.0.1").parse().unwrap()
}

fn at(origin: &str, method: &str, path: &str, headers: &str, body: &str) -> Answer {
    let (host, length) = (origin.strip_prefix("http://").unwrap(), body.len());
    let head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}");
    let kind = "Content-Type: application/x-www-form-urlencoded";
    ask(reached(origin), &format!("{head}{kind}\r\nContent-Length: {length}\r\n\r\n{body}"))
}

/// The addresses from which this machine would send to the world, asked of its routes.
fn own_addresses() -> Vec<IpAddr> {
    let from = |bind: &str, to: &str| {
        let socket = UdpSocket::bind(bind).ok()?;
        socket.connect(to).ok()?;
        Some(socket.local_addr().ok()?.ip())
    };
    [from("0.0.0.0:0", "198.51.100.1:9"), from("[::]:0", "[2001:db8::1]:9")].into_iter().flatten().collect()
}

fn private(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_private(),
        IpAddr::V6(ip) => ip.is_unique_local(),
    }
}

#[test]
fn every_address_of_the_house_is_named_with_its_link_and_a_login_works_there() {
    let home = Home::new();
    let server = serving(&home);
    assert_eq!(lines(&server.said, "lan").len(), 1, "the risk is said: {}", server.said);
    let (origins, links) = (lines(&server.said, "address"), lines(&server.said, "setup"));
    let paths: Vec<&str> =
        links.iter().zip(&origins).map(|(link, origin)| link.strip_prefix(origin).unwrap()).collect();
    assert_eq!(links.len(), origins.len());
    assert!(paths.iter().all(|path| *path == paths[0] && path.starts_with("/setup/")), "{links:?}");
    let named: Vec<IpAddr> = origins.iter().map(|origin| reached(origin).ip()).collect();
    for ip in own_addresses().iter().filter(|ip| private(ip)) {
        assert!(named.contains(ip), "{ip} is not among {named:?}");
    }

    assert_eq!(server.set_up(paths[0], "alice"), 303);
    let form = format!("username=alice&password={PASSWORD}");
    for origin in &origins {
        let page = at(origin, "GET", "/login", "", "");
        assert!(page.status == 200 && page.body.contains("class=\"banner\""), "the page says it too: {page:?}");
        let answer = at(origin, "POST", "/login", &format!("Origin: {origin}\r\n"), &form);
        assert_eq!(answer.status, 303, "{origin}: {answer:?}");
        let set = answer.header("set-cookie").unwrap();
        assert!(set.starts_with("usher=") && set.contains("HttpOnly") && set.contains("SameSite=Lax"), "{set}");
        assert!(!set.contains("Secure"), "a browser would not keep it here: {set}");
        let cookie = set.split(';').next().unwrap();
        let account = at(origin, "GET", "/account", &format!("Cookie: {cookie}\r\n"), "");
        assert_eq!(account.status, 200, "{origin}");
        let elsewhere = at(origin, "POST", "/login", "Origin: http://evil.example\r\n", &form);
        assert_eq!(elsewhere.status, 403);
    }
}

#[test]
fn names_and_addresses_that_are_not_of_the_house_are_not_answered() {
    let home = Home::new();
    let server = serving(&home);
    let port = server.address.port();
    for (host, status) in [
        ("192.168.1.5", 200),
        ("[fd00::5]", 200),
        ("nas.local", 200),
        ("8.8.8.8", 421),
        ("evil.example", 421),
        ("192.168.1.5.evil.example", 421),
        ("[2001:db8::1]", 421),
    ] {
        let request = format!("GET /login HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n");
        assert_eq!(ask(server.address, &request).status, status, "{host}");
    }
    let forwarded = "GET /login HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 8.8.8.8\r\nConnection: close\r\n\r\n";
    assert_eq!(ask(server.address, forwarded).status, 200, "nobody was named whose word counts");
}

#[test]
fn a_listener_for_one_family_names_no_address_of_the_other() {
    let home = Home::new();
    let server = Server::start(home.usher(&["serve", "--lan", "--listen", "0.0.0.0:0", "--ops-listen", "off"]));
    let origins = lines(&server.said, "address");
    assert!(origins.iter().all(|origin| reached(origin).is_ipv4()), "{origins:?}");
}

#[test]
fn a_terminal_shows_the_link_as_a_code_for_the_camera() {
    let home = Home::new();
    let (terminal, screen) = terminal();
    let mut command = home.usher(&SERVE);
    let mut child = command.stdout(Stdio::from(screen)).stderr(Stdio::null()).spawn().unwrap();
    // The command keeps the screen's end open, and the terminal would not end.
    drop(command);
    let mut reader = BufReader::new(terminal);
    let mut said = String::new();
    while !said.ends_with("Ready.\n") {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        said.push_str(&line.replace('\r', ""));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let link = lines(&said, "setup")[0];
    let code = QRBuilder::new(link).build().unwrap().to_str();
    assert!(said.contains(&code), "no code for {link}:\n{said}");
    let plain = serving(&home);
    assert!(!plain.said.contains('█'), "a pipe gets none");
}

/// A terminal's two ends: what is shown, and the screen to write to.
fn terminal() -> (File, File) {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(terminal.as_fd()).unwrap();
    unlockpt(terminal.as_fd()).unwrap();
    let name = ptsname(terminal.as_fd(), Vec::new()).unwrap();
    let path = std::ffi::OsStr::from_bytes(name.as_bytes());
    let screen = OpenOptions::new().read(true).write(true).open(path).unwrap();
    (File::from(terminal), screen)
}
