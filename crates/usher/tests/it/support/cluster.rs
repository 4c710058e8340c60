//! A PostgreSQL server of a test's own, which it may end without warning. What it acknowledges, it has on the disk.

use super::engine;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// The server, gone when dropped.
pub struct Cluster {
    folder: TempDir,
    bin: PathBuf,
    port: u16,
}

/// Where the programs of the newest PostgreSQL are.
fn programs() -> PathBuf {
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|versions| versions.map(|version| version.unwrap().path().join("bin")).collect())
        .unwrap_or_default();
    found.retain(|bin| bin.join("pg_ctl").exists());
    found.sort();
    found.pop().expect("the run that names a server has PostgreSQL's programs")
}

impl Cluster {
    /// Makes one and starts it.
    pub fn start() -> Cluster {
        let cluster = Cluster::make();
        cluster.go();
        cluster
    }

    /// The same for TLS alone, with a certificate for `localhost`. Gives the certificate's file too.
    pub fn start_under_tls() -> (Cluster, PathBuf) {
        let cluster = Cluster::make();
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let data = cluster.folder.path().join("data");
        let (cert, key) = (data.join("server.crt"), data.join("server.key"));
        std::fs::write(&cert, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        std::fs::write(data.join("pg_hba.conf"), "hostssl all all 127.0.0.1/32 trust\nlocal all all trust\n").unwrap();
        if rustix::process::getuid().is_root() {
            for file in [&cert, &key] {
                assert!(Command::new("chown").arg("postgres").arg(file).status().unwrap().success());
            }
        }
        std::fs::write(data.join("postgresql.auto.conf"), "ssl = on\n").unwrap();
        cluster.go();
        // Where whoever connects can read it.
        let trusted = cluster.folder.path().join("authority.pem");
        std::fs::write(&trusted, made.cert.pem()).unwrap();
        (cluster, trusted)
    }

    fn make() -> Cluster {
        let folder = TempDir::with_prefix("usher-cluster-").unwrap();
        // Free when it was asked for; the lock of the folder's socket tells when somebody was quicker.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let cluster = Cluster { folder, bin: programs(), port };
        if rustix::process::getuid().is_root() {
            assert!(Command::new("chown").arg("postgres").arg(cluster.folder.path()).status().unwrap().success());
        }
        cluster.run("initdb", &["-U", "usher", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]);
        cluster
    }

    /// Starts it again.
    pub fn go(&self) {
        let options = format!(
            "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories={} -c max_connections=100",
            self.port,
            self.folder.path().display()
        );
        let log = self.folder.path().join("log");
        self.run("pg_ctl", &["start", "-w", "-s", "-l", log.to_str().unwrap(), "-o", &options]);
    }

    /// Kills it as a power cut does: every process at once, nothing written any more.
    pub fn kill(&self) {
        self.run("pg_ctl", &["stop", "-m", "immediate", "-w", "-s"]);
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A new database on it.
    pub fn database(&self) -> String {
        let url = format!("postgres://usher@127.0.0.1:{}/", self.port);
        super::app::now(engine::query(&format!("{url}postgres"), "CREATE DATABASE usher")).unwrap();
        format!("{url}usher")
    }

    fn run(&self, program: &str, args: &[&str]) {
        let data = self.folder.path().join("data");
        let status = as_nobody(&self.bin.join(program), self.folder.path())
            .arg("-D")
            .arg(data)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert!(status.unwrap().success(), "{program} {args:?}");
    }
}

/// PostgreSQL refuses to run as root; its Debian package has made a user for it.
fn as_nobody(program: &Path, folder: &Path) -> Command {
    let mut command = if rustix::process::getuid().is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    command.current_dir(folder);
    command
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // It may be down already.
        let _ = as_nobody(&self.bin.join("pg_ctl"), self.folder.path())
            .arg("-D")
            .arg(self.folder.path().join("data"))
            .args(["stop", "-m", "immediate", "-s"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
}
