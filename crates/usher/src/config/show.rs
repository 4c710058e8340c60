//! Printing: the effective configuration as TOML that reads back the same, secrets as `***`.

use super::visit::{Keys, Setting, Visit};

#[derive(Default)]
pub(super) struct Printer {
    pub(super) out: String,
    prefix: String,
    /// The heading of the section that is printed next, once it has something to say.
    heading: Option<String>,
}

impl Printer {
    fn line(&mut self, line: &str) {
        if let Some(heading) = self.heading.take() {
            if !self.out.is_empty() {
                self.out.push('\n');
            }
            self.out.push_str(&heading);
            self.out.push('\n');
        }
        self.out.push_str(line);
        self.out.push('\n');
    }

    fn under(&mut self, prefix: String, heading: String, keys: &mut dyn Keys) {
        let outer = std::mem::replace(&mut self.prefix, prefix);
        self.heading = Some(heading);
        keys.visit(self);
        self.heading = None;
        self.prefix = outer;
    }

    fn key(&self, name: &str) -> String {
        if self.prefix.is_empty() { name.to_owned() } else { format!("{}.{name}", self.prefix) }
    }
}

impl Visit for Printer {
    fn setting(&mut self, key: &str, value: &mut dyn Setting) {
        if let Some(toml) = value.toml() {
            self.line(&format!("{key} = {toml}"));
        }
    }

    fn secret(&mut self, key: &str, _value: &mut dyn Setting, shown: Option<String>) {
        if let Some(shown) = shown {
            self.line(&format!("{key} = {}", toml::Value::from(shown)));
        }
    }

    fn section(&mut self, key: &str, keys: &mut dyn Keys) {
        let prefix = self.key(key);
        self.under(prefix.clone(), format!("[{prefix}]"), keys);
    }

    fn count(&mut self, _key: &str, have: usize) -> usize {
        have
    }

    fn element(&mut self, key: &str, _index: usize, keys: &mut dyn Keys) {
        let prefix = self.key(key);
        self.under(prefix.clone(), format!("[[{prefix}]]"), keys);
    }

    fn shape(&mut self, _key: &str, _keys: &mut dyn Keys) {}
}
