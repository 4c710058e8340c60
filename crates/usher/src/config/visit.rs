//! One list of keys per section, walked by whoever reads, checks or prints the configuration.
//!
//! A section names its keys once, in `Keys::visit`. The reader fills them, the printer writes them, and
//! neither can know a key that the other does not.

use super::value::{Raw, Value};
use std::path::Path;

/// A part of the configuration that can name its keys.
pub trait Keys {
    /// Shows every key, in the order in which they are printed.
    fn visit(&mut self, to: &mut dyn Visit);
}

/// Who walks the keys.
pub trait Visit {
    /// One setting.
    fn setting(&mut self, key: &str, value: &mut dyn Setting);
    /// One setting whose value is never printed; `shown` stands in for it.
    fn secret(&mut self, key: &str, value: &mut dyn Setting, shown: Option<String>);
    /// A table of settings.
    fn section(&mut self, key: &str, keys: &mut dyn Keys);
    /// How many tables an array of tables has, when `have` are at hand.
    fn count(&mut self, key: &str, have: usize) -> usize;
    /// The table at `index` of an array of tables.
    fn element(&mut self, key: &str, index: usize, keys: &mut dyn Keys);
    /// What a table of an array looks like, even when there is none.
    fn shape(&mut self, key: &str, keys: &mut dyn Keys);
}

/// Walks an array of tables.
pub fn tables<T: Keys + Default>(to: &mut dyn Visit, key: &str, items: &mut Vec<T>) {
    to.shape(key, &mut T::default());
    let count = to.count(key, items.len());
    items.resize_with(count, T::default);
    for (index, item) in items.iter_mut().enumerate() {
        to.element(key, index, item);
    }
}

/// A value behind a setting, whatever its type.
pub trait Setting {
    /// What is expected.
    fn form(&self) -> String;
    /// Takes the value; `false` when it has not that form.
    fn take(&mut self, raw: &Raw) -> bool;
    /// Resolves relative paths.
    fn rebase(&mut self, base: &Path);
    /// As TOML; `None` when absent.
    fn toml(&self) -> Option<String>;
}

impl<T: Value> Setting for T {
    fn form(&self) -> String {
        T::form()
    }
    fn take(&mut self, raw: &Raw) -> bool {
        match T::read(raw) {
            Some(value) => {
                *self = value;
                true
            }
            None => false,
        }
    }
    fn rebase(&mut self, base: &Path) {
        Value::rebase(self, base);
    }
    fn toml(&self) -> Option<String> {
        self.write()
    }
}
