//! A server that runs out of what the system gives, and one that is asked to tell everything it knows.

use crate::support::program::{Answer, Home, PASSWORD, Server};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

#[test]
fn without_free_descriptors_those_inside_are_served_and_others_when_some_are_free_again() {
    let home = Home::new();
    home.add_user("alice", &[]);
    let inner = home.usher(&["serve", "--listen", "127.0.0.1:0", "--ops-listen", "off"]);
    let mut command = Command::new("sh");
    command.env_clear().current_dir(home.path(""));
    command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.args(["-c", "ulimit -n 96 && exec \"$@\"", "sh"]).arg(inner.get_program()).args(inner.get_args());
    let server = Server::start(command);
    let mut inside = TcpStream::connect(server.address).unwrap();
    let mut ask = || {
        write!(inside, "GET /login HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"</html>") && !head.ends_with(b"</html>\n") {
            let mut piece = [0; 4_096];
            let length = inside.read(&mut piece).unwrap();
            assert_ne!(length, 0, "hung up on");
            head.extend_from_slice(&piece[..length]);
        }
        String::from_utf8_lossy(&head).starts_with("HTTP/1.1 200")
    };
    assert!(ask());
    // The system takes them in; the server cannot.
    let crowd: Vec<TcpStream> = (0..300).map(|_| TcpStream::connect(server.address).unwrap()).collect();
    for _ in 0..5 {
        assert!(ask(), "whoever is inside is served");
    }
    let mut outside = TcpStream::connect(server.address).unwrap();
    outside.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    write!(outside, "GET /login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    drop(crowd);
    assert_eq!(Answer::read(&mut outside).status, 200, "who waited is let in");
    assert_eq!(server.login("alice", PASSWORD).status, 200);
    let log = server.stop();
    assert!(log.contains("cannot accept connections"), "it never ran out, so nothing was shown:\n{log}");
}

/// curl over TLS, so that HTTP/2 is spoken.
fn curl(cert: &str, url: &str, more: &[&str]) -> String {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--ipv4", "--noproxy", "*", "--cacert", cert, "--include"]).args(more).arg(url);
    String::from_utf8_lossy(&curl.output().expect("curl is there").stdout).into_owned()
}

fn field(text: &str, name: &str) -> String {
    let start = text.find(&format!("\"{name}\":\"")).unwrap_or_else(|| panic!("no {name} in {text}")) + name.len() + 4;
    text[start..].split('"').next().unwrap().to_owned()
}

#[test]
fn the_most_talkative_log_holds_no_password_link_cookie_or_token() {
    let home = Home::new();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (cert, key) = (home.path("cert.pem"), home.path("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    for tls in [false, true] {
        let mut secrets = vec![PASSWORD.to_owned()];
        let music = format!("music={}", home.path("music").display());
        let mut arguments = vec!["serve", "--listen", "127.0.0.1:0", "--ops-listen", "off", &music];
        if tls {
            arguments.extend(["--tls-cert", cert.to_str().unwrap(), "--tls-key", key.to_str().unwrap()]);
        }
        let mut command = home.usher(&arguments);
        command.env("USHER_LOG_LEVEL", "trace");
        let server = Server::start(command);
        let answers = if tls {
            let base = format!("https://localhost:{}", server.address.port());
            let cert = cert.to_str().unwrap();
            let login = format!(r#"{{"username":"alice","password":"{PASSWORD}","cookie":true}}"#);
            let json = "Content-Type: application/json";
            let first = curl(cert, &format!("{base}/api/v1/login"), &["-H", json, "-d", &login]);
            assert!(first.starts_with("HTTP/2 200"), "{first}");
            let bearer = format!("Authorization: Bearer {}", field(&first, "access_token"));
            let cookie = first.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
            let cookie = format!("Cookie: {}", cookie.split(';').next().unwrap());
            secrets.push(cookie.split_once('=').unwrap().1.to_owned());
            let list = curl(cert, &format!("{base}/api/v1/buckets/music/entries"), &["-H", &bearer]);
            curl(cert, &field(&list, "url"), &[]);
            curl(cert, &format!("{base}/library"), &["-H", &cookie]);
            curl(cert, &format!("{base}/login?password={PASSWORD}"), &[]);
            vec![first, list]
        } else {
            let link = server.setup().unwrap();
            secrets.push(link.rsplit('/').next().unwrap().to_owned());
            assert_eq!(server.set_up(&link, "alice"), 303);
            let login = server.login("alice", PASSWORD);
            let bearer = format!("Authorization: Bearer {}\r\n", field(&login.body, "access_token"));
            let list = server.send("GET", "/api/v1/buckets/music/entries", "text/plain", &bearer, "");
            let film = field(&list.body, "url");
            assert_eq!(server.get(&film[film.find("/m/").unwrap()..]).status, 200);
            assert_eq!(server.refresh(&field(&login.body, "refresh_token")).status, 200);
            server.get(&format!("/login?password={PASSWORD}"));
            server.login(PASSWORD, "typed into the wrong field");
            vec![login.body, list.body]
        };
        let all = answers.concat();
        for name in ["access_token", "refresh_token", "media_token", "url"] {
            if all.contains(&format!("\"{name}\":\"")) {
                secrets.push(field(&all, name).rsplit("/m/").next().unwrap().split('/').next().unwrap().to_owned());
            }
        }
        let log = server.stop();
        // The library for HTTP/2 tells what it does; the one for HTTP/1.1 says nothing.
        assert!(log.contains(if tls { "h2::" } else { "login_failed" }), "{log}");
        assert!(secrets.len() >= 4, "{}", secrets.len());
        for secret in &secrets {
            let parts: Vec<&str> = secret.split('.').filter(|part| part.len() > 20).collect();
            for part in parts.iter().chain([&secret.as_str()]).filter(|part| part.len() > 12) {
                let line = log.lines().find(|line| line.contains(part));
                assert_eq!(line, None, "the log (TLS: {tls}) holds {part}");
            }
        }
    }
}
