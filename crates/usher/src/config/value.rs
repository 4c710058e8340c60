//! How one value is read from text or TOML, and written back.

use super::origin::{Origin, PublicUrl};
use super::sessions::Retain;
use ipnet::IpNet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A value as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Raw {
    /// From a variable or a flag, where everything is text.
    Text(String),
    /// A TOML string.
    String(String),
    /// A TOML integer.
    Integer(i64),
    /// A TOML boolean.
    Boolean(bool),
    /// A TOML array.
    List(Vec<Raw>),
    /// A TOML value of a kind that no setting has, by the name of its kind.
    Other(&'static str),
}

impl Raw {
    fn text(&self) -> Option<&str> {
        match self {
            Raw::Text(text) | Raw::String(text) => Some(text),
            _ => None,
        }
    }

    fn number(&self) -> Option<u64> {
        match self {
            Raw::Integer(number) => u64::try_from(*number).ok(),
            Raw::Text(text) => digits(text),
            _ => None,
        }
    }

    /// As an error shows it.
    pub fn shown(&self) -> String {
        match self {
            Raw::Text(text) => text.escape_debug().to_string(),
            Raw::String(text) => quoted(text),
            Raw::Integer(number) => number.to_string(),
            Raw::Boolean(value) => value.to_string(),
            Raw::List(items) => format!("[{}]", items.iter().map(Raw::shown).collect::<Vec<_>>().join(", ")),
            Raw::Other(kind) => format!("({kind})"),
        }
    }
}

/// A type that a setting may have.
pub trait Value: Sized {
    /// What is expected, for people: "a length such as `30d`".
    fn form() -> String;
    /// Reads the value; `None` when it has not that form.
    fn read(raw: &Raw) -> Option<Self>;
    /// Writes it as TOML; `None` when it is absent.
    fn write(&self) -> Option<String>;
    /// Resolves relative paths against the directory of the file that names them.
    fn rebase(&mut self, _base: &Path) {}
    /// The word that turns an optional setting off.
    const OFF: Option<&'static str> = None;
}

/// A closed set of words.
pub trait Choice: Copy + PartialEq + 'static {
    /// Every word and what it stands for.
    const ALL: &'static [(&'static str, Self)];
}

impl<T: Choice> Value for T {
    fn form() -> String {
        let words: Vec<String> = T::ALL.iter().map(|(word, _)| format!("`{word}`")).collect();
        format!("one of {}", words.join(", "))
    }
    fn read(raw: &Raw) -> Option<Self> {
        let text = raw.text()?;
        T::ALL.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)).map(|(_, value)| *value)
    }
    fn write(&self) -> Option<String> {
        T::ALL.iter().find(|(_, value)| value == self).map(|(word, _)| quoted(word))
    }
}

impl<T: Value> Value for Option<T> {
    fn form() -> String {
        match T::OFF {
            Some(word) => format!("{}, or `{word}`", T::form()),
            None => T::form(),
        }
    }
    fn read(raw: &Raw) -> Option<Self> {
        if T::OFF.is_some() && raw.text() == T::OFF {
            return Some(None);
        }
        T::read(raw).map(Some)
    }
    fn write(&self) -> Option<String> {
        match self {
            Some(value) => value.write(),
            None => T::OFF.map(quoted),
        }
    }
    fn rebase(&mut self, base: &Path) {
        if let Some(value) = self {
            value.rebase(base);
        }
    }
}

/// In variables and flags a list is separated by commas.
impl<T: Value> Value for Vec<T> {
    fn form() -> String {
        format!("a list, each {}", T::form())
    }
    fn read(raw: &Raw) -> Option<Self> {
        match raw {
            Raw::List(items) => items.iter().map(T::read).collect(),
            Raw::Text(text) => text
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(|item| T::read(&Raw::Text(item.to_owned())))
                .collect(),
            _ => None,
        }
    }
    fn write(&self) -> Option<String> {
        Some(format!("[{}]", self.iter().filter_map(Value::write).collect::<Vec<_>>().join(", ")))
    }
    fn rebase(&mut self, base: &Path) {
        self.iter_mut().for_each(|item| item.rebase(base));
    }
}

impl Value for bool {
    fn form() -> String {
        "`true` or `false`".to_owned()
    }
    fn read(raw: &Raw) -> Option<Self> {
        match raw {
            Raw::Boolean(value) => Some(*value),
            Raw::Text(text) => text.parse().ok(),
            _ => None,
        }
    }
    fn write(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Value for u32 {
    fn form() -> String {
        "a whole number".to_owned()
    }
    fn read(raw: &Raw) -> Option<Self> {
        u32::try_from(raw.number()?).ok()
    }
    fn write(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Value for u16 {
    fn form() -> String {
        "a whole number from 0 to 65535".to_owned()
    }
    fn read(raw: &Raw) -> Option<Self> {
        u16::try_from(raw.number()?).ok()
    }
    fn write(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Value for usize {
    fn form() -> String {
        u32::form()
    }
    fn read(raw: &Raw) -> Option<Self> {
        u32::read(raw).and_then(|number| usize::try_from(number).ok())
    }
    fn write(&self) -> Option<String> {
        Some(self.to_string())
    }
}

const SIZES: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// A size in bytes. A bare number is refused: nobody agrees on what it counts.
impl Value for u64 {
    fn form() -> String {
        "a size such as `64KiB`, `10MiB` or `512B`".to_owned()
    }
    fn read(raw: &Raw) -> Option<Self> {
        let text = raw.text()?;
        let (number, unit) = SIZES.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit)))?;
        digits(number.trim_end())?.checked_mul(unit)
    }
    fn write(&self) -> Option<String> {
        let (name, unit) =
            SIZES.iter().find(|(_, unit)| *self >= *unit && self.is_multiple_of(*unit)).unwrap_or(&SIZES[3]);
        Some(quoted(&format!("{}{name}", self / unit)))
    }
}

const LENGTHS: [(&str, u64); 4] = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];

/// A length of time in whole seconds, at most a hundred years. A bare number is refused, as for sizes.
impl Value for Duration {
    fn form() -> String {
        "a length of time such as `30d`, `12h`, `10m` or `90s`".to_owned()
    }
    fn read(raw: &Raw) -> Option<Self> {
        const LONGEST: u64 = 36_525 * 86_400;
        let text = raw.text()?;
        let (number, unit) = LENGTHS.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit)))?;
        let seconds = digits(number)?.checked_mul(unit)?;
        (seconds <= LONGEST).then(|| Duration::from_secs(seconds))
    }
    fn write(&self) -> Option<String> {
        let seconds = self.as_secs();
        let (name, unit) =
            LENGTHS.iter().find(|(_, unit)| seconds >= *unit && seconds.is_multiple_of(*unit)).unwrap_or(&LENGTHS[3]);
        Some(quoted(&format!("{}{name}", seconds / unit)))
    }
}

impl Value for String {
    fn form() -> String {
        "a text".to_owned()
    }
    fn read(raw: &Raw) -> Option<Self> {
        raw.text().map(str::to_owned)
    }
    fn write(&self) -> Option<String> {
        Some(quoted(self))
    }
}

impl Value for PathBuf {
    fn form() -> String {
        "a path".to_owned()
    }
    fn read(raw: &Raw) -> Option<Self> {
        raw.text().filter(|text| !text.is_empty() && !text.contains('\0')).map(PathBuf::from)
    }
    fn write(&self) -> Option<String> {
        Some(quoted(&self.to_string_lossy()))
    }
    fn rebase(&mut self, base: &Path) {
        *self = base.join(&self);
    }
}

impl Value for Retain {
    fn form() -> String {
        "`session`, `forever`, or a number of days such as `days 30`".to_owned()
    }
    fn read(raw: &Raw) -> Option<Self> {
        match raw.text()? {
            "session" => Some(Retain::Session),
            "forever" => Some(Retain::Forever),
            text => {
                let number = text.strip_prefix("days ").or_else(|| text.strip_suffix('d'))?;
                digits(number)
                    .and_then(|days| u32::try_from(days).ok())
                    .filter(|days| *days <= 36_525)
                    .map(Retain::Days)
            }
        }
    }
    fn write(&self) -> Option<String> {
        Some(match self {
            Retain::Session => quoted("session"),
            Retain::Forever => quoted("forever"),
            Retain::Days(days) => quoted(&format!("days {days}")),
        })
    }
}

impl Value for SocketAddr {
    fn form() -> String {
        "an address and port such as `127.0.0.1:8080` or `[::]:8080`".to_owned()
    }
    fn read(raw: &Raw) -> Option<Self> {
        raw.text()?.parse().ok()
    }
    fn write(&self) -> Option<String> {
        Some(quoted(&self.to_string()))
    }
    const OFF: Option<&'static str> = Some("off");
}

/// A bare address is the network of that one address.
impl Value for IpNet {
    fn form() -> String {
        "a network such as `10.0.0.0/8`, or an address".to_owned()
    }
    fn read(raw: &Raw) -> Option<Self> {
        let text = raw.text()?;
        let network: IpNet =
            text.parse().ok().or_else(|| text.parse().ok().map(|ip: std::net::IpAddr| IpNet::from(ip)))?;
        Some(network.trunc())
    }
    fn write(&self) -> Option<String> {
        Some(quoted(&self.to_string()))
    }
}

impl Value for Origin {
    fn form() -> String {
        "an exact origin such as `https://app.example` (scheme, host, port; no path, no `*`)".to_owned()
    }
    fn read(raw: &Raw) -> Option<Self> {
        raw.text()?.parse().ok()
    }
    fn write(&self) -> Option<String> {
        Some(quoted(self.as_str()))
    }
}

impl Value for PublicUrl {
    fn form() -> String {
        "`http://` or `https://`, a host and perhaps a port, such as `https://media.example` (no path)".to_owned()
    }
    fn read(raw: &Raw) -> Option<Self> {
        raw.text()?.parse().ok()
    }
    fn write(&self) -> Option<String> {
        Some(quoted(&self.to_string()))
    }
}

fn digits(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

/// A TOML basic string.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text<T: Value>(text: &str) -> Option<T> {
        T::read(&Raw::Text(text.to_owned()))
    }

    #[test]
    fn lengths_and_sizes_are_read_with_their_unit_and_refused_without() {
        for (written, seconds) in [("30d", 2_592_000), ("12h", 43_200), ("10m", 600), ("90s", 90), ("0s", 0)] {
            assert_eq!(text(written), Some(Duration::from_secs(seconds)), "{written}");
        }
        for written in ["", "30", "d", "30 d", "-1d", "+1d", "1.5h", "30D", "1w", "99999999999999999999d", "36526d"] {
            assert_eq!(text::<Duration>(written), None, "{written}");
        }
        for (written, bytes) in
            [("64KiB", 65_536), ("1MiB", 1 << 20), ("2GiB", 1 << 31), ("512B", 512), ("4 KiB", 4096)]
        {
            assert_eq!(text::<u64>(written), Some(bytes), "{written}");
        }
        for written in ["", "64", "64kb", "64K", "KiB", "-1B", "99999999999999999GiB"] {
            assert_eq!(text::<u64>(written), None, "{written}");
        }
    }

    #[test]
    fn what_is_written_reads_back_the_same() {
        fn round<T: Value + PartialEq + std::fmt::Debug>(value: T) {
            let written = format!("x = {}", value.write().unwrap_or_default());
            let table: toml::Table = toml::from_str(&written).unwrap_or_default();
            let raw = match &table["x"] {
                toml::Value::String(text) => Raw::String(text.clone()),
                toml::Value::Boolean(value) => Raw::Boolean(*value),
                toml::Value::Integer(number) => Raw::Integer(*number),
                other => Raw::Other(other.type_str()),
            };
            assert_eq!(T::read(&raw), Some(value), "{written}");
        }
        for seconds in [0, 1, 59, 60, 61, 3_600, 5_400, 86_400, 90_000] {
            round(Duration::from_secs(seconds));
        }
        for bytes in [0, 1, 1023, 1024, 1025, 1 << 20, (1 << 30) + 1] {
            round::<u64>(bytes);
        }
        for retain in [Retain::Session, Retain::Days(30), Retain::Forever] {
            round(retain);
        }
        round("a \"quoted\" \\ line\nand another".to_owned());
        round::<Option<SocketAddr>>(None);
    }

    #[test]
    fn a_list_from_a_variable_is_separated_by_commas() {
        assert_eq!(text("a, b,,c"), Some(vec!["a".to_owned(), "b".to_owned(), "c".to_owned()]));
        assert_eq!(
            text("10.1.2.3/8,::1").map(|nets: Vec<IpNet>| nets.iter().map(ToString::to_string).collect::<Vec<_>>()),
            Some(vec!["10.0.0.0/8".to_owned(), "::1/128".to_owned()])
        );
        assert_eq!(text::<Vec<IpNet>>("10.0.0.0/8,nonsense"), None);
    }
}
