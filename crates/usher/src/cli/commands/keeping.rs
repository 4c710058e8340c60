//! Keys, copies and the state of the installation.

use super::table::{plain, table};
use super::users::short;
use super::{CommandError, Output};
use crate::admin::explain;
use crate::audit::{Entry, Event, Outcome};
use crate::cx::Cx;
use crate::declared;
use crate::login::passkeys;
use crate::tokens::{self, KeyState, live::KeysError};
use serde_json::{Value, json};
use std::path::Path;

/// Lists signing keys.
pub fn keys(cx: &Cx) -> Result<Output, CommandError> {
    let states = cx.app.keys.states();
    let told = |state: KeyState| match state {
        KeyState::Next { published_at } => ("next", published_at, None),
        KeyState::Current { since } => ("current", since, None),
        KeyState::Retired { at, until } => ("retired", at, Some(until)),
    };
    let rows: Vec<Vec<String>> = states
        .iter()
        .map(|(kid, algorithm, state)| {
            let (word, since, until) = told(*state);
            let until = until.map(short).unwrap_or_default();
            vec![kid.clone(), algorithm.name().to_owned(), word.to_owned(), short(since), until]
        })
        .collect();
    let value = states.iter().map(|(kid, algorithm, state)| {
        let (word, since, until) = told(*state);
        json!({ "kid": kid, "algorithm": algorithm.name(), "state": word, "since": since, "verifies_until": until })
    });
    Ok(Output {
        text: table(&["KEY", "ALGORITHM", "STATE", "SINCE", "VERIFIES UNTIL"], &rows),
        value: Value::Array(value.collect()),
    })
}

/// Makes the next signing key current.
pub async fn rotate(cx: &Cx, now: bool) -> Result<Output, CommandError> {
    let kid = tokens::live::rotate(cx, now).await.map_err(|error| match error {
        KeysError::Storage(error) => CommandError::from(error),
        KeysError::TooSoon(soon) => CommandError::new(
            "too_soon",
            format!("{soon}. Who holds an older copy of the key set would refuse new tokens; --now does it anyway"),
        ),
        other => CommandError::new("internal", other),
    })?;
    Ok(Output { text: format!("{kid} signs from now on"), value: json!({ "kid": kid }) })
}

/// Writes a consistent copy of the database, and says so in the audit log of the original.
pub async fn backup(cx: &Cx, to: &Path) -> Result<Output, CommandError> {
    let failed = |error: usher_db::Error| {
        CommandError::new(
            "backup_failed",
            format!(
                "no copy was made: {error}. While a server runs, its own user writes the copy: name a place where it may"
            ),
        )
    };
    cx.app.db.backup(to).await.map_err(failed)?;
    let entry = Entry::new(cx, Event::BackupMade, Outcome::Done).target(to.display());
    cx.write("command.backup", async move |tx| entry.record(tx).await).await?;
    let bytes = std::fs::metadata(to).map_or(0, |found| found.len());
    Ok(Output {
        text: format!("the database was copied to {} ({bytes} bytes)", to.display()),
        value: json!({ "file": to, "bytes": bytes }),
    })
}

/// How the installation is, for `doctor` and for whoever asks.
pub async fn status(cx: &Cx) -> Result<Output, CommandError> {
    let app = &cx.app;
    let passkeys = passkeys::by_party(&app.db).await?;
    let stats = app.db.stats();
    let buckets = app.media.buckets.all();
    let missing: Vec<Value> = buckets
        .iter()
        .filter_map(|bucket| Some(json!({ "name": bucket.name, "path": bucket.path, "why": bucket.missing()? })))
        .collect();
    let hidden: Vec<Value> = declared::live::hidden(app)
        .await?
        .into_iter()
        .map(|(kind, name, owner)| json!({ "kind": kind, "name": name, "declared_by": owner }))
        .collect();
    let value = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "address": app.config.server.listen,
        "now": cx.now,
        "writes_failing": stats.last_error,
        "broken": stats.broken,
        "sessions_in_memory": app.sessions.len(),
        "transfers": app.media.transfers.count(),
        "passkeys": passkeys,
        "missing_buckets": missing,
        "hidden": hidden,
    });
    Ok(Output { text: value.to_string(), value })
}

/// Says why a request was refused: what the running server remembers, and what the audit log holds.
pub async fn explain(cx: &Cx, request: &str) -> Result<Output, CommandError> {
    let Some(known) = explain::explain(cx, request).await? else {
        let text = format!(
            "nothing is known of the request {}: a running server remembers its last refusals, and the audit log what \
             was done",
            plain(request)
        );
        return Err(CommandError::new("not_found", text));
    };
    let mut lines = Vec::new();
    if let Some(refused) = &known.refused {
        lines.push(refused.why.as_deref().unwrap_or(&refused.told).to_owned());
        let (route, status, code) = (&refused.route, refused.status, &refused.code);
        lines.push(format!("{}  {route} from {} answered {status} {code}", refused.at.rfc3339(), refused.address));
        lines.push(format!("told: {}", refused.told));
    }
    lines.extend(known.events.iter().map(|event| {
        format!("{}  {} {}  {}  {}", event.at.rfc3339(), event.event, event.result, event.target, event.detail)
    }));
    let text = lines.iter().map(|line| plain(line.trim_end())).collect::<Vec<_>>().join("\n");
    Ok(Output { text, value: json!({ "refused": known.refused, "events": known.events }) })
}
