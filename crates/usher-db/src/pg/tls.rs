//! The way to the server: TLS with certificate and name verified, or in clear to this machine.
use crate::OpenError;
use crate::url::Transport;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_postgres_rustls::MakeRustlsConnect;

/// Where Linux systems keep the authorities that they trust: Debian and Alpine, Fedora, SUSE, and a common alias.
const SYSTEM_ROOTS: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// What opens connections under TLS; in clear it is there and never asked.
pub(super) fn connector(transport: &Transport) -> Result<MakeRustlsConnect, OpenError> {
    let mut roots = rustls::RootCertStore::empty();
    if let Transport::Verified { roots: named } = transport {
        let path = match named {
            Some(path) => path.clone(),
            None => SYSTEM_ROOTS.iter().map(PathBuf::from).find(|path| path.is_file()).ok_or_else(|| {
                refused("this system has no list of trusted authorities; name one with sslrootcert=FILE".to_owned())
            })?,
        };
        read(&path, &mut roots)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| refused(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

fn read(path: &Path, roots: &mut rustls::RootCertStore) -> Result<(), OpenError> {
    let failed = |why: String| refused(format!("{}: {why}", path.display()));
    let certificates = CertificateDer::pem_file_iter(path).map_err(|error| failed(error.to_string()))?;
    let mut read = Vec::new();
    for certificate in certificates {
        read.push(certificate.map_err(|error| failed(error.to_string()))?);
    }
    // A system's list may hold a few that are not understood; one that holds none at all is a mistake.
    match roots.add_parsable_certificates(read) {
        (0, _) => Err(failed("there is no certificate in it".to_owned())),
        _ => Ok(()),
    }
}

fn refused(message: String) -> OpenError {
    OpenError::Server { message: format!("the certificates for PostgreSQL cannot be used: {message}") }
}
