//! What people do meanwhile, besides what is measured elsewhere: whole visits, pages, the admin's lists.

use crate::Told;
use crate::http::{self, Answer};
use crate::load::{Work, drive};
use crate::login::Queue;
use crate::prepare::PASSWORD;
use crate::ranges::Seeking;
use crate::refresh::Refreshing;
use crate::rng::Rng;
use crate::stock::Stock;
use crate::{clock, gate::Knocking};
use serde::Serialize;
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What came of one kind of work.
#[derive(Debug, Serialize)]
pub struct Done {
    pub what: &'static str,
    /// Requests.
    pub count: usize,
    /// Answers that should have been others.
    pub wrong: u64,
    pub p99_ms: f64,
}

impl Done {
    pub fn fault(&self) -> Option<String> {
        if self.count == 0 {
            return Some(format!("{}: nothing was done", self.what));
        }
        (self.wrong > 0).then(|| format!("{}: {} wrong answers", self.what, self.wrong))
    }
}

/// Work that counts its wrong answers.
pub trait Judged: Work {
    fn wrong(&self) -> u64;
}

impl Judged for Seeking {
    fn wrong(&self) -> u64 {
        self.wrong
    }
}

impl Judged for Refreshing {
    fn wrong(&self) -> u64 {
        self.refused
    }
}

impl Judged for Knocking {
    /// The pool counts them for all of its connections.
    fn wrong(&self) -> u64 {
        0
    }
}

/// Keeps `works` on until `end`, each at this pace.
pub async fn keep_on<W: Judged>(
    what: &'static str,
    to: SocketAddr,
    works: Vec<W>,
    end: Instant,
    pace: Duration,
) -> Told<Done> {
    let length = end.saturating_duration_since(clock::now());
    let kept = drive(to, works, length, Some(pace)).await;
    let (tally, works) = kept.map_err(|error| format!("{what}: {error}"))?;
    let wrong = works.iter().map(Judged::wrong).sum();
    Ok(Done { what, count: tally.count(), wrong, p99_ms: tally.p99() / 1e3 })
}

/// Somebody who logs in, looks around, refreshes, keeps a little data and logs out, again and again as another.
pub struct Visiting {
    queue: Queue,
    accounts: usize,
    rng: Rng,
    step: usize,
    access: String,
    refresh: String,
    wrong: u64,
}

/// The steps of a visit, with the status that each is answered with.
const VISIT: [(&str, u16); 8] = [
    ("wrong password", 401),
    ("login", 200),
    ("me", 200),
    ("put", 204),
    ("get", 200),
    ("refresh", 200),
    ("sessions", 200),
    ("logout", 204),
];
/// One visit of so many begins with a wrong password.
const MISTAKEN: usize = 8;

impl Visiting {
    /// So many at once.
    pub fn crowd(stock: &Arc<Stock>, queue: &Queue, count: usize) -> Vec<Visiting> {
        let one = |number| Visiting {
            queue: queue.clone(),
            accounts: stock.accounts,
            rng: Rng::of(9_000 + number),
            step: 1,
            access: String::new(),
            refresh: String::new(),
            wrong: 0,
        };
        (0..count as u64).map(one).collect()
    }
}

impl Work for Visiting {
    fn next(&mut self, out: &mut Vec<u8>) {
        let account = self.queue.take() % self.accounts;
        let bearer = format!("Authorization: Bearer {}\r\n", self.access);
        let refresh = format!(r#"{{"refresh_token":"{}"}}"#, self.refresh);
        let login = |password: &str| {
            http::post("/api/v1/login", "", &format!(r#"{{"username":"user{account}","password":"{password}"}}"#))
        };
        out.extend(match VISIT[self.step].0 {
            "wrong password" => login("not-the-password-at-all"),
            "login" => login(PASSWORD),
            "me" => http::get("/api/v1/me", &bearer),
            "put" => http::put("/api/v1/session/data/soak", &bearer, r#"{"at":[1,2,3],"of":"a little"}"#),
            "get" => http::get("/api/v1/session/data/soak", &bearer),
            "refresh" => http::post("/api/v1/refresh", "", &refresh),
            "sessions" => http::get("/api/v1/me/sessions", &bearer),
            _ => http::post("/api/v1/logout", "", &refresh),
        });
    }

    fn judge(&mut self, answer: &Answer<'_>) {
        let (what, status) = VISIT[self.step];
        if answer.status != status {
            eprintln!("{what} is answered with {}", answer.status);
            self.wrong += 1;
            self.step = 1;
            return;
        }
        if let "login" | "refresh" = what {
            let body: Value = serde_json::from_slice(answer.body).unwrap_or_default();
            for (name, kept) in [("access_token", &mut self.access), ("refresh_token", &mut self.refresh)] {
                body[name].as_str().unwrap_or_default().clone_into(kept);
            }
        }
        self.step = match self.step + 1 {
            next if next < VISIT.len() => next,
            _ => usize::from(self.rng.below(MISTAKEN) != 0),
        };
    }
}

impl Judged for Visiting {
    fn wrong(&self) -> u64 {
        self.wrong
    }
}

/// Somebody who looks at pages.
pub struct Browsing {
    cookies: Vec<String>,
    turn: usize,
    wrong: u64,
}

const PAGES: [&str; 3] = ["/library", "/account", "/library/media/"];

impl Browsing {
    /// So many at once, with these cookies.
    pub fn crowd(cookies: &[String], count: usize) -> Vec<Browsing> {
        (0..count).map(|turn| Browsing { cookies: cookies.to_vec(), turn, wrong: 0 }).collect()
    }
}

impl Work for Browsing {
    fn next(&mut self, out: &mut Vec<u8>) {
        let cookie = &self.cookies[self.turn % self.cookies.len()];
        out.extend(http::get(PAGES[self.turn % PAGES.len()], &format!("Cookie: usher={cookie}\r\n")));
        self.turn += 1;
    }

    fn judge(&mut self, answer: &Answer<'_>) {
        if answer.status != 200 {
            eprintln!("a page is answered with {}", answer.status);
            self.wrong += 1;
        }
    }
}

impl Judged for Browsing {
    fn wrong(&self) -> u64 {
        self.wrong
    }
}

/// An admin who reads lists, and logs in again whenever the token's time is over.
pub struct Administering {
    password: String,
    access: Option<String>,
    turn: usize,
    wrong: u64,
}

const LISTS: [&str; 6] = [
    "/api/v1/users?limit=50",
    "/api/v1/audit?limit=100",
    "/api/v1/groups",
    "/api/v1/users?q=user1",
    "/api/v1/invites",
    "/api/v1/keys",
];

impl Administering {
    pub fn new(password: &str) -> Administering {
        Administering { password: password.to_owned(), access: None, turn: 0, wrong: 0 }
    }
}

impl Work for Administering {
    fn next(&mut self, out: &mut Vec<u8>) {
        out.extend(match &self.access {
            Some(token) => http::get(LISTS[self.turn % LISTS.len()], &format!("Authorization: Bearer {token}\r\n")),
            None => http::post(
                "/api/v1/login",
                "",
                &format!(r#"{{"username":"{}","password":"{}"}}"#, super::aged::ADMIN, self.password),
            ),
        });
    }

    fn judge(&mut self, answer: &Answer<'_>) {
        match (&self.access, answer.status) {
            (Some(_), 200) => self.turn += 1,
            (Some(_), 401) => self.access = None,
            (None, 200) => {
                let body: Value = serde_json::from_slice(answer.body).unwrap_or_default();
                self.access = body["access_token"].as_str().map(str::to_owned);
            }
            (_, status) => {
                eprintln!("{} is answered with {status}", LISTS[self.turn % LISTS.len()]);
                self.wrong += 1;
                self.turn += 1;
            }
        }
    }
}

impl Judged for Administering {
    fn wrong(&self) -> u64 {
        self.wrong
    }
}
