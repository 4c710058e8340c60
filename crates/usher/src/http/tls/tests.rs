//! Pairs of files, good and bad.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;

/// Writes a fresh pair for `localhost`, and a client that trusts it.
pub(crate) fn pair(dir: &Path) -> (Tls, rustls::ClientConfig) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let files = Tls { cert: dir.join("cert.pem"), key: dir.join("key.pem") };
    std::fs::write(&files.cert, made.cert.pem()).unwrap();
    std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let client = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (files, client)
}

#[test]
fn a_new_pair_is_served_and_a_bad_one_never_replaces_it() {
    let dir = tempfile::tempdir().unwrap();
    let (files, _) = pair(dir.path());
    let certificates = Certificates::load(&files).unwrap();
    let first = certificates.current();
    assert!(!certificates.reload(false).unwrap());
    std::fs::write(&files.cert, "not a certificate at all").unwrap();
    assert!(matches!(certificates.reload(true), Err(TlsError::File { .. })));
    assert!(Arc::ptr_eq(&first, &certificates.current()));
    // Half of a new pair does not fit the other half of the old one.
    let key = std::fs::read(&files.key).unwrap();
    pair(dir.path());
    std::fs::write(&files.key, key).unwrap();
    assert!(matches!(certificates.reload(true), Err(TlsError::Pair { .. })));
    assert!(Arc::ptr_eq(&first, &certificates.current()));
    pair(dir.path());
    assert!(certificates.reload(true).unwrap());
    assert!(!Arc::ptr_eq(&first, &certificates.current()));
}

#[test]
fn a_changed_file_is_noticed_without_being_told() {
    let dir = tempfile::tempdir().unwrap();
    let (files, _) = pair(dir.path());
    let certificates = Certificates::load(&files).unwrap();
    let later = std::fs::metadata(&files.key).unwrap().modified().unwrap() + Duration::from_secs(5);
    std::fs::File::options().append(true).open(&files.key).unwrap().set_modified(later).unwrap();
    assert!(certificates.reload(false).unwrap());
    assert!(!certificates.reload(false).unwrap());
}

#[test]
fn a_refusal_names_the_file_and_never_its_contents() {
    let dir = tempfile::tempdir().unwrap();
    let (files, _) = pair(dir.path());
    std::fs::write(&files.key, "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n").unwrap();
    let message = Certificates::load(&files).err().unwrap().to_string();
    assert!(message.contains("key.pem") && !message.contains("c2VjcmV0"), "{message}");
}
