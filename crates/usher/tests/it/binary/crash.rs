//! Two hundred power cuts under load: what was acknowledged is there afterwards, what ended or was used stays so.
//!
//! Four clients log in, refresh, log out, change passwords and spend invitations, each keeping a ledger of what was
//! acknowledged and of the one act that was under way when the server died. That act either happened or did not;
//! everything else is known, and is asked for after every restart.

use crate::support::engine::about_the_file;
use crate::support::program::{Answer, Home, PASSWORD, Server};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{SyncSender, sync_channel};

const CUTS: usize = 200;
const CLIENTS: usize = 4;

/// What a client had asked for when the server died.
#[derive(Clone, Debug)]
enum Flight {
    Nothing,
    Refresh(usize),
    Logout(String),
    Password(String),
    Invite(usize),
}

struct Client {
    name: String,
    password: String,
    /// Refresh tokens of live sessions, as last acknowledged.
    live: Vec<String>,
    ended: Vec<String>,
    invites: Vec<String>,
    spent: usize,
    flight: Flight,
    turn: usize,
    checked: usize,
}

/// The answer, or nothing when the server died before it was whole.
fn try_send(address: SocketAddr, path: &str, kind: &str, headers: &str, body: &str) -> Option<Answer> {
    let mut stream = TcpStream::connect(address).ok()?;
    let head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}");
    let length = body.len();
    let request = format!("{head}Content-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).ok()?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let length =
        head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned));
    // A torn answer acknowledges nothing.
    (length.is_none_or(|length| length.parse() == Ok(body.len()))).then_some(())?;
    Some(Answer::read(&mut bytes.as_slice()))
}

impl Client {
    fn post(&self, at: SocketAddr, path: &str, body: Value) -> Option<Answer> {
        try_send(at, path, "application/json", "", &body.to_string())
    }

    fn refresh(&self, at: SocketAddr, token: &str) -> Option<Answer> {
        self.post(at, "/api/v1/refresh", json!({ "refresh_token": token }))
    }

    fn login(&self, at: SocketAddr, name: &str, password: &str) -> Option<Answer> {
        self.post(at, "/api/v1/login", json!({ "username": name, "password": password }))
    }

    fn guest(&self, number: usize) -> String {
        format!("{} guest {number}", self.name)
    }

    fn spend(&self, at: SocketAddr, number: usize) -> Option<Answer> {
        let headers = format!("Cookie: usher-invite={}\r\nOrigin: http://{at}\r\n", self.invites[number]);
        // The page is asked by the address it listens on, so that the origin is its own.
        let headers = headers.replace(&format!("http://{at}"), "http://localhost");
        let body =
            format!("username={}&password={PASSWORD}&password2={PASSWORD}", self.guest(number).replace(' ', "+"));
        try_send(at, "/signup", "application/x-www-form-urlencoded", &headers, &body)
    }

    /// After a restart: the act that was under way is settled one way or the other, everything else stands.
    fn check(&mut self, at: SocketAddr) {
        match std::mem::replace(&mut self.flight, Flight::Nothing) {
            Flight::Nothing => {}
            Flight::Refresh(index) => {
                let again = self.refresh(at, &self.live[index]).unwrap();
                assert_eq!(again.status, 200, "a lost answer to a refresh cost the session: {again:?}");
                self.live[index] = again.json()["refresh_token"].as_str().unwrap().to_owned();
            }
            Flight::Logout(token) => match self.refresh(at, &token).unwrap() {
                alive if alive.status == 200 => {
                    self.live.push(alive.json()["refresh_token"].as_str().unwrap().to_owned());
                }
                dead => {
                    assert_eq!(dead.status, 401, "{dead:?}");
                    self.ended.push(token);
                }
            },
            Flight::Password(new) => {
                let changed = self.login(at, &self.name, &new).unwrap().status == 200;
                let old = self.login(at, &self.name, &self.password).unwrap().status;
                assert_eq!(old, if changed { 401 } else { 200 }, "one password counts, and it is one of the two");
                if changed {
                    self.password = new;
                }
            }
            Flight::Invite(number) => {
                let made = self.login(at, &self.guest(number), PASSWORD).unwrap().status == 200;
                let spent = self.spend(at, number).unwrap().status;
                assert_eq!(spent, if made { 403 } else { 303 }, "the link is spent exactly if the account was made");
            }
        }
        for token in self.ended.iter().rev().take(2) {
            assert_eq!(self.refresh(at, token).unwrap().status, 401, "an ended session works again");
        }
        if !self.live.is_empty() {
            let index = self.turn % self.live.len();
            let answer = self.refresh(at, &self.live[index]).unwrap();
            assert_eq!(answer.status, 200, "an acknowledged session or refresh was lost: {answer:?}");
            self.live[index] = answer.json()["refresh_token"].as_str().unwrap().to_owned();
        }
        if self.spent > 0 && self.turn.is_multiple_of(5) {
            assert_eq!(self.spend(at, self.spent - 1).unwrap().status, 403, "a used link works again");
        }
        self.checked += 1;
    }

    /// Works until the server dies, and tells of every acknowledged act.
    fn work(&mut self, at: SocketAddr, told: &SyncSender<()>) {
        while self.act(at).is_some() {
            self.flight = Flight::Nothing;
            if told.send(()).is_err() {
                return;
            }
        }
    }

    fn act(&mut self, at: SocketAddr) -> Option<()> {
        self.turn += 1;
        if self.live.is_empty() || self.live.len() < 4 && self.turn.is_multiple_of(6) {
            let answer = self.login(at, &self.name, &self.password)?;
            assert_eq!(answer.status, 200, "the acknowledged password does not log in: {answer:?}");
            self.live.push(answer.json()["refresh_token"].as_str().unwrap().to_owned());
            return Some(());
        }
        let index = self.turn % self.live.len();
        if self.turn.is_multiple_of(7) {
            let token = self.live.swap_remove(index);
            self.flight = Flight::Logout(token.clone());
            let answer = self.post(at, "/api/v1/logout", json!({ "refresh_token": token }))?;
            assert_eq!(answer.status, 204);
            self.ended.push(token);
            return Some(());
        }
        if self.turn.is_multiple_of(17) && self.spent < self.invites.len() {
            let number = self.spent;
            self.spent += 1;
            self.flight = Flight::Invite(number);
            assert_eq!(self.spend(at, number)?.status, 303);
            return Some(());
        }
        self.flight = Flight::Refresh(index);
        let answer = self.refresh(at, &self.live[index])?;
        assert_eq!(answer.status, 200, "{answer:?}");
        let answer = answer.json();
        self.live[index] = answer["refresh_token"].as_str().unwrap().to_owned();
        if self.turn.is_multiple_of(13) {
            let new = format!("walnut-harbor-meadow-{}-{}", self.turn, self.name);
            self.flight = Flight::Password(new.clone());
            let access = answer["access_token"].as_str().unwrap();
            let bearer = format!("Authorization: Bearer {access}\r\n");
            let body = json!({ "current": self.password, "password": new }).to_string();
            let changed = try_send(at, "/api/v1/me/password", "application/json", &bearer, &body)?;
            assert!(changed.status < 300, "{changed:?}");
            self.password = new;
        }
        Some(())
    }
}

fn serve(home: &Home) -> Server {
    let music = format!("music={}", home.path("music").display());
    let mut command = home.usher(&["serve", "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0", &music]);
    command.env("USHER_ACCOUNTS_SIGNUP", "invite");
    Server::start(command)
}

#[test]
fn two_hundred_power_cuts_lose_nothing_acknowledged_and_revive_nothing_ended() {
    if about_the_file() {
        return;
    }
    let home = Home::new();
    home.add_user("root", &["--admin"]);
    let mut clients: Vec<Client> = (0..CLIENTS)
        .map(|number| Client {
            name: format!("client{number}"),
            password: PASSWORD.to_owned(),
            live: Vec::new(),
            ended: Vec::new(),
            invites: Vec::new(),
            spent: 0,
            flight: Flight::Nothing,
            turn: number * 3,
            checked: 0,
        })
        .collect();
    clients.iter().for_each(|client| home.add_user(&client.name, &[]));
    let first = serve(&home);
    let admin = first.login("root", PASSWORD).json();
    let bearer = format!("Authorization: Bearer {}\r\n", admin["access_token"].as_str().unwrap());
    for client in &mut clients {
        for _ in 0..12 {
            let made = first.send("POST", "/api/v1/invites", "application/json", &bearer, "{}");
            let text = &made.body[made.body.find("usi_").unwrap_or_else(|| panic!("no link: {made:?}"))..];
            client.invites.push(text[..53].to_owned());
        }
    }
    first.stop();
    for cut in 0..CUTS {
        let server = serve(&home);
        let at = server.address;
        std::thread::scope(|scope| {
            clients.iter_mut().for_each(|client| drop(scope.spawn(move || client.check(at))));
        });
        std::thread::scope(|scope| {
            let (tell, told) = sync_channel(1);
            for client in &mut clients {
                let tell = tell.clone();
                scope.spawn(move || client.work(at, &tell));
            }
            drop(tell);
            // Another number of acts each time, so that the cut falls on other moments.
            for _ in 0..1 + cut * 7 % 11 {
                told.recv().unwrap();
            }
            server.kill();
        });
    }
    let last = serve(&home);
    clients.iter_mut().for_each(|client| client.check(last.address));
    assert!(clients.iter().all(|client| client.checked > CUTS / 2), "most restarts were looked at");
    assert!(clients.iter().all(|client| client.ended.len() > 5 && client.spent > 3), "the load covered the ends");
    last.stop();
}
