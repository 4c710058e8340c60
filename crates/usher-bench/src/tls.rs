//! A certificate of the bench's own, and a client that trusts it and nothing else.

use crate::Told;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_rustls::TlsConnector;

/// Certificate and key in files, and the client's side of it.
#[derive(Clone)]
pub struct Pair {
    /// The certificate, PEM.
    pub cert: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
    /// Speaks HTTP/1.1 under TLS 1.3, as every server here is asked to.
    pub connector: TlsConnector,
}

impl Pair {
    /// Makes one for `localhost` in `work`.
    pub fn make(work: &Path) -> Told<Pair> {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
        let (cert, key) = (work.join("cert.pem"), work.join("key.pem"));
        fs::write(&cert, made.cert.pem())?;
        fs::write(&key, made.signing_key.serialize_pem())?;
        let mut trust = rustls::RootCertStore::empty();
        trust.add(made.cert.der().clone())?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(trust)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Pair { cert, key, connector: TlsConnector::from(Arc::new(config)) })
    }
}
