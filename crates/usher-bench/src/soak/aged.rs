//! Leavings of two months ago, of every kind that a job sweeps.

use crate::{Told, place};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use usher::accounts::{self, Buckets, NewAccount, Role, username::Username};
use usher::audit::{Entry, Event, Outcome};
use usher::cx::Cx;
use usher::id::AccountId;
use usher::login::{self, links};
use usher::sessions::{self, EndReason, Kind, NewSession, Which, data};
use usher::time::Clock;
use usher::tokens::personal::{NewPersonalToken, Scope};
use zeroize::Zeroizing;

/// Who reads the lists of the administration. The password is everybody's.
pub const ADMIN: &str = "boss";

const AGO: Duration = Duration::from_secs(60 * 24 * 3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Accounts that left something behind.
const PEOPLE: usize = 12;
/// Sessions of each, and as many links, personal tokens and events; few enough for one write.
const EACH: usize = 50;

/// The jobs that find something of it, and what they deal with at least when they had a turn.
const FOUND: [(&str, u64); 6] = [
    ("end what expired", 300),
    ("remove data of ended sessions", 300),
    ("remove ended sessions", 300),
    ("remove old links", 600),
    ("remove old personal tokens", 600),
    ("remove old events", 600),
];

/// The last of them have a turn every five minutes.
const TURNS: Duration = Duration::from_secs(6 * 60);

/// What was not swept although there was time for it.
pub fn left(jobs: &BTreeMap<&str, u64>, length: Duration) -> Vec<String> {
    let due = FOUND.iter().filter(|(job, _)| length >= TURNS || *job == "end what expired");
    let short = due.filter(|(job, least)| jobs.get(job).copied().unwrap_or(0) < *least);
    short.map(|(job, least)| format!("`{job}` dealt with fewer than the {least} that were there")).collect()
}

/// Begins the installation in `data` two months ago.
pub async fn leave_behind(data: &Path) -> Told<()> {
    let then = Clock::manual(Clock::System.now() - AGO);
    let app = place::open_at(data, place::standard()?, then).await?;
    let cx = Cx::internal(&app, "bench");
    let hash = app.hasher.hash(Zeroizing::new(crate::prepare::PASSWORD.to_owned())).await?;
    account(&cx, ADMIN, Role::Admin, &hash).await?;
    for number in 0..PEOPLE {
        let old = account(&cx, &format!("old{number}"), Role::User, &hash).await?;
        sessions_of(&cx, old).await?;
        rows_of(&cx, old).await?;
        for _ in 0..EACH {
            links::make(&cx, links::Kind::Invite, None, "").await?;
        }
    }
    app.db.clone().close().await;
    Ok(())
}

async fn account(cx: &Cx, name: &str, role: Role, hash: &str) -> Told<AccountId> {
    let (id, now) = (AccountId::new(cx.now, &cx.app.rng), cx.now);
    let (username, password) = (Username::parse(name)?, Some(hash.to_owned()));
    let new = NewAccount { id, username, password, role, buckets: Buckets::Every, must_change: false };
    let made = cx.write("bench.account", async move |tx| accounts::create(tx, &new, now).await).await?;
    made.map_err(|error| format!("an account cannot be made: {error}"))?;
    Ok(id)
}

/// Half of them ended then, with data that nobody kept; the others are long expired and were never ended.
async fn sessions_of(cx: &Cx, account: AccountId) -> Told<()> {
    let (life, now) = (login::life(cx, Kind::Api, Role::User), cx.now);
    let all: Vec<NewSession> =
        (0..EACH).map(|_| NewSession::draw(cx, account, Kind::Api, "pwd", "Bench".to_owned(), life)).collect();
    let (begun, most) = (all.clone(), u32::try_from(EACH)?);
    cx.write("bench.sessions", async move |tx| {
        for one in &begun {
            sessions::start(tx, one, most, now).await?;
        }
        Ok(())
    })
    .await?;
    for one in all.into_iter().take(EACH / 2) {
        data::put(cx, account, one.id, data::Key::parse("soak")?, "1".to_owned()).await?;
        cx.write("bench.end", async move |tx| sessions::end(tx, Which::One(one.id), EndReason::Logout, now).await)
            .await?;
    }
    Ok(())
}

/// Personal tokens that expired the next day, and events.
async fn rows_of(cx: &Cx, account: AccountId) -> Told<()> {
    let token = || NewPersonalToken::draw(cx, account, "script", vec![Scope::Media], Some(cx.now + DAY)).row();
    let tokens: Vec<_> = (0..EACH).map(|_| token()).collect();
    let events: Vec<Entry> = (0..EACH).map(|_| Entry::new(cx, Event::Logout, Outcome::Done).of(account)).collect();
    cx.write("bench.rows", async move |tx| {
        for (token, event) in tokens.iter().zip(&events) {
            token.insert(tx).await?;
            event.record(tx).await?;
        }
        Ok(())
    })
    .await?;
    Ok(())
}
