//! nginx beside us, where it is installed: the same file, the same core, its own best settings for it.

use crate::Told;
use crate::cores::{Cores, On};
use crate::process::{Running, free_address};
use crate::tls::Pair;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where distributions put it.
const USUAL: [&str; 4] = ["/usr/sbin/nginx", "/usr/bin/nginx", "/usr/local/sbin/nginx", "/usr/local/bin/nginx"];

/// An address that costs nothing, to see that it runs.
const PING: &str = "/ping";

/// The program: the named one, else the usual one, else none.
pub fn find(named: Option<&Path>) -> Option<PathBuf> {
    match named {
        Some(path) => Some(path.to_owned()),
        None => USUAL.iter().map(PathBuf::from).find(|path| path.is_file()),
    }
}

/// Starts it on the server's core, serving `folder`. Its configuration and logs go to `work`.
///
/// One process, so that its processor time is one number; access log on, because ours is.
pub async fn start(program: &Path, cores: &Cores, folder: &Path, work: &Path, tls: Option<&Pair>) -> Told<Running> {
    let (addr, at) = (free_address()?, work.join(if tls.is_some() { "nginx-tls" } else { "nginx" }));
    fs::create_dir_all(&at)?;
    let (folder, at_text) = (folder.display(), at.display());
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|kind| format!("  {kind}_temp_path {at_text}/{kind};\n"))
        .collect();
    let (ssl, pair) = match tls {
        None => ("", String::new()),
        Some(Pair { cert, key, .. }) => {
            let (cert, key) = (cert.display(), key.display());
            (" ssl", format!("  ssl_certificate {cert};\n  ssl_certificate_key {key};\n  ssl_protocols TLSv1.3;\n"))
        }
    };
    let text = format!(
        "daemon off;\nmaster_process off;\npid {at_text}/nginx.pid;\nerror_log {at_text}/error.log;\n\
         events {{ worker_connections 1024; }}\n\
         http {{\n{temporary}{pair}  access_log {at_text}/access.log combined buffer=64k;\n  default_type video/webm;\n  \
         sendfile on;\n  tcp_nopush on;\n  tcp_nodelay on;\n  keepalive_requests 1000000000;\n  \
         open_file_cache max=100;\n  server {{ listen {addr}{ssl}; root {folder}; location = {PING} {{ return 200; }} }}\n}}\n"
    );
    let config = at.join("nginx.conf");
    fs::write(&config, text)?;
    let mut command = Command::new(program);
    command.arg("-p").arg(&at).arg("-c").arg(&config);
    let running = Running::start(cores, &mut command, On::Server, addr, fs::File::create(at.join("out.log"))?)?;
    let mut running = running.under(tls.map(|pair| pair.connector.clone()));
    running.ready(PING).await?;
    Ok(running)
}
