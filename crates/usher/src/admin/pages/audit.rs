//! The audit log, with its filter.

use super::Names;
use crate::accounts::{self, username};
use crate::admin::one_page;
use crate::audit::{self, Event, Filter, Outcome, Recorded};
use crate::cx::Cx;
use crate::http::extract::{AdminPage, Query};
use crate::http::failure::Failure;
use crate::http::page::{shell, show, when};
use crate::id::{AccountId, EventId};
use crate::pages::{AuditLine, AuditPage, AuditResult, Choice, Nav, Problem, Problems, href};
use crate::time::Time;
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;

/// Events on one page.
const LINES: u32 = 100;

/// Which events to show.
#[derive(Deserialize)]
pub struct AuditQuery {
    #[serde(default)]
    event: String,
    /// A name, or an id.
    #[serde(default)]
    account: String,
    /// A day, `YYYY-MM-DD`, UTC.
    #[serde(default)]
    since: String,
    before: Option<EventId>,
}

/// The audit log. A filter that cannot be read shows nothing and says why.
pub async fn list(AdminPage(cx): AdminPage, Query(query): Query<AuditQuery>) -> Result<Response, Failure> {
    let mut problems = Vec::new();
    let known = Event::ALL.iter().any(|event| event.word() == query.event);
    if !query.event.is_empty() && !known {
        problems.push(Problem { field: "", text: "There is no such kind of event.".to_owned() });
    }
    let account = account(&cx, &query.account).await?;
    if account.is_none() && !query.account.trim().is_empty() {
        problems.push(Problem { field: "account", text: "There is no account of this name.".to_owned() });
    }
    let since = day(&query.since);
    if since.is_none() && !query.since.is_empty() {
        problems.push(Problem { field: "since", text: "Enter a day, such as 2026-01-31.".to_owned() });
    }
    let event = (!query.event.is_empty()).then(|| query.event.clone());
    let filter = Filter { event, account, since, before: query.before };
    let events = if problems.is_empty() { audit::list(&cx.app.db, &filter, LINES + 1).await? } else { Vec::new() };
    let (events, next) = one_page(events, LINES, |event| event.id.to_string());
    let status = if problems.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };

    let here = |before: &str| {
        let fields = [("event", &*query.event), ("account", &*query.account), ("since", &*query.since)];
        href::query("/admin/audit", &[fields.as_slice(), &[("before", before)]].concat())
    };
    let whole = |format: &str| {
        let account = account.map(|account| account.to_string()).unwrap_or_default();
        let since = since.map(Time::rfc3339).unwrap_or_default();
        let fields = [("format", format), ("event", &*query.event), ("account", &*account), ("since", &*since)];
        let given: Vec<(&str, &str)> = fields.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        href::query("/api/v1/audit/export", &given)
    };
    let page = AuditPage {
        csv: whole("csv"),
        jsonl: whole("jsonl"),
        shell: shell(&cx, Nav::Admin),
        problems: Problems(problems),
        events: Event::ALL.iter().map(|event| choice(event.word(), &query.event)).collect(),
        next: next.map(|before| here(&before)),
        first: query.before.map(|_| here("")),
        lines: lines(&cx, events).await?,
        account: query.account,
        since: query.since,
    };
    Ok(show(status, &page))
}

async fn account(cx: &Cx, text: &str) -> Result<Option<AccountId>, Failure> {
    // An id also finds what is told of an account that is gone.
    if let Ok(id) = text.trim().parse::<AccountId>() {
        return Ok(Some(id));
    }
    match username::lookup_key(text) {
        Some(key) => Ok(accounts::find_by_key(&cx.app.db, &key).await?.map(|account| account.id)),
        None => Ok(None),
    }
}

fn day(text: &str) -> Option<Time> {
    let day: jiff::civil::Date = text.parse().ok()?;
    let midnight = day.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(Time(midnight.timestamp().as_millisecond()))
}

/// `account_created` as people read it: `Account created`.
fn words(event: &str) -> String {
    let spaced = event.replace('_', " ");
    let mut chars = spaced.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

fn choice(event: &str, chosen: &str) -> Choice {
    Choice { value: event.to_owned(), label: words(event), chosen: event == chosen }
}

async fn lines(cx: &Cx, events: Vec<Recorded>) -> Result<Vec<AuditLine>, Failure> {
    let mut names = Names::new(cx);
    let mut lines = Vec::with_capacity(events.len());
    for event in events {
        let who = match event.actor {
            Some(actor) => names.of(actor).await?,
            None => without_account(&event.request).to_owned(),
        };
        // What it was done to: as written, else the account it is about.
        let target = match event.account.filter(|account| event.actor != Some(*account)) {
            _ if !event.target.is_empty() => event.target,
            Some(account) => names.of(account).await?,
            None => String::new(),
        };
        lines.push(AuditLine {
            when: when(event.at, cx.now),
            who,
            what: words(&event.event),
            target,
            address: event.address,
            result: if event.result == Outcome::Done.word() { AuditResult::Done } else { AuditResult::Refused },
            why: event.detail,
        });
    }
    Ok(lines)
}

/// Who did what no account did: commands call themselves by these names, and requests by random ones.
fn without_account(request: &str) -> &'static str {
    match request {
        "apply" => "usher apply",
        "command-line" => "The command line",
        _ => "Nobody known",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_told_in_words() {
        assert_eq!(words("account_created"), "Account created");
        assert_eq!(words(""), "");
    }

    #[test]
    fn a_day_begins_at_midnight_in_utc() {
        assert_eq!(day("2026-01-01"), Some(Time(1_767_225_600_000)));
        assert_eq!(day("yesterday"), None);
    }
}
