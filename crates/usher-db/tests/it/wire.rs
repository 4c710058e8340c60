//! A way to the server that can be cut without either end being told, as when a network falls apart.
use super::engine::{Database, server};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A wire to one database. It holds until it is cut or dropped.
pub struct Wire {
    /// The database's address through the wire.
    pub url: String,
    cut: watch::Sender<bool>,
}

impl Wire {
    /// A wire to this database.
    pub async fn to(database: &Database) -> Wire {
        let url = database.url();
        let server = server().unwrap_or_else(|| panic!("this run has no PostgreSQL server"));
        let target = server.split(['@', '/']).nth(3).unwrap_or("127.0.0.1:5432").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap_or_else(|error| panic!("{error}"));
        let here = listener.local_addr().unwrap_or_else(|error| panic!("{error}"));
        let through = url.replacen(&target, &here.to_string(), 1);
        assert_ne!(through, url, "the server is named by host and port");
        let (cut, is_cut) = watch::channel(false);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(carry(near, target.clone(), is_cut.clone()));
            }
        });
        Wire { url: through, cut }
    }

    /// Cuts it, or mends it. What was connected when it was cut stays silent until it is mended, and ends then.
    pub fn cut(&self, cut: bool) {
        self.cut.send_replace(cut);
    }
}

async fn carry(mut near: TcpStream, target: String, mut is_cut: watch::Receiver<bool>) {
    if !*is_cut.borrow() {
        let Ok(mut far) = TcpStream::connect(&target).await else { return };
        tokio::select! {
            _ = copy_bidirectional(&mut near, &mut far) => return,
            cut = is_cut.wait_for(|cut| *cut) => {
                if cut.is_err() {
                    return;
                }
            }
        }
        // An error means that nobody will mend it.
        let _ = is_cut.wait_for(|cut| !*cut).await;
        return;
    }
    // Taken and never answered, as by a host that is gone.
    let _ = is_cut.wait_for(|cut| !*cut).await;
    drop(near);
}
