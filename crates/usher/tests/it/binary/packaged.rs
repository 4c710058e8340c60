//! What is shipped beside the program: the Caddyfile with a real Caddy, the unit as systemd reads it, and the question
//! that a container asks.

use crate::support::program::{Home, PASSWORD, Server, ask};
use crate::support::proxy::Proxy;
use serde_json::json;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;

fn packaging(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    std::fs::read_to_string(root.join("packaging").join(name)).unwrap()
}

/// An address that is free a moment before it is taken.
fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A server that listens there, with these variables.
fn serving(home: &Home, listen: SocketAddr, variables: &[(&str, &str)]) -> Server {
    let music = format!("music={}", home.path("music").display());
    let mut command = home.usher(&["serve", "--listen", &listen.to_string(), &music]);
    command.env("USHER_OPS_LISTEN", "127.0.0.1:0").envs(variables.iter().copied());
    Server::start(command)
}

#[test]
fn the_shipped_caddyfile_stands_in_front_of_a_server() {
    let home = Home::new();
    home.add_user("alice", &["--admin", "--buckets", "all"]);
    let (front, behind) = (free(), free());
    let origin = format!("http://localhost:{}", front.port());
    let variables = [("USHER_PUBLIC_URL", origin.as_str()), ("USHER_TRUSTED_PROXIES", "127.0.0.1/32")];
    let _server = serving(&home, behind, &variables);
    let proxy = Proxy::caddyfile(&packaging("Caddyfile"), front, &origin, behind);
    let host = format!("Host: localhost:{}\r\nConnection: close\r\n", front.port());
    let login = json!({ "username": "alice", "password": PASSWORD }).to_string();
    let head = format!("POST /api/v1/login HTTP/1.1\r\n{host}Content-Type: application/json\r\n");
    let answer = ask(proxy.address, &format!("{head}Content-Length: {}\r\n\r\n{login}", login.len()));
    assert_eq!(answer.status, 200, "{answer:?}");
    let token = answer.json()["access_token"].as_str().unwrap().to_owned();
    let listed = format!("GET /api/v1/buckets HTTP/1.1\r\n{host}Authorization: Bearer {token}\r\n\r\n");
    assert!(ask(proxy.address, &listed).body.contains("music"));
    let page = ask(proxy.address, &format!("GET /login HTTP/1.1\r\n{host}\r\n"));
    assert!(page.status == 200 && page.header("content-security-policy").is_some(), "{page:?}");
}

#[test]
fn a_container_can_ask_whether_its_server_is_ready() {
    let home = Home::new();
    let port = free().port();
    let health = || {
        let mut asking = home.usher(&["health"]);
        let ran = asking.env("USHER_OPS_LISTEN", format!("0.0.0.0:{port}")).output().unwrap();
        (ran.status.code(), String::from_utf8(ran.stdout).unwrap())
    };
    assert_eq!(health(), (Some(5), String::new()), "nobody is there");
    assert!(!home.data().exists(), "a question begins nothing");
    let server = serving(&home, free(), &[("USHER_OPS_LISTEN", &format!("127.0.0.1:{port}"))]);
    assert_eq!(health(), (Some(0), "ready\n".to_owned()));
    server.stop();
    assert_eq!(health().0, Some(5));
    assert!(packaging("Containerfile").contains("CMD [\"/usher\", \"health\"]"));
    assert!(packaging("compose.yml").contains("test: [\"CMD\", \"/usher\", \"health\"]"), "an OCI image holds none");
}

/// How exposed a service may be by `systemd-analyze security`, in tenths: 0 is shut in altogether, 100 not at all.
const EXPOSED_AT_MOST: &str = "15";

#[test]
fn systemd_has_nothing_to_say_against_the_shipped_unit() {
    let folder = tempfile::tempdir().unwrap();
    let unit = folder.path().join("usher.service");
    // A program that is not there would be remarked upon.
    let text = packaging("usher.service").replace("/usr/local/bin/usher", env!("CARGO_BIN_EXE_usher"));
    assert!(text.contains(&format!("ExecStart={} serve", env!("CARGO_BIN_EXE_usher"))));
    std::fs::write(&unit, text).unwrap();
    let asked = |arguments: &[&str]| {
        let ran = Command::new("systemd-analyze").args(arguments).arg(&unit).output();
        let ran = ran.expect("systemd-analyze is missing: scripts/test --install-only");
        (ran.status.success(), String::from_utf8(ran.stderr).unwrap(), String::from_utf8(ran.stdout).unwrap())
    };
    // A setting that systemd does not know is a word on its standard error, and no failure.
    let (good, said, _) = asked(&["verify", "--man=no"]);
    assert!(good && said.is_empty(), "{said}");
    let (good, said, shown) = asked(&["security", "--offline=yes", "--threshold", EXPOSED_AT_MOST]);
    assert!(good, "{said}{shown}");
}
