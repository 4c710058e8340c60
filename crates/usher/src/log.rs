//! Log lines: one event, one line, whoever chose the words in it.
//!
//! Promises: in both formats a control character, a line separator or a bidirectional mark in a value is written as an
//! escape, so that nobody who logs in as "x\nWARN …" writes a line of their own. Fields of the event come before
//! fields of its request, so that the beginning of a line is ours alone; `packaging/fail2ban` relies on it.
//! Refuses: nothing here ever holds a secret; who has one does not log it.

use crate::config::{Format, Log};
use std::fmt::{self, Write as _};
use std::io;
use std::net::IpAddr;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::{RecordFields, VisitOutput};
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormattedFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

/// Logs to standard error from now on. False when something else in the process logs already.
pub fn init(log: &Log) -> bool {
    tracing::subscriber::set_global_default(subscriber(log, std::io::stderr)).is_ok()
}

/// The subscriber that writes to `to`. A level that cannot be read was refused with the configuration; here it
/// counts as `info`.
pub fn subscriber<W>(log: &Log, to: W) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = log.level.parse::<EnvFilter>().unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false);
    match log.format {
        Format::Text => Box::new(lines.with_writer(to).event_format(Line).fmt_fields(Plain).finish()),
        Format::Json => {
            let lines = lines.with_writer(Unbent(to));
            Box::new(lines.json().flatten_event(true).with_current_span(true).with_span_list(false).finish())
        }
    }
}

/// One failed login, in the shape that `packaging/fail2ban/usher.conf` matches: the address before anything that the
/// caller chose. `address` is the client behind trusted proxies, never the proxy. `account` is
/// an account's name, or empty: what is no name of ours may be a password in the wrong field.
pub fn login_failed(address: IpAddr, account: &str, reason: &'static str) {
    let account: String = account.chars().take(64).collect();
    tracing::warn!(
        target: "usher::login",
        event = "login_failed",
        address = %address.to_canonical(),
        reason = reason,
        account = account.as_str(),
    );
}

/// `2026-11-23T10:00:00.000000Z  WARN usher::login: event="login_failed" address=…`
struct Line;

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, ctx: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        SystemTime.format_time(&mut to)?;
        let metadata = event.metadata();
        write!(to, " {:>5} {}: ", metadata.level(), metadata.target())?;
        ctx.format_fields(to.by_ref(), event)?;
        for span in ctx.event_scope().into_iter().flatten() {
            if let Some(fields) = span.extensions().get::<FormattedFields<N>>().filter(|fields| !fields.is_empty()) {
                write!(to, " {fields}")?;
            }
        }
        writeln!(to)
    }
}

/// Fields as `name=value`, the message bare, everything escaped.
struct Plain;

impl<'w> FormatFields<'w> for Plain {
    fn format_fields<R: RecordFields>(&self, to: Writer<'w>, fields: R) -> fmt::Result {
        let mut fields_out = Fields { to, first: true, result: Ok(()) };
        fields.record(&mut fields_out);
        fields_out.finish()
    }
}

struct Fields<'w> {
    to: Writer<'w>,
    first: bool,
    result: fmt::Result,
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if self.result.is_err() {
            return;
        }
        let gap = if self.first { "" } else { " " };
        self.first = false;
        self.result = match field.name() {
            "message" => self.to.write_str(gap),
            name => write!(self.to, "{gap}{name}="),
        };
        if self.result.is_ok() {
            self.result = write!(Escaping(&mut self.to), "{value:?}");
        }
    }
}

impl VisitOutput<fmt::Result> for Fields<'_> {
    fn finish(self) -> fmt::Result {
        self.result
    }
}

/// Writes through, with everything that could break or bend a line as an escape.
struct Escaping<'a, 'w>(&'a mut Writer<'w>);

impl fmt::Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            if bends(c) {
                write!(self.0, "{}", c.escape_default())?;
            } else {
                self.0.write_char(c)?;
            }
        }
        Ok(())
    }
}

/// Control characters, line separators, and marks that reorder what is read.
fn bends(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{feff}')
}

/// For JSON, whose own rules (RFC 8259 section 7) leave C1 controls and the marks as they are. A line arrives in one
/// write; such characters stand only inside its strings, where an escape means the same.
struct Unbent<W>(W);

impl<'w, W: MakeWriter<'w>> MakeWriter<'w> for Unbent<W> {
    type Writer = Unbent<W::Writer>;
    fn make_writer(&'w self) -> Self::Writer {
        Unbent(self.0.make_writer())
    }
}

impl<W: io::Write> io::Write for Unbent<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let line = String::from_utf8_lossy(bytes);
        if line.chars().all(|c| c == '\n' || !bends(c)) {
            self.0.write_all(bytes)?;
            return Ok(bytes.len());
        }
        let mut straight = String::with_capacity(line.len() + 16);
        for c in line.chars() {
            if c != '\n' && bends(c) {
                straight.push_str(&format!("\\u{:04x}", u32::from(c)));
            } else {
                straight.push(c);
            }
        }
        self.0.write_all(straight.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests;
