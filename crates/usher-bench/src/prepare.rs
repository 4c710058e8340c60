//! An installation with any number of live sessions, each as real as one that a login began.
//!
//! Sessions are begun by the server's own function, in large transactions, without the password hash that a login
//! spends. The credentials of a random few go to a file; the others exist in the database alone.

use crate::rng::Rng;
use crate::stock::Stock;
use crate::{Told, clock, place};
use clap::Args;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use usher::accounts::{self, Buckets, NewAccount, Role, username::Username};
use usher::cx::Cx;
use usher::id::AccountId;
use usher::sessions::{self, Kind, NewSession, cookie, refresh};
use usher::{App, gate, login, tokens};
use zeroize::Zeroizing;

/// The password of every account.
pub const PASSWORD: &str = "plum-anchor-violin-37";
/// Live sessions of one account: half of what it may have, so that logins of the run evict none that is used.
const PER_ACCOUNT: usize = 25;
/// Sessions or accounts in one write, which must not take 50 ms even without optimization.
const AT_ONCE: usize = 100;
/// Writes under way, which the database commits together.
const WRITES: usize = 16;
/// Access tokens of the stock outlive the longest run.
const ACCESS_LIFE: Duration = Duration::from_secs(7 * 24 * 3600);

/// `usher-bench prepare`
#[derive(Debug, Args)]
pub struct Arguments {
    /// The data directory, which must be empty or absent
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Where credentials are written to
    #[arg(long, value_name = "FILE")]
    pub credentials: PathBuf,
    /// Live sessions to make
    #[arg(long, value_name = "COUNT", default_value_t = 1_000_000)]
    pub sessions: usize,
    /// How many cookies, and how many access tokens, are for use again and again
    #[arg(long, value_name = "COUNT", default_value_t = 10_000)]
    pub again: usize,
    /// How many of each are for use once
    #[arg(long, value_name = "COUNT", default_value_t = 100_000)]
    pub once: usize,
    /// How many refresh tokens
    #[arg(long, value_name = "COUNT", default_value_t = 2_000)]
    pub refreshes: usize,
}

/// What becomes of a session's credential.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lot {
    Forgotten,
    Again,
    Once,
    Refresh,
}

/// Draws the lots. Even sessions are browsers', odd ones programs'.
fn lots(arguments: &Arguments) -> Told<Vec<Lot>> {
    let Arguments { sessions, again, once, refreshes, .. } = *arguments;
    let needed = 2 * (again + once + refreshes);
    if sessions < needed {
        return Err(format!("{sessions} sessions are too few for these credentials; at least {needed}").into());
    }
    let mut lots = vec![Lot::Forgotten; sessions];
    for kind in [0, 1] {
        let mut own: Vec<usize> = (kind..sessions).step_by(2).collect();
        Rng::of(kind as u64).shuffle(&mut own);
        let kinds = [(Lot::Again, again), (Lot::Once, once), (Lot::Refresh, if kind == 1 { refreshes } else { 0 })];
        let drawn = kinds.into_iter().flat_map(|(lot, count)| std::iter::repeat_n(lot, count));
        own.into_iter().zip(drawn).for_each(|(session, lot)| lots[session] = lot);
    }
    Ok(lots)
}

/// Makes the installation.
pub async fn run(arguments: Arguments) -> Told<()> {
    let lots = lots(&arguments)?;
    let mut config = place::standard()?;
    config.tokens.access_life = ACCESS_LIFE;
    let app = place::open(&arguments.data, config).await?;
    let begin = clock::now();
    let owners = accounts(&app, arguments.sessions.div_ceil(PER_ACCOUNT)).await?;
    let stock = sessions(&app, &owners, &lots).await?;
    stock.write(&arguments.credentials)?;
    eprintln!("{} sessions of {} accounts in {:.1?}", stock.sessions, stock.accounts, clock::now() - begin);
    app.db.clone().close().await;
    Ok(())
}

/// Waits for one write when enough are under way.
async fn make_room<T: 'static>(writes: &mut JoinSet<Told<T>>, most: usize) -> Told<Option<T>> {
    if writes.len() < most {
        return Ok(None);
    }
    writes.join_next().await.transpose()?.transpose()
}

async fn accounts(app: &Arc<App>, count: usize) -> Told<Vec<AccountId>> {
    let cx = Cx::internal(app, "bench");
    let hash = app.hasher.hash(Zeroizing::new(PASSWORD.to_owned())).await?;
    let ids: Vec<AccountId> = (0..count).map(|_| AccountId::new(cx.now, &app.rng)).collect();
    let mut writes = JoinSet::new();
    for (slice, some) in ids.chunks(AT_ONCE).enumerate() {
        make_room(&mut writes, WRITES).await?;
        let mut new = Vec::with_capacity(some.len());
        for (number, id) in some.iter().enumerate() {
            new.push(NewAccount {
                id: *id,
                username: Username::parse(&format!("user{}", slice * AT_ONCE + number))?,
                password: Some(hash.clone()),
                role: Role::User,
                buckets: Buckets::Every,
                must_change: false,
            });
        }
        let cx = cx.clone();
        writes.spawn(async move {
            let now = cx.now;
            let made = cx.write("bench.accounts", async move |tx| {
                for one in &new {
                    if let Err(error) = accounts::create(tx, one, now).await? {
                        return Ok(Err(error));
                    }
                }
                Ok(Ok(()))
            });
            made.await?.map_err(|error| format!("an account cannot be made: {error}").into())
        });
    }
    while make_room(&mut writes, 1).await?.is_some() {}
    Ok(ids)
}

async fn sessions(app: &Arc<App>, owners: &[AccountId], lots: &[Lot]) -> Told<Stock> {
    let mut stock =
        Stock { sessions: lots.len(), accounts: owners.len(), password: PASSWORD.to_owned(), ..Stock::default() };
    let mut writes: JoinSet<Told<Vec<(Lot, NewSession)>>> = JoinSet::new();
    let mut begun = 0;
    for (slice, some) in lots.chunks(AT_ONCE).enumerate() {
        if let Some(made) = make_room(&mut writes, WRITES).await? {
            keep(app, &mut stock, made).await?;
        }
        let cx = Cx::internal(app, "bench");
        let new: Vec<(Lot, NewSession)> = some
            .iter()
            .enumerate()
            .map(|(number, lot)| {
                let session = slice * AT_ONCE + number;
                // Neighbors in time are of different people, as they would be.
                (
                    *lot,
                    draw(
                        &cx,
                        owners[session % owners.len()],
                        if session.is_multiple_of(2) { Kind::Browser } else { Kind::Api },
                    ),
                )
            })
            .collect();
        writes.spawn(async move {
            let (inner, now, most) = (new.clone(), cx.now, cx.app.config.sessions.max_per_account);
            let started = cx.write("bench.sessions", async move |tx| {
                for (_, one) in &inner {
                    sessions::start(tx, one, most, now).await?;
                }
                Ok(())
            });
            started.await?;
            Ok(new)
        });
        begun += some.len();
        if begun.is_multiple_of(100_000) {
            eprintln!("{begun} sessions");
        }
    }
    while let Some(made) = make_room(&mut writes, 1).await? {
        keep(app, &mut stock, made).await?;
    }
    Ok(stock)
}

fn draw(cx: &Cx, account: AccountId, kind: Kind) -> NewSession {
    let mut new = NewSession::draw(cx, account, kind, "pwd", "Bench".to_owned(), login::life(cx, kind, Role::User));
    if kind == Kind::Api {
        new.refresh = Some(refresh::First::draw(&cx.app.rng));
    }
    new
}

/// Keeps the credentials of those sessions whose lot it is. They are committed.
async fn keep(app: &Arc<App>, stock: &mut Stock, made: Vec<(Lot, NewSession)>) -> Told<()> {
    let cx = Cx::internal(app, "bench");
    for (lot, session) in made.into_iter().filter(|(lot, _)| *lot != Lot::Forgotten) {
        if session.kind == Kind::Browser {
            let value = cookie::mint(&app.macs.cookie, session.id, &session.secret);
            if lot == Lot::Again { &mut stock.cookies } else { &mut stock.new_cookies }.push(value);
        } else if lot == Lot::Refresh {
            stock.refreshes.extend(session.refresh.map(|first| first.token(&app.macs.refresh, session.id)));
        } else {
            let caller = gate::admit_new(&cx, session.id, Kind::Api).await?;
            let token = tokens::access(&cx, &caller, &tokens::Audience::Own)?;
            if lot == Lot::Again { &mut stock.bearers } else { &mut stock.new_bearers }.push(token);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(sessions: usize) -> Arguments {
        let nowhere = PathBuf::new();
        Arguments { data: nowhere.clone(), credentials: nowhere, sessions, again: 10, once: 20, refreshes: 5 }
    }

    #[test]
    fn every_kind_of_session_gets_its_share_of_lots() -> Told<()> {
        let drawn = lots(&arguments(100))?;
        let count = |kind: usize, lot| drawn.iter().skip(kind).step_by(2).filter(|one| **one == lot).count();
        assert_eq!([count(0, Lot::Again), count(0, Lot::Once), count(0, Lot::Refresh)], [10, 20, 0]);
        assert_eq!([count(1, Lot::Again), count(1, Lot::Once), count(1, Lot::Refresh)], [10, 20, 5]);
        assert!(lots(&arguments(69)).is_err());
        Ok(())
    }
}
