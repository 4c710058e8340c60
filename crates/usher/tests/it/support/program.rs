//! The built program, as a person or systemd starts it: its own process, its own folder, no environment of ours.

use super::app::{in_file, now};
use super::engine::{self, Database};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::Arc;
use tempfile::TempDir;

/// A password that the rules accept.
pub const PASSWORD: &str = "plum-anchor-violin-37";

/// A folder with a data directory that was not begun, and a folder of media.
pub struct Home {
    folder: TempDir,
    database: Option<Arc<Database>>,
}

impl Home {
    /// A fresh one.
    pub fn new() -> Home {
        Home::on(engine::server().map(|_| Arc::new(now(Database::empty()))))
    }

    /// A fresh one on a file, whatever the run's engine.
    pub fn on_a_file() -> Home {
        Home::on(None)
    }

    fn on(database: Option<Arc<Database>>) -> Home {
        let folder = TempDir::with_prefix("usher-binary-").unwrap();
        std::fs::create_dir(folder.path().join("music")).unwrap();
        std::fs::write(folder.path().join("music/note.txt"), "la\n").unwrap();
        Home { folder, database }
    }

    /// Another machine's folder, on the same database. Its data directory has no master key yet.
    pub fn beside(&self) -> Home {
        Home::on(self.database.clone())
    }

    /// The address of the database, where it is on a server.
    pub fn database(&self) -> Option<String> {
        self.database.as_ref().map(|database| database.url())
    }

    /// What the database answers to any text, as text, past everything that the program knows.
    pub fn sql(&self, text: &str) -> Vec<Vec<Option<String>>> {
        match self.database() {
            Some(url) => now(engine::query(&url, text)).unwrap(),
            None => in_file(&self.data().join("usher.db"), text),
        }
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// The program with these arguments, hashing cheaply.
    pub fn usher(&self, args: &[&str]) -> Command {
        self.set_up(Command::new(env!("CARGO_BIN_EXE_usher")), args)
    }

    /// The same, deaf to the signal that a write beyond the limit of a file's size raises: it sees the failure only.
    pub fn usher_within_limits(&self, args: &[&str]) -> Command {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", "trap '' XFSZ; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_usher")]);
        self.set_up(shell, args)
    }

    fn set_up(&self, mut command: Command, args: &[&str]) -> Command {
        command.env_clear();
        // A fault that `scripts/mutants` turns on is turned on in the program.
        #[expect(clippy::disallowed_methods, reason = "it is the test's own variable, no setting")]
        let fault = std::env::var_os("MUTANT");
        command.envs(fault.map(|fault| ("MUTANT", fault)));
        command
            .env("HOME", self.folder.path())
            .env("TMPDIR", self.folder.path())
            .env("USHER_ACCOUNTS_HASH_MEMORY_KIB", "19456")
            .env("USHER_ACCOUNTS_HASH_PASSES", "2")
            .envs(self.database().map(|url| ("USHER_DATABASE", url)))
            .current_dir(self.folder.path())
            .arg("--data")
            .arg(self.data())
            .args(args)
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, args: &[&str]) -> Ran {
        Ran::of(self.usher(args).output().unwrap())
    }

    /// Runs a command to its end, with a line on its standard input.
    pub fn run_with(&self, args: &[&str], line: &str) -> Ran {
        Ran::fed(self.usher(args), line)
    }

    /// Makes an account with [`PASSWORD`].
    pub fn add_user(&self, name: &str, more: &[&str]) {
        self.run_with(&[&["user", "add", name, "--password-stdin"], more].concat(), PASSWORD).good();
    }

    /// A server with one folder, on ports of its own.
    pub fn serve(&self) -> Server {
        self.serve_with(&[])
    }

    /// The same with more arguments.
    pub fn serve_with(&self, more: &[&str]) -> Server {
        let music = format!("music={}", self.path("music").display());
        let args = ["serve", "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0", &music];
        Server::start(self.usher(&[&args[..], more].concat()))
    }
}

/// What a command said.
#[derive(Debug)]
pub struct Ran {
    /// The exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Ran {
    fn of(output: Output) -> Ran {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Runs `command` with a line on its standard input.
    pub fn fed(mut command: Command, line: &str) -> Ran {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that refuses before it reads closes the pipe; what it says is what counts.
        let _ = writeln!(child.stdin.take().unwrap(), "{line}");
        Ran::of(child.wait_with_output().unwrap())
    }

    /// Its output, if it succeeded.
    pub fn good(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.out
    }

    /// What it said as JSON, if it succeeded.
    pub fn json(self) -> Value {
        serde_json::from_str(&self.good()).unwrap()
    }

    /// Its refusal, if it ended with this code and printed nothing else.
    pub fn refused(self, code: i32) -> String {
        assert_eq!((self.code, self.out.as_str()), (Some(code), ""), "{self:?}");
        self.err
    }
}

/// A server that said that it is ready. Dropping it kills it.
pub struct Server {
    child: Child,
    out: BufReader<ChildStdout>,
    /// What it said before it was ready.
    pub said: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// Where health and metrics are.
    pub ops: Option<SocketAddr>,
    log: std::thread::JoinHandle<String>,
}

impl Server {
    /// Starts `command` and waits for its word that it is ready.
    pub fn start(mut command: Command) -> Server {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut err = child.stderr.take().unwrap();
        let log = std::thread::spawn(move || {
            let mut text = String::new();
            err.read_to_string(&mut text).unwrap();
            text
        });
        let mut said = String::new();
        while !said.ends_with("Ready.\n") {
            if out.read_line(&mut said).unwrap() == 0 {
                let status = child.wait().unwrap();
                panic!("the server ended before it was ready ({status}):\n{said}\n{}", log.join().unwrap());
            }
        }
        let port = |name: &str| {
            let url = said.lines().find_map(|line| line.strip_prefix(name))?.trim();
            let authority = url.split_once("://")?.1.split('/').next()?;
            authority.rsplit_once(':')?.1.parse::<u16>().ok()
        };
        let address = SocketAddr::from(([127, 0, 0, 1], port("address").expect("an address was said")));
        let ops = port("health").map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        Server { child, out, address, ops, said, log }
    }

    /// The path of the setup link, when one was printed.
    pub fn setup(&self) -> Option<String> {
        let link = self.said.lines().find_map(|line| line.strip_prefix("setup"))?.trim();
        Some(link[link.find("/setup/").unwrap()..].to_owned())
    }

    /// Opens a setup link as a browser does, and fills the form in. Gives the last status: 303 when it worked.
    pub fn set_up(&self, link: &str, name: &str) -> u16 {
        let taken = self.get(link);
        assert_eq!(taken.status, 303, "looking at a link tells nothing: {taken:?}");
        let cookie = taken.header("set-cookie").unwrap().split(';').next().unwrap();
        let headers = format!("Cookie: {cookie}\r\nOrigin: http://localhost\r\n");
        let form = format!("username={name}&password={PASSWORD}&password2={PASSWORD}");
        self.send("POST", "/setup", "application/x-www-form-urlencoded", &headers, &form).status
    }

    /// The process.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Waits for its end, and gives its log.
    pub fn ended(mut self) -> (ExitStatus, String) {
        let status = self.child.wait().unwrap();
        let mut rest = String::new();
        self.out.read_to_string(&mut rest).unwrap();
        let log = std::mem::replace(&mut self.log, std::thread::spawn(String::new));
        (status, log.join().unwrap())
    }

    /// Stops it as systemd does; it must end well.
    pub fn stop(self) -> String {
        self.signal(Signal::TERM);
        let (status, log) = self.ended();
        assert!(status.success(), "{status}:\n{log}");
        log
    }

    /// Ends it as a power cut does.
    pub fn kill(self) {
        self.signal(Signal::KILL);
        let (status, _) = self.ended();
        assert!(!status.success());
    }

    /// One request.
    pub fn get(&self, path: &str) -> Answer {
        ask(self.address, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"))
    }

    /// A GET with a bearer token.
    pub fn get_with(&self, path: &str, token: &str) -> Answer {
        self.ask("GET", path, &format!("Authorization: Bearer {token}\r\n"))
    }

    /// A request without a body and with further header lines, each ended by CRLF.
    pub fn ask(&self, method: &str, path: &str, headers: &str) -> Answer {
        let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
        ask(self.address, &format!("{head}{headers}\r\n"))
    }

    /// One request with a JSON body.
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, "application/json", "", &body.to_string())
    }

    /// One request with a body of this type and further header lines, each ended by CRLF.
    pub fn send(&self, method: &str, path: &str, kind: &str, headers: &str, body: &str) -> Answer {
        let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}");
        let length = body.len();
        ask(self.address, &format!("{head}Content-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}"))
    }

    /// Logs in and gives the answer.
    pub fn login(&self, username: &str, password: &str) -> Answer {
        self.post("/api/v1/login", &serde_json::json!({ "username": username, "password": password }))
    }

    /// The refresh token of a fresh session of `username`.
    pub fn logged_in(&self, username: &str) -> String {
        let answer = self.login(username, PASSWORD);
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["refresh_token"].as_str().unwrap().to_owned()
    }

    /// What a refresh token is worth.
    pub fn refresh(&self, token: &str) -> Answer {
        self.post("/api/v1/refresh", &serde_json::json!({ "refresh_token": token }))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An HTTP answer.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The header lines as they came.
    pub head: String,
    /// The body.
    pub body: String,
}

impl Answer {
    /// Reads an answer up to the end of its connection.
    pub fn read(from: &mut impl Read) -> Answer {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Sends a whole request and reads the answer.
pub fn ask(address: SocketAddr, request: &str) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    Answer::read(&mut stream)
}

/// The mode of a file, without its kind.
pub fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}
