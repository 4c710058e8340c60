//! Real proxies in front of a server: nginx and Caddy, each with a folder and a port of its own.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// A program, the package that brings it, and what it says when it listens.
struct Kind {
    program: &'static str,
    package: &'static str,
    ready: &'static str,
}

const NGINX: Kind = Kind { program: "nginx", package: "nginx-light", ready: "event method" };
const CADDY: Kind = Kind { program: "caddy", package: "caddy", ready: "serving initial configuration" };

/// A proxy that runs until it is dropped.
pub struct Proxy {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    _folder: TempDir,
}

impl Proxy {
    /// nginx, with connections to the server that are used again, and bodies passed on as they come.
    pub fn nginx(server: SocketAddr) -> Proxy {
        Proxy::start(&NGINX, |folder, own| {
            let temp = |kind: &str| format!("{kind}_temp_path {folder}/{kind};");
            let temps = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(temp).join(" ");
            let conf = format!(
                "daemon off; master_process off; pid {folder}/pid; error_log stderr notice;\n\
                 events {{ worker_connections 64; }}\n\
                 http {{ access_log off; {temps}\n\
                 upstream usher {{ server {server}; keepalive 4; }}\n\
                 server {{ listen {own}; location / {{ proxy_pass http://usher; proxy_http_version 1.1;\n\
                 proxy_set_header Connection \"\"; proxy_set_header Host $host;\n\
                 proxy_set_header X-Forwarded-For $remote_addr; proxy_request_buffering off; }} }} }}\n"
            );
            std::fs::write(format!("{folder}/nginx.conf"), conf).unwrap();
            vec!["-p".to_owned(), folder.to_owned(), "-c".to_owned(), format!("{folder}/nginx.conf")]
        })
    }

    /// Caddy, as it comes.
    pub fn caddy(server: SocketAddr) -> Proxy {
        Proxy::start(&CADDY, |folder, own| {
            run_caddy(folder, &format!("http://:{} {{\nreverse_proxy {server}\n}}\n", own.port()))
        })
    }

    /// Caddy with this configuration, which takes its name and the server's address from `HOST` and `UPSTREAM`.
    pub fn caddyfile(text: &str, address: SocketAddr, host: &str, server: SocketAddr) -> Proxy {
        let text = text.replace("{$HOST:localhost}", host).replace("{$UPSTREAM:127.0.0.1:8080}", &server.to_string());
        Proxy::start_at(&CADDY, address, |folder, _| run_caddy(folder, &text))
    }

    fn start(kind: &Kind, arguments: impl Fn(&str, SocketAddr) -> Vec<String>) -> Proxy {
        // The port is free a moment before the proxy takes it.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        Proxy::start_at(kind, address, arguments)
    }

    fn start_at(kind: &Kind, address: SocketAddr, arguments: impl Fn(&str, SocketAddr) -> Vec<String>) -> Proxy {
        let folder = TempDir::with_prefix("usher-proxy-").unwrap();
        let home = folder.path().to_str().unwrap();
        let Kind { program, package, ready } = kind;
        // Debian keeps servers out of an ordinary user's path.
        let apart = Path::new("/usr/sbin").join(program);
        let mut child = Command::new(if apart.exists() { apart.as_path() } else { Path::new(program) })
            .args(arguments(home, address))
            .env("HOME", home)
            .env("XDG_DATA_HOME", home)
            .env("XDG_CONFIG_HOME", home)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{program} does not start ({error}): install the package {package}"));
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut said = String::new();
        while !said.contains(ready) {
            match lines.next() {
                Some(line) => said.push_str(&line.unwrap()),
                None => panic!("{program} ended before it listened: {said}"),
            }
        }
        // It would wait for a reader when its pipe is full.
        std::thread::spawn(move || lines.for_each(drop));
        Proxy { child, address, _folder: folder }
    }
}

/// Writes a Caddyfile, and gives the arguments with which Caddy runs it without certificates.
fn run_caddy(folder: &str, text: &str) -> Vec<String> {
    let file = format!("{folder}/Caddyfile");
    std::fs::write(&file, format!("{{\nadmin off\nauto_https off\n}}\n{text}")).unwrap();
    ["run", "--adapter", "caddyfile", "--config", &file].map(str::to_owned).to_vec()
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
