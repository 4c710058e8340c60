//! Certificates: read from PEM files, served over TLS 1.2 and 1.3, read again when the files change.
//!
//! Files that cannot be used never replace ones that can: the old pair goes on serving and the log says why.

use crate::config::Tls;
use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// Why a pair of files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or holds no PEM of its kind.
    #[error("{}: {source}. Expected {expected} in PEM form, readable by Usher's user.", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        expected: &'static str,
        /// What was found.
        source: pem::Error,
    },
    /// The two do not belong together, or the key is of no kind that can sign.
    #[error("{} and {} cannot be used together: {source}", cert.display(), key.display())]
    Pair {
        /// The certificate file.
        cert: PathBuf,
        /// The key file.
        key: PathBuf,
        /// Why not.
        source: rustls::Error,
    },
}

/// The pair of files in use.
pub struct Certificates {
    files: Tls,
    current: ArcSwap<ServerConfig>,
    seen: Mutex<Stamp>,
}

/// Enough to notice that a file was replaced or written to.
type Stamp = [Option<(SystemTime, u64)>; 2];

impl Certificates {
    /// Reads the pair.
    pub fn load(files: &Tls) -> Result<Arc<Certificates>, TlsError> {
        let seen = stamp(files);
        let current = ArcSwap::from(read(files)?);
        Ok(Arc::new(Certificates { files: files.clone(), current, seen: Mutex::new(seen) }))
    }

    /// What the next handshake uses.
    pub fn current(&self) -> Arc<ServerConfig> {
        self.current.load_full()
    }

    /// Reads the pair again when a file changed since the last attempt, or always when told to. True when a new
    /// pair is in use. A pair caught between the writing of its two files fails once and is read again after the second.
    pub fn reload(&self, always: bool) -> Result<bool, TlsError> {
        let now = stamp(&self.files);
        {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if *seen == now && !always {
                return Ok(false);
            }
            *seen = now;
        }
        self.current.store(read(&self.files)?);
        Ok(true)
    }

    /// Looks at the files every `every` and on SIGHUP, for as long as it is polled.
    pub async fn watch(&self, every: Duration) -> std::io::Result<()> {
        let mut hangup = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())?;
        loop {
            let told = tokio::select! {
                () = tokio::time::sleep(every) => false,
                _ = hangup.recv() => true,
            };
            match self.reload(told) {
                Ok(true) => tracing::info!(target: "usher::tls", "serving the new certificate"),
                Ok(false) => {}
                Err(error) => {
                    tracing::error!(target: "usher::tls", %error, "the new certificate cannot be used; the old one stays");
                }
            }
        }
    }
}

fn stamp(files: &Tls) -> Stamp {
    let of = |path: &Path| {
        let found = std::fs::metadata(path).ok()?;
        Some((found.modified().ok()?, found.len()))
    };
    [of(&files.cert), of(&files.key)]
}

fn read(files: &Tls) -> Result<Arc<ServerConfig>, TlsError> {
    let failed = |path: &Path, expected| {
        let path = path.to_owned();
        move |source| TlsError::File { path, expected, source }
    };
    let chain: Vec<_> = CertificateDer::pem_file_iter(&files.cert)
        .and_then(Iterator::collect)
        .and_then(|chain: Vec<_>| if chain.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(chain) })
        .map_err(failed(&files.cert, "a certificate chain"))?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(failed(&files.key, "a private key"))?;
    let pair = |source| TlsError::Pair { cert: files.cert.clone(), key: files.key.clone(), source };
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(pair)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(pair)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

#[cfg(test)]
pub(crate) mod tests;
