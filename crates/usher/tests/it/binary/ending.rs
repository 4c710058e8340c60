//! How a server ends, well and badly.

use crate::support::program::{Answer, Home, PASSWORD, ask};
use rustix::process::Signal;
use std::io::{Read, Write};
use std::net::TcpStream;

#[test]
fn sigterm_lets_an_answer_under_way_finish_and_takes_nothing_new() {
    let home = Home::new();
    home.add_user("alice", &[]);
    let server = home.serve();
    let body = format!(r#"{{"username":"alice","password":"{PASSWORD}"}}"#);
    let mut stream = TcpStream::connect(server.address).unwrap();
    // The server asks for the body once the request is in its handler's hands.
    write!(
        stream,
        "POST /api/v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    )
    .unwrap();
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).unwrap();
    assert!(go_on.starts_with(b"HTTP/1.1 100 Continue"));
    server.signal(Signal::TERM);
    let ops = server.ops.unwrap();
    let ready = || ask(ops, "GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").status;
    while ready() == 200 {
        std::thread::yield_now();
    }
    assert_eq!(ready(), 503);
    stream.write_all(body.as_bytes()).unwrap();
    let answer = Answer::read(&mut stream);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(TcpStream::connect(server.address).is_err(), "the listener is closed");
    let (status, log) = server.ended();
    assert!(status.success() && log.contains("drained=true"), "{log}");
    assert!(!home.data().join("control.sock").exists());
}

#[test]
fn a_login_survives_kill_9_and_an_ended_one_stays_ended() {
    let home = Home::new();
    home.add_user("alice", &[]);
    let server = home.serve();
    let (kept, ended) = (server.logged_in("alice"), server.logged_in("alice"));
    let refreshed = server.refresh(&kept).json()["refresh_token"].as_str().unwrap().to_owned();
    let out = server.post("/api/v1/logout", &serde_json::json!({ "refresh_token": ended }));
    assert!(out.status < 300, "{out:?}");
    server.kill();
    let server = home.serve();
    assert_eq!(server.refresh(&refreshed).status, 200);
    assert_eq!(server.refresh(&ended).status, 401);
}

#[test]
fn a_second_process_on_the_same_data_is_refused() {
    let home = Home::new();
    let first = home.serve();
    let refusal = home.run(&["serve", "--listen", "127.0.0.1:0", "--ops-listen", "off"]).refused(4);
    let words = if home.database().is_some() { "another Usher runs with" } else { "in use by another process" };
    assert!(refusal.contains(words), "{refusal}");
    assert_eq!(first.get("/login").status, 200, "the first one goes on");
    let port = first.address.to_string();
    let refusal = home.run(&["serve", "--listen", &port, "--ops-listen", "off"]).refused(1);
    assert!(refusal.contains("cannot listen") && refusal.contains("--listen"), "{refusal}");
}
