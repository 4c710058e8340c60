//! The first minutes.

use crate::support::program::{Home, PASSWORD, ask, mode};
use std::io::Write;
use std::os::unix::net::UnixStream;

/// Opens a setup link as a browser does, and fills the form in. Gives the last status.
fn set_up(server: &crate::support::program::Server, link: &str, name: &str) -> u16 {
    let taken = server.get(link);
    if taken.status != 303 {
        return taken.status;
    }
    let cookie = taken.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let headers = format!("Cookie: {cookie}\r\nOrigin: http://localhost\r\n");
    let form = format!("username={name}&password={PASSWORD}&password2={PASSWORD}");
    server.send("POST", "/setup", "application/x-www-form-urlencoded", &headers, &form).status
}

#[test]
fn the_first_start_makes_a_private_directory_and_a_link_that_makes_the_first_admin() {
    let home = Home::new();
    let server = home.serve();
    assert!(server.said.contains(home.data().to_str().unwrap()), "{}", server.said);
    assert_eq!(mode(&home.data()), 0o700);
    for file in ["master.key", "usher.db", "control.sock"] {
        assert_eq!(mode(&home.data().join(file)), 0o600, "{file}");
    }
    let link = server.setup().expect("a setup link was printed");
    assert_eq!(set_up(&server, &link, "alice"), 303);
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
    assert_ne!(set_up(&second, &old, "mallory"), 303);
    assert_eq!(set_up(&second, &new, "alice"), 303);
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
    let answer = crate::support::program::Answer::read(&mut socket);
    assert_eq!(answer.status, 200, "{answer:?}");
    let mut socket = UnixStream::connect(home.data().join("control.sock")).unwrap();
    socket.write_all(b"GET /login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    assert_eq!(crate::support::program::Answer::read(&mut socket).status, 404);
}
