//! Accounts from a terminal.

use super::table::{plain, table};
use super::{CommandError, Output, Password};
use crate::accounts::{self, Account, Buckets, Role, Standing, username, username::Username};
use crate::admin::{self, AdminError, Change, NewAccount};
use crate::audit::{Entry, Event, Outcome};
use crate::cx::Cx;
use crate::devices::{self, DecideError};
use crate::id::SessionId;
use crate::login::links::{Gifts, MadeLink};
use crate::login::throttle;
use crate::sessions::{self, EndReason, Which};
use crate::time::Time;
use serde_json::{Value, json};
use std::collections::BTreeSet;

type Said = Result<Output, CommandError>;

/// An account that is asked for.
pub struct New {
    /// Its name.
    pub name: String,
    /// Whether it may manage others.
    pub admin: bool,
    /// Its buckets.
    pub buckets: Vec<String>,
    /// Its password.
    pub password: Password,
    /// Whether the first login must choose another.
    pub must_change: bool,
}

/// Makes an account.
pub async fn add(cx: &Cx, asked: New) -> Said {
    let username = Username::parse(&asked.name).map_err(|error| CommandError::new("username_invalid", error))?;
    let note = unknown_buckets(cx, &asked.buckets);
    let (shown, role) = (username.display().to_owned(), if asked.admin { Role::Admin } else { Role::User });
    let new = NewAccount {
        username,
        password: Some(asked.password.0),
        must_change: asked.must_change,
        role,
        buckets: Buckets::from_names(asked.buckets),
        groups: BTreeSet::new(),
        display_name: None,
    };
    let made = admin::create(cx, new).await?;
    let what = if asked.admin { "admin" } else { "account" };
    Ok(Output {
        text: format!("{what} {} was made{note}", plain(&shown)),
        value: json!({ "id": made.id, "username": shown, "role": role.word() }),
    })
}

/// Judges and hashes a new password.
async fn hashed(cx: &Cx, name: &str, password: Password) -> Result<String, CommandError> {
    let weak = crate::login::weaknesses(cx, &password.0, &[name]).await;
    if !weak.is_empty() {
        let sentences: Vec<String> = weak.iter().map(ToString::to_string).collect();
        let what = format!("this password cannot be used. {}", sentences.join(" "));
        return Err(CommandError::new("password_too_weak", what));
    }
    cx.app.hasher.hash(password.0).await.map_err(|busy| CommandError::new(CommandError::UNAVAILABLE, busy))
}

/// The buckets among `asked` that are not configured: they may come later, or be a slip. None when no bucket is known,
/// as to a command that works without the server.
pub fn unknown_buckets_of<'a>(cx: &Cx, asked: &'a [String]) -> Vec<&'a str> {
    let known = cx.app.media.buckets.names();
    let unknown = asked.iter().filter(|name| *name != "all" && !known.contains(name)).map(String::as_str);
    if known.is_empty() { Vec::new() } else { unknown.collect() }
}

/// A remark about such buckets.
pub fn unknown_buckets(cx: &Cx, asked: &[String]) -> String {
    let unknown = unknown_buckets_of(cx, asked);
    if unknown.is_empty() {
        return String::new();
    }
    let known = cx.app.media.buckets.names();
    format!("\nNo bucket is called {} now; there are: {}", plain(&unknown.join(", ")), known.join(", "))
}

/// The account of this name, in any spelling.
pub async fn find(cx: &Cx, name: &str) -> Result<Account, CommandError> {
    let found = match username::lookup_key(name) {
        Some(key) => accounts::find_by_key(&cx.app.db, &key).await?,
        None => None,
    };
    found.ok_or_else(|| {
        CommandError::new("not_found", format!("there is no account called {}; see `usher user list`", plain(name)))
    })
}

/// Lists accounts.
pub async fn list(cx: &Cx, part: &str) -> Said {
    let mut found: Vec<Account> = Vec::new();
    let part = part.to_lowercase();
    let mut after = String::new();
    loop {
        let page = accounts::list(&cx.app.db, &after, &part, 500).await?;
        let Some(last) = page.last() else { break };
        after = accounts::key_of(&cx.app.db, last.id).await?.unwrap_or_default();
        let full = page.len() == 500;
        found.extend(page);
        if !full || after.is_empty() {
            break;
        }
    }
    let rows: Vec<Vec<String>> = found
        .iter()
        .map(|account| {
            let last = account.last_login_at.map_or_else(|| "never".to_owned(), short);
            vec![account.username.clone(), account.role.word().to_owned(), standing(account).to_owned(), last]
        })
        .collect();
    Ok(Output {
        text: table(&["USERNAME", "ROLE", "STATE", "LAST LOGIN"], &rows),
        value: Value::Array(found.iter().map(facts).collect()),
    })
}

fn standing(account: &Account) -> &'static str {
    match account.standing {
        Standing::Active if account.must_change_at.is_some() => "must change password",
        Standing::Active => "active",
        Standing::Disabled { .. } => "disabled",
    }
}

/// Minutes are enough for a table.
pub fn short(at: Time) -> String {
    at.rfc3339().chars().take(16).map(|c| if c == 'T' { ' ' } else { c }).collect()
}

fn facts(account: &Account) -> Value {
    json!({
        "id": account.id,
        "username": account.username,
        "role": account.role.word(),
        "disabled": matches!(account.standing, Standing::Disabled { .. }),
        "must_change_password": account.must_change_at.is_some(),
        "created_at": account.created_at,
        "last_login_at": account.last_login_at,
    })
}

/// Shows one account.
pub async fn show(cx: &Cx, name: &str) -> Said {
    let account = find(cx, name).await?;
    let db = &cx.app.db;
    let own = if account.every_bucket {
        vec!["all".to_owned()]
    } else {
        accounts::buckets_of(db, &account.id.to_string()).await?.into_iter().collect()
    };
    let groups: Vec<String> = accounts::groups_of(db, account.id).await?.into_iter().map(|group| group.name).collect();
    let live = sessions::own::list(cx, account.id).await?.len();
    let or_none = |names: &[String]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let last = account.last_login_at.map_or_else(|| "never".to_owned(), |at| at.rfc3339());
    let rows = [
        ("username", account.username.clone()),
        ("id", account.id.to_string()),
        ("role", account.role.word().to_owned()),
        ("state", standing(&account).to_owned()),
        ("buckets", or_none(&own)),
        ("groups", or_none(&groups)),
        ("sessions", live.to_string()),
        ("created", account.created_at.rfc3339()),
        ("last login", last),
    ];
    let lines: Vec<String> = rows.iter().map(|(key, value)| format!("{key:<11} {}", plain(value))).collect();
    let mut value = facts(&account);
    value["buckets"] = json!(own);
    value["groups"] = json!(groups);
    value["sessions"] = json!(live);
    Ok(Output { text: lines.join("\n"), value })
}

/// Sets a password. Whoever knew the old one is out, and a delay from guesses is lifted.
pub async fn password(cx: &Cx, name: &str, password: Password, must_change: bool) -> Said {
    let account = find(cx, name).await?;
    let encoded = hashed(cx, &account.username, password).await?;
    let username = account.username.clone();
    let (id, now) = (account.id, cx.now);
    let entry =
        Entry::new(cx, Event::PasswordChanged, Outcome::Done).of(id).target(&account.username).detail("command line");
    let ended = cx.write("command.user_password", async move |tx| {
        if let Err(error) = accounts::set_password(tx, id, &encoded, must_change, now).await? {
            return Ok(Err(error));
        }
        let ended = sessions::end(tx, Which::All(id), EndReason::PasswordChanged, now).await?;
        throttle::forgive(tx, id, &username).await?;
        entry.record(tx).await?;
        Ok(Ok(ended.len()))
    });
    let ended = ended.await??;
    Ok(Output {
        text: format!("the password of {} was set; {ended} of its sessions ended", account.username),
        value: json!({ "username": account.username, "sessions_ended": ended }),
    })
}

/// Gives a role.
pub async fn role(cx: &Cx, name: &str, role: &str) -> Said {
    let role: Role = role.parse().map_err(|error| CommandError::new("role_invalid", error))?;
    let account = find(cx, name).await?;
    admin::change(cx, account.id, Change { role: Some(role), ..Change::default() }).await?;
    let text = format!("{} has the role {role} now", account.username);
    Ok(Output { text, value: json!({ "username": account.username, "role": role.word() }) })
}

/// Forgets the wrong passwords that were tried at an account.
pub async fn forgive(cx: &Cx, name: &str) -> Said {
    let account = find(cx, name).await?;
    let guessed = throttle::guessed(cx, &account.username).await?.map_or(0, |guessed| guessed.failures);
    admin::forgive(cx, account.id).await?;
    Ok(Output {
        text: format!("{guessed} wrong passwords for {} are forgotten; it can log in at once", account.username),
        value: json!({ "username": account.username, "forgotten": guessed }),
    })
}

/// Makes an invitation and tells its link, this once.
pub async fn invite(cx: &Cx, groups: Vec<String>, asked: Vec<String>, note: &str) -> Said {
    let mut ids = BTreeSet::new();
    for name in &groups {
        ids.insert(super::groups::find(cx, name).await?.id);
    }
    let remark = unknown_buckets(cx, &asked);
    let gifts = Gifts { groups: ids, buckets: Buckets::from_names(asked) };
    let buckets = gifts.buckets.names();
    let made = admin::make_invite(cx, &plain(note), gifts).await?;
    let url = address(cx, &made);
    Ok(Output {
        text: format!("{url}\nIt makes one account, once, until {}.{remark}", short(made.link.expires_at)),
        value: json!({
            "id": made.link.id, "url": url, "expires_at": made.link.expires_at, "groups": groups, "buckets": buckets,
        }),
    })
}

/// The address of a link that was made just now.
pub fn address(cx: &Cx, made: &MadeLink) -> String {
    match &cx.app.config.server.public_url {
        Some(_) => cx.absolute(&made.path),
        None => format!("http://localhost:{}{}", cx.app.config.server.listen.port(), made.path.as_str()),
    }
}

/// Shuts an account out and ends everything it has, in one commit.
pub async fn disable(cx: &Cx, name: &str) -> Said {
    let account = find(cx, name).await?;
    admin::change(cx, account.id, Change { disabled: Some(true), ..Change::default() }).await?;
    Ok(Output {
        text: format!("{} is disabled, and everything it had has ended", account.username),
        value: json!({ "username": account.username, "disabled": true }),
    })
}

/// Lets an account in again. What was ended stays ended.
pub async fn enable(cx: &Cx, name: &str) -> Said {
    let account = find(cx, name).await?;
    admin::change(cx, account.id, Change { disabled: Some(false), ..Change::default() }).await?;
    Ok(Output {
        text: format!("{} is enabled and has to log in again", account.username),
        value: json!({ "username": account.username, "disabled": false }),
    })
}

/// Removes an account and all it owns.
pub async fn delete(cx: &Cx, name: &str) -> Said {
    let account = find(cx, name).await?;
    admin::delete(cx, account.id).await?;
    Ok(Output {
        text: format!("{} and all it owned is gone", account.username),
        value: json!({ "username": account.username }),
    })
}

/// Replaces an account's own buckets.
pub async fn buckets(cx: &Cx, name: &str, asked: Vec<String>) -> Said {
    let account = find(cx, name).await?;
    let note = unknown_buckets(cx, &asked);
    let buckets = Buckets::from_names(asked);
    let names = buckets.names();
    let shown = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    admin::change(cx, account.id, Change { buckets: Some(buckets), ..Change::default() }).await?;
    Ok(Output {
        text: format!("buckets of {}: {}{note}", account.username, plain(&shown)),
        value: json!({ "username": account.username, "buckets": names }),
    })
}

/// Lists an account's sessions.
pub async fn sessions(cx: &Cx, name: &str) -> Said {
    let account = find(cx, name).await?;
    let live = sessions::own::list(cx, account.id).await?;
    let rows: Vec<Vec<String>> = live
        .iter()
        .map(|session| {
            vec![
                session.id.to_string(),
                session.kind.word().to_owned(),
                session.label.clone(),
                session.address.clone(),
                short(session.created_at),
                short(session.last_used_at),
            ]
        })
        .collect();
    let value = live.iter().map(|session| {
        json!({
            "id": session.id, "kind": session.kind.word(), "device": session.label, "address": session.address,
            "created_at": session.created_at, "last_used_at": session.last_used_at,
        })
    });
    let text = if rows.is_empty() {
        format!("{} is logged in nowhere", account.username)
    } else {
        table(&["SESSION", "KIND", "DEVICE", "ADDRESS", "BEGAN", "LAST USED"], &rows)
    };
    Ok(Output { text, value: Value::Array(value.collect()) })
}

/// Lets the device in that shows `code`. Its session begins when it next asks.
pub async fn link(cx: &Cx, name: &str, code: &str) -> Said {
    let account = find(cx, name).await?;
    let linked = devices::approve_as(cx, account.id, code).await.map_err(|error| match error {
        DecideError::Unknown => {
            let what = "no device shows this code, or not any more; the account may be disabled, too";
            CommandError::new("not_found", what)
        }
        DecideError::RateLimited(_) => CommandError::new("rate_limited", error),
        DecideError::Storage(error) => error.into(),
    })?;
    Ok(Output {
        text: format!(
            "{} at {} is logged in as {} when it next asks",
            plain(&linked.label),
            linked.address,
            account.username
        ),
        value: json!({ "username": account.username, "device": linked.label, "address": linked.address }),
    })
}

/// Ends one session of an account, or all. Idempotent.
pub async fn logout(cx: &Cx, name: &str, session: Option<&str>) -> Said {
    let account = find(cx, name).await?;
    let text = match session {
        None => format!("{} sessions of {} ended", admin::end_sessions(cx, account.id).await?, account.username),
        Some(text) => {
            let unknown =
                || CommandError::new("not_found", "that is no session of this account; see `usher user sessions NAME`");
            let id = text.parse::<SessionId>().map_err(|_| unknown())?;
            admin::end_session(cx, Some(account.id), id).await.map_err(|error| match error {
                AdminError::NotFound => unknown(),
                other => other.into(),
            })?;
            format!("session {id} of {} has ended", account.username)
        }
    };
    Ok(Output { text, value: json!({ "username": account.username }) })
}
