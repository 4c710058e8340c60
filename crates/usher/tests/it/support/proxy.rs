//! Real proxies in front of a server: nginx and Caddy, each with a folder and a port of its own.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

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
        Proxy::start("nginx", "nginx-light", |folder, own| {
            let temp = |kind: &str| format!("{kind}_temp_path {folder}/{kind};");
            let temps = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(temp).join(" ");
            let conf = format!(
                "daemon off; master_process off; pid {folder}/pid; error_log stderr;\n\
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
        Proxy::start("caddy", "caddy", |folder, own| {
            let conf = format!(
                "{{\nadmin off\nauto_https off\npersist_config off\n}}\nhttp://{own} {{\nreverse_proxy {server}\n}}\n"
            );
            let conf = conf.replace(&format!("http://{own} "), &format!("http://:{} ", own.port()));
            std::fs::write(format!("{folder}/Caddyfile"), conf).unwrap();
            ["run", "--adapter", "caddyfile", "--config"]
                .map(str::to_owned)
                .into_iter()
                .chain([format!("{folder}/Caddyfile")])
                .collect()
        })
    }

    /// Caddy with this configuration, which takes its name and the server's address from `HOST` and `UPSTREAM`.
    pub fn caddyfile(text: &str, address: SocketAddr, host: &str, server: SocketAddr) -> Proxy {
        let text = format!("{{\nadmin off\nauto_https off\npersist_config off\n}}\n{text}")
            .replace("{$HOST:localhost}", host)
            .replace("{$UPSTREAM:127.0.0.1:8080}", &server.to_string());
        Proxy::start_at("caddy", "caddy", address, |folder, _| {
            std::fs::write(format!("{folder}/Caddyfile"), &text).unwrap();
            ["run", "--adapter", "caddyfile", "--config"]
                .map(str::to_owned)
                .into_iter()
                .chain([format!("{folder}/Caddyfile")])
                .collect()
        })
    }

    fn start(program: &str, package: &str, arguments: impl Fn(&str, SocketAddr) -> Vec<String>) -> Proxy {
        // The port is free a moment before the proxy takes it.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        Proxy::start_at(program, package, address, arguments)
    }

    fn start_at(
        program: &str,
        package: &str,
        address: SocketAddr,
        arguments: impl Fn(&str, SocketAddr) -> Vec<String>,
    ) -> Proxy {
        let folder = TempDir::with_prefix("usher-proxy-").unwrap();
        let home = folder.path().to_str().unwrap();
        let child = Command::new(program)
            .args(arguments(home, address))
            .env("HOME", home)
            .env("XDG_DATA_HOME", home)
            .env("XDG_CONFIG_HOME", home)
            // Debian keeps servers out of an ordinary user's path.
            .env("PATH", format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{program} does not start ({error}): install the package {package}"));
        let mut proxy = Proxy { child, address, _folder: folder };
        for _ in 0..1000 {
            if TcpStream::connect(address).is_ok() {
                return proxy;
            }
            if let Some(status) = proxy.child.try_wait().unwrap() {
                panic!("{program} ended before it listened: {status}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("{program} does not listen at {address}");
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
