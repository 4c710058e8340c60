//! The flags of the command line, as text, so that a mistake is reported like any other.

use super::{Bucket, Config};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What the command line says. `None` and `false` say nothing.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `--listen ADDR:PORT`
    pub listen: Option<String>,
    /// `--ops-listen ADDR:PORT|off`
    pub ops_listen: Option<String>,
    /// `--public-url URL`
    pub public_url: Option<String>,
    /// `--lan`
    pub lan: bool,
    /// `--dev`
    pub dev: bool,
    /// `--data DIR`
    pub data: Option<String>,
    /// `--database URL`
    pub database: Option<String>,
    /// `--master-key-file FILE`
    pub master_key_file: Option<String>,
    /// `--trust-filesystem-modes`
    pub trust_filesystem_modes: bool,
    /// `--tls-cert FILE`
    pub tls_cert: Option<String>,
    /// `--tls-key FILE`
    pub tls_key: Option<String>,
    /// `--log-format text|json`
    pub log_format: Option<String>,
    /// `--log-level LEVEL`
    pub log_level: Option<String>,
    /// The folders to serve: `DIR` or `NAME=DIR`, beside those of the file.
    pub buckets: Vec<String>,
}

impl Overrides {
    pub(super) fn by_key(&self) -> BTreeMap<&'static str, (&'static str, String)> {
        let switch = |on: bool| on.then(|| "true".to_owned());
        let said = [
            ("server.listen", "--listen", self.listen.clone()),
            ("server.ops_listen", "--ops-listen", self.ops_listen.clone()),
            ("server.public_url", "--public-url", self.public_url.clone()),
            ("server.lan", "--lan", switch(self.lan)),
            ("server.dev", "--dev", switch(self.dev)),
            ("storage.data", "--data", self.data.clone()),
            ("storage.database", "--database", self.database.clone()),
            ("storage.master_key_file", "--master-key-file", self.master_key_file.clone()),
            ("storage.trust_filesystem_modes", "--trust-filesystem-modes", switch(self.trust_filesystem_modes)),
            ("tls.cert", "--tls-cert", self.tls_cert.clone()),
            ("tls.key", "--tls-key", self.tls_key.clone()),
            ("log.format", "--log-format", self.log_format.clone()),
            ("log.level", "--log-level", self.log_level.clone()),
        ];
        said.into_iter().filter_map(|(key, flag, text)| Some((key, (flag, text?)))).collect()
    }

    pub(super) fn add_buckets(&self, config: &mut Config) {
        for text in &self.buckets {
            let (name, path) = match text.split_once('=') {
                Some((name, path)) if super::check::is_name(name) => (Some(name.to_owned()), PathBuf::from(path)),
                _ => (None, PathBuf::from(text)),
            };
            let name = name.unwrap_or_else(|| free_name(&path, &config.buckets));
            config.buckets.push(Bucket { name, path, ..Bucket::default() });
        }
    }
}

/// A name made from the folder's own, numbered when it is taken.
fn free_name(path: &Path, taken: &[Bucket]) -> String {
    let folder = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let mut name: String = folder.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(40).collect();
    name = name.trim_matches('-').to_owned();
    if !super::check::is_name(&name) {
        name = "media".to_owned();
    }
    let is_taken = |name: &str| taken.iter().any(|bucket| bucket.name == name);
    if !is_taken(&name) {
        return name;
    }
    (2..=taken.len() + 2).map(|number| format!("{name}-{number}")).find(|name| !is_taken(name)).unwrap_or(name)
}
