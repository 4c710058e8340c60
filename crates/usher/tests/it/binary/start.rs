//! The first minutes.

use crate::support::program::{Answer, Home, PASSWORD, Server, ask, mode};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::process::Stdio;

#[test]
fn the_first_start_makes_a_private_directory_and_a_link_that_makes_the_first_admin() {
    let home = Home::new();
    let server = home.serve();
    assert!(server.said.contains(home.data().to_str().unwrap()), "{}", server.said);
    assert_eq!(mode(&home.data()), 0o700);
    let database = home.database().is_none().then_some("usher.db");
    for file in ["master.key", "control.sock"].into_iter().chain(database) {
        assert_eq!(mode(&home.data().join(file)), 0o600, "{file}");
    }
    let link = server.setup().expect("a setup link was printed");
    assert_eq!(server.set_up(&link, "alice"), 303);
    assert_eq!(server.login("alice", PASSWORD).status, 200);
    assert!(home.run(&["user", "list"]).good().contains("alice     admin"));
    server.stop();
    assert_eq!(home.serve().setup(), None);
}

#[test]
fn every_start_without_an_admin_prints_a_fresh_link_and_only_the_last_one_works() {
    let home = Home::new();
    let first = home.serve();
    let old = first.setup().unwrap();
    first.kill();
    let second = home.serve();
    let new = second.setup().unwrap();
    assert_ne!(old, new);
    assert_ne!(second.set_up(&old, "mallory"), 303);
    assert_eq!(second.set_up(&new, "alice"), 303);
    assert_eq!(second.login("mallory", PASSWORD).status, 401);
}

#[test]
fn health_and_metrics_have_a_listener_of_their_own() {
    let home = Home::new();
    let server = home.serve();
    let ops = server.ops.unwrap();
    let get = |path: &str| ask(ops, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
    assert_eq!(get("/health/live").status, 200);
    assert_eq!(get("/health/ready").status, 200);
    assert!(get("/metrics").body.contains("usher_sessions_live 0"));
    home.add_user("alice", &[]);
    let token = server.logged_in("alice");
    assert_eq!(server.refresh(&token).status, 200);
    assert!(get("/metrics").body.contains("usher_sessions_live 1"));
    let out = server.post("/api/v1/logout", &serde_json::json!({"refresh_token": server.logged_in("alice")}));
    assert_eq!((out.status, server.get("/nowhere").status), (204, 404));
    let counted = get("/metrics").body;
    for line in [
        "usher_requests_total{route=\"/api/v1/login\",status=\"2xx\"} 2",
        "usher_requests_total{route=\"/api/v1/refresh\",status=\"2xx\"} 1",
        "usher_requests_total{route=\"none\",status=\"4xx\"} 1",
        "usher_sessions_ended_total 1",
        "usher_hashes_total 3",
    ] {
        assert!(counted.lines().any(|counted| counted == line), "{line}\n{counted}");
    }
    assert_eq!((server.get("/metrics").status, server.get("/health/ready").status), (404, 404));
}

#[test]
fn only_the_control_socket_takes_commands() {
    let home = Home::new();
    let server = home.serve();
    let body = r#"{"command":"user_list","part":""}"#;
    assert_eq!(server.send("POST", "/control", "application/json", "", body).status, 404);
    let mut socket = UnixStream::connect(home.data().join("control.sock")).unwrap();
    let length = body.len();
    write!(
        socket,
        "POST /control HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let answer = Answer::read(&mut socket);
    assert_eq!(answer.status, 200, "{answer:?}");
    let mut socket = UnixStream::connect(home.data().join("control.sock")).unwrap();
    socket.write_all(b"GET /login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    assert_eq!(Answer::read(&mut socket).status, 404);
}

#[test]
fn systemd_hears_when_the_server_is_ready_alive_and_stopping() {
    let home = Home::new();
    let path = home.path("notify.sock");
    let socket = UnixDatagram::bind(&path).unwrap();
    let mut command = home.usher(&["serve", "--listen", "127.0.0.1:0", "--ops-listen", "off"]);
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "60000000");
    let server = Server::start(command);
    let mut heard = String::new();
    let mut hear = |word: &str| {
        while !heard.contains(word) {
            let mut bytes = [0; 256];
            let length = socket.recv(&mut bytes).unwrap();
            heard.push_str(std::str::from_utf8(&bytes[..length]).unwrap());
        }
    };
    hear("READY=1");
    hear("WATCHDOG=1");
    server.stop();
    hear("STOPPING=1");
}

#[test]
fn a_program_that_starts_the_server_reads_one_line_of_json() {
    let home = Home::new();
    let mut command = home.usher(&["--json", "serve", "--listen", "127.0.0.1:0", "--ops-listen", "off"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let said: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&said["event"], &said["ops"]), (&"serving".into(), &serde_json::Value::Null));
    assert!(said["setup"][0].as_str().unwrap().starts_with(said["origins"][0].as_str().unwrap()), "{said}");
}

#[test]
fn with_a_certificate_only_tls_is_spoken() {
    let home = Home::new();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (cert, key) = (home.path("cert.pem"), home.path("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let (cert, key) = (cert.to_str().unwrap(), key.to_str().unwrap());
    let server = home.serve_with(&["--tls-cert", cert, "--tls-key", key]);
    assert!(server.said.contains("address  https://localhost:"), "{}", server.said);
    let fetch = |scheme: &str| {
        let url = format!("{scheme}://localhost:{}/login", server.address.port());
        let mut curl = std::process::Command::new("curl");
        curl.args([
            "--silent",
            "--ipv4",
            "--noproxy",
            "*",
            "--cacert",
            cert,
            "--write-out",
            "%{http_code}",
            "--output",
        ]);
        String::from_utf8(curl.args(["/dev/null", &url]).output().expect("curl is there").stdout).unwrap()
    };
    assert_eq!(fetch("https"), "200");
    assert_eq!(fetch("http"), "000");
    let other = home.run(&["serve", "--listen", "127.0.0.1:0", "--tls-cert", cert]);
    assert!(other.refused(3).contains("both the certificate and the key"));
}
