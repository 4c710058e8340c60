//! The program as several nodes on one PostgreSQL database.

use crate::support::app::now;
use crate::support::engine::{Database, about_nodes, query};
use crate::support::program::{Home, PASSWORD, Server};
use serde_json::json;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Brings the first node's master key, as whoever sets up the second one does.
fn share_key(from: &Home, to: &Home) {
    std::fs::create_dir_all(to.data()).unwrap();
    std::fs::set_permissions(to.data(), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    // The copy keeps its mode.
    std::fs::copy(from.data().join("master.key"), to.data().join("master.key")).unwrap();
}

#[test]
fn a_second_node_without_the_master_key_says_which_it_needs_and_stops() {
    if about_nodes() {
        return;
    }
    let home = Home::new();
    home.add_user("alice", &[]);
    let second = home.beside();
    let args = ["serve", "--listen", "127.0.0.1:0", "--ops-listen", "off"];
    let refusal = second.run(&args).refused(4);
    assert!(refusal.contains("asks for master key") && refusal.contains("master.key"), "{refusal}");
    assert!(!second.data().join("master.key").exists(), "a key of its own would open nothing");

    // A key of another installation is no better.
    let stranger = Home::new();
    stranger.add_user("bob", &[]);
    share_key(&stranger, &second);
    assert!(second.run(&args).refused(4).contains("master key"));

    let third = home.beside();
    share_key(&home, &third);
    let server = third.serve();
    assert_eq!(server.login("alice", PASSWORD).status, 200);

    // By name, through the environment, and as systemd hands it over.
    for (variable, value) in
        [("USHER_MASTER_KEY_FILE", home.data().join("master.key")), ("CREDENTIALS_DIRECTORY", credentials(&home))]
    {
        let fourth = home.beside();
        let mut command = fourth.usher(&args);
        command.env(variable, value);
        assert_eq!(Server::start(command).login("alice", PASSWORD).status, 200, "{variable}");
    }
}

fn credentials(home: &Home) -> std::path::PathBuf {
    let folder = home.path("credentials");
    std::fs::create_dir(&folder).unwrap();
    std::fs::copy(home.data().join("master.key"), folder.join("usher-master-key")).unwrap();
    folder
}

#[test]
fn what_the_command_line_does_on_one_machine_holds_on_the_node_of_another() {
    if about_nodes() {
        return;
    }
    let home = Home::new();
    home.add_user("alice", &[]);
    let server = home.serve();
    let tokens = server.login("alice", PASSWORD).json();
    let access = tokens["access_token"].as_str().unwrap();
    assert_eq!(server.get_with("/api/v1/me", access).status, 200);
    let admin = home.beside();
    share_key(&home, &admin);
    admin.run(&["user", "disable", "alice"]).good();
    while server.get_with("/api/v1/me", access).status != 401 {
        std::thread::yield_now();
    }
    assert_eq!(server.login("alice", PASSWORD).status, 401);
    admin.run(&["user", "enable", "alice"]).good();
    assert_eq!(server.login("alice", PASSWORD).status, 200);
    for refused in [&["backup", "copy.db"][..], &["restore", "copy.db"]] {
        assert!(admin.run(refused).refused(1).contains("PostgreSQL"));
    }
    assert!(admin.run(&["doctor"]).out.contains("PostgreSQL database"));
}

#[test]
fn the_master_key_is_replaced_while_no_node_runs_and_every_node_needs_the_new_one() {
    if about_nodes() {
        return;
    }
    let home = Home::new();
    home.add_user("alice", &[]);
    let admin = home.beside();
    share_key(&home, &admin);
    let server = home.serve();
    let tokens = server.login("alice", PASSWORD).json();
    let refusal = admin.run(&["key", "rotate", "--master"]).refused(1);
    assert!(refusal.contains("have this database open"), "{refusal}");
    server.stop();
    admin.run(&["key", "rotate", "--master"]).good();
    let args = ["serve", "--listen", "127.0.0.1:0", "--ops-listen", "off"];
    assert!(home.run(&args).refused(4).contains("master key"), "the old one opens nothing");
    share_key(&admin, &home);
    let server = home.serve();
    assert_eq!(server.refresh(tokens["refresh_token"].as_str().unwrap()).status, 200);
}

/// Somebody whose program asks the next node when one does not answer, as every client of several nodes does.
struct Client {
    nodes: Arc<Mutex<Vec<std::net::SocketAddr>>>,
    retried: Arc<AtomicUsize>,
}

impl Client {
    /// The answer of the first node that gives one that is not "later".
    fn post(&self, path: &str, body: &serde_json::Value) -> crate::support::program::Answer {
        for _ in 0..400 {
            let nodes = self.nodes.lock().unwrap().clone();
            for address in nodes {
                match try_post(address, path, body) {
                    Some(answer) if answer.status != 503 => return answer,
                    _ => drop(self.retried.fetch_add(1, Ordering::SeqCst)),
                }
            }
        }
        panic!("no node answers");
    }
}

fn try_post(
    address: std::net::SocketAddr,
    path: &str,
    body: &serde_json::Value,
) -> Option<crate::support::program::Answer> {
    use std::io::{Read, Write};
    let body = body.to_string();
    let mut stream = std::net::TcpStream::connect(address).ok()?;
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).ok()?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).ok()?;
    if bytes.is_empty() {
        return None;
    }
    Some(crate::support::program::Answer::read(&mut bytes.as_slice()))
}

#[test]
fn a_rolling_restart_under_load_fails_no_request_that_is_tried_again() {
    if about_nodes() {
        return;
    }
    let first = Home::new();
    first.add_user("alice", &[]);
    let second = first.beside();
    share_key(&first, &second);
    let mut servers = [Some(first.serve()), Some(second.serve())];
    let nodes = Arc::new(Mutex::new(servers.iter().flatten().map(|server| server.address).collect::<Vec<_>>()));
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let retried = Arc::new(AtomicUsize::new(0));
    let workers: Vec<_> = (0..4)
        .map(|_| {
            let (stop, done) = (stop.clone(), done.clone());
            let client = Client { nodes: nodes.clone(), retried: retried.clone() };
            std::thread::spawn(move || {
                let login = client.post("/api/v1/login", &json!({"username": "alice", "password": PASSWORD}));
                assert_eq!(login.status, 200, "{login:?}");
                let mut token = login.json()["refresh_token"].clone();
                while !stop.load(Ordering::SeqCst) {
                    let answer = client.post("/api/v1/refresh", &json!({"refresh_token": token}));
                    assert_eq!(answer.status, 200, "{answer:?}");
                    token = answer.json()["refresh_token"].clone();
                    done.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    for round in 0..4 {
        let before = done.load(Ordering::SeqCst);
        while done.load(Ordering::SeqCst) < before + 50 {
            assert!(workers.iter().all(|worker| !worker.is_finished()), "somebody gave up");
            std::thread::yield_now();
        }
        let at = round % 2;
        let home = if at == 0 { &first } else { &second };
        // One of them is always up. The one that comes back has another port, as behind a balancer.
        servers[at].take().unwrap().stop();
        let back = home.serve();
        nodes.lock().unwrap()[at] = back.address;
        servers[at] = Some(back);
    }
    stop.store(true, Ordering::SeqCst);
    for worker in workers {
        worker.join().unwrap();
    }
    assert!(done.load(Ordering::SeqCst) > 200);
}

#[test]
fn a_live_installation_moves_from_its_file_to_a_server_sessions_and_all() {
    if about_nodes() {
        return;
    }
    let home = Home::on_a_file();
    home.add_user("alice", &["--admin"]);
    let database = now(Database::empty());
    let url = database.url();
    let to = ["migrate", "sqlite-to-postgres", "--to", &url];
    let server = home.serve();
    let tokens = server.login("alice", PASSWORD).json();
    assert!(home.run(&to).refused(4).contains("in use"), "while a server holds the file");
    server.stop();

    // A database that has anything in it is left alone.
    let theirs = now(Database::empty());
    now(query(&theirs.url(), "CREATE TABLE theirs (id INTEGER)")).unwrap();
    let refusal = home.run(&["migrate", "sqlite-to-postgres", "--to", &theirs.url()]).refused(4);
    assert!(refusal.contains("has tables already"), "{refusal}");

    let moved = home.run(&[&["--json"][..], &to[..]].concat()).json();
    let rows = |name: &str| {
        let tables = moved["tables"].as_array().unwrap();
        tables.iter().find(|table| table["table"] == name).unwrap_or_else(|| panic!("{moved}"))["rows"].clone()
    };
    assert_eq!((rows("accounts"), rows("sessions")), (json!(1), json!(1)));
    assert!(home.run(&to).refused(4).contains("has tables already"), "once is enough");

    let server = home.serve_with(&["--database", &url]);
    // Not by the access token: it names the address that it was made at, and a test's server has a new one each time.
    let refreshed = server.refresh(tokens["refresh_token"].as_str().unwrap());
    assert_eq!(refreshed.status, 200, "whoever was in is in: {}", refreshed.body);
    let refreshed = refreshed.json();
    assert_eq!(server.get_with("/api/v1/me", refreshed["access_token"].as_str().unwrap()).status, 200);
    assert_eq!(server.login("alice", PASSWORD).status, 200);
}
