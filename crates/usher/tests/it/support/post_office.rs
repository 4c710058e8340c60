//! A mail server of its own for each test: it speaks SMTP, keeps what it is given, and refuses as it is told.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// A letter that was handed over.
#[derive(Clone, Debug)]
pub struct Received {
    /// The envelope's sender.
    pub from: String,
    /// The envelope's recipient.
    pub to: String,
    /// Header and bodies, with soft line ends undone.
    pub text: String,
    /// Who logged in to hand it over, as it came; empty when nobody did.
    pub login: String,
}

impl Received {
    /// The first link in it, as a path.
    pub fn link(&self, page: &str) -> String {
        let at = self.text.find(&format!("{page}/us")).unwrap_or_else(|| panic!("no link to {page}: {}", self.text));
        let rest = &self.text[at..];
        rest.split(|c: char| !(c.is_ascii_alphanumeric() || "/_-".contains(c))).next().unwrap().to_owned()
    }
}

#[derive(Default)]
struct Desk {
    letters: Mutex<Vec<Received>>,
    came: Condvar,
    /// Answers to the next recipients, in place of a welcome.
    refusals: Mutex<VecDeque<String>>,
}

/// The mail server.
pub struct PostOffice {
    /// Where it listens.
    pub address: SocketAddr,
    desk: Arc<Desk>,
}

impl PostOffice {
    /// Opens one.
    pub fn open() -> PostOffice {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, desk) = (listener.local_addr().unwrap(), Arc::new(Desk::default()));
        let keeper = desk.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let desk = keeper.clone();
                std::thread::spawn(move || serve(stream, &desk));
            }
        });
        PostOffice { address, desk }
    }

    /// Answers the next recipient with this line.
    pub fn refuse_next(&self, line: &str) {
        self.desk.refusals.lock().unwrap().push_back(line.to_owned());
    }

    /// Every letter so far.
    pub fn letters(&self) -> Vec<Received> {
        self.desk.letters.lock().unwrap().clone()
    }

    /// The letters, once there are this many.
    pub fn wait_for(&self, count: usize) -> Vec<Received> {
        let letters = self.desk.letters.lock().unwrap();
        let (letters, waited) = self
            .desk
            .came
            .wait_timeout_while(letters, Duration::from_secs(60), |letters| letters.len() < count)
            .unwrap();
        assert!(!waited.timed_out(), "{count} letters did not come: {letters:?}");
        letters.clone()
    }
}

/// One connection (RFC 5321 section 3.3).
fn serve(stream: TcpStream, desk: &Desk) {
    let mut lines = BufReader::new(stream.try_clone().unwrap());
    let mut out = stream;
    let mut say = |line: &str| out.write_all(format!("{line}\r\n").as_bytes());
    let _ = say("220 post.example ESMTP");
    let mut letter = Received { from: String::new(), to: String::new(), text: String::new(), login: String::new() };
    let mut line = String::new();
    while lines.read_line(&mut line).is_ok_and(|read| read > 0) {
        let said = line.trim_end().to_owned();
        let upper = said.to_ascii_uppercase();
        let answer = if upper.starts_with("EHLO") {
            "250-post.example\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 AUTH PLAIN".to_owned()
        } else if let Some(login) = upper.strip_prefix("AUTH PLAIN ").map(|_| said[11..].to_owned()) {
            letter.login = login;
            "235 welcome".to_owned()
        } else if upper.starts_with("MAIL FROM:") {
            letter.from = said[10..].to_owned();
            "250 ok".to_owned()
        } else if upper.starts_with("RCPT TO:") {
            letter.to = said[8..].trim_matches(['<', '>']).to_owned();
            desk.refusals.lock().unwrap().pop_front().unwrap_or_else(|| "250 ok".to_owned())
        } else if upper == "DATA" {
            let _ = say("354 go on");
            let mut text = String::new();
            loop {
                line.clear();
                if lines.read_line(&mut line).unwrap_or(0) == 0 || line == ".\r\n" {
                    break;
                }
                text.push_str(&line);
            }
            letter.text = text.replace("=\r\n", "").replace("=3D", "=");
            desk.letters.lock().unwrap().push(letter.clone());
            desk.came.notify_all();
            "250 taken".to_owned()
        } else if upper == "QUIT" {
            let _ = say("221 bye");
            return;
        } else {
            "250 ok".to_owned()
        };
        if say(&answer).is_err() {
            return;
        }
        line.clear();
    }
}
