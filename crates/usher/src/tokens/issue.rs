//! Making a personal token, and what is swept of old ones.

use super::personal::{NewPersonalToken, PersonalToken, Scope};
use super::store;
use crate::accounts;
use crate::audit::{Entry, Event, Outcome};
use crate::cx::Cx;
use crate::gate::Caller;
use crate::id::{AccountId, PersonalTokenId};
use crate::sessions::Proof;
use std::time::Duration;
use usher_db::Error;

/// The most live tokens of one account.
pub const MOST: i64 = 100;
/// The longest life of a token.
pub const MOST_DAYS: u32 = 3_650;
/// The life of a token whose maker did not choose one.
pub const USUAL_DAYS: u32 = 90;
/// How long a token that was revoked or has expired is kept, for whoever reads the audit log.
const KEEP: Duration = Duration::from_secs(30 * 24 * 60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A token as its owner wants it.
pub struct Wish {
    /// What it is for, in its owner's words.
    pub name: String,
    /// What it may be used for.
    pub scopes: Vec<Scope>,
    /// How long it lives.
    pub expires_days: u32,
}

/// Why no token is made.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The name is empty, too long, or holds control characters.
    #[error("Give it a name of 1 to 80 characters.")]
    Name,
    /// It could not be used for anything.
    #[error("Choose at least one thing it may use.")]
    Scopes,
    /// Only an admin's token may administer, or ask about others.
    #[error("Only an admin's token may have the scopes `admin` and `introspect`.")]
    NotAdmin,
    /// The life is out of range.
    #[error("It may live 1 to 3650 days.")]
    Days,
    /// There are enough.
    #[error("You have as many tokens as one account may have. Revoke one first.")]
    TooMany,
    /// The session has ended meanwhile.
    #[error("the session has ended")]
    Ended,
    /// The database did not answer.
    #[error(transparent)]
    Storage(#[from] Error),
}

impl Wish {
    fn check(mut self, admin: bool) -> Result<Wish, IssueError> {
        self.name = self.name.trim().to_owned();
        if !(1..=80).contains(&self.name.chars().count()) || self.name.chars().any(char::is_control) {
            return Err(IssueError::Name);
        }
        self.scopes.sort_unstable();
        self.scopes.dedup();
        if self.scopes.is_empty() {
            return Err(IssueError::Scopes);
        }
        if self.scopes.iter().any(|scope| scope.admins_only()) && !admin {
            return Err(IssueError::NotAdmin);
        }
        if !(1..=MOST_DAYS).contains(&self.expires_days) {
            return Err(IssueError::Days);
        }
        Ok(self)
    }
}

/// Makes a token for the caller. The account's row is taken first, so that of many who make one at once
/// only as many succeed as there is room for.
pub async fn issue(cx: &Cx, caller: &Caller, wish: Wish, proof: &Proof) -> Result<NewPersonalToken, IssueError> {
    let wish = wish.check(caller.rights.admin())?;
    let account = caller.account();
    let expires_at = Some(cx.now + DAY * wish.expires_days);
    let new = NewPersonalToken::draw(cx, account, &wish.name, wish.scopes, expires_at);
    let entry = Entry::new(cx, Event::PersonalTokenCreated, Outcome::Done)
        .target(new.token.id)
        .detail(scope_words(&new.token.scopes));
    let (row, proof, now) = (new.row(), proof.clone(), cx.now);
    let made = cx
        .write("tokens.issue_personal", async move |tx| {
            if accounts::hold(tx, account).await?.is_none() || !proof.apply(tx, now).await? {
                return Ok(tx.undo(Err(IssueError::Ended)));
            }
            if store::count_personal(tx, account, now).await? >= MOST {
                return Ok(tx.undo(Err(IssueError::TooMany)));
            }
            row.insert(tx).await?;
            entry.record(tx).await?;
            Ok(Ok(()))
        })
        .await?;
    made.map(|()| new)
}

fn scope_words(scopes: &[Scope]) -> String {
    scopes.iter().map(|scope| scope.word()).collect::<Vec<_>>().join(" ")
}

/// The account's tokens that were not revoked, newest first, with the uses that only memory knows yet.
pub async fn list(cx: &Cx, account: AccountId) -> Result<Vec<PersonalToken>, Error> {
    let mut tokens = store::list_personal(&cx.app.db, account).await?;
    for token in &mut tokens {
        token.last_used_at = token.last_used_at.max(cx.app.personal.last_use(token.id));
    }
    Ok(tokens)
}

/// Everybody's tokens that were not revoked, newest first; those made before `before` when it is given.
pub async fn newest(cx: &Cx, before: Option<PersonalTokenId>, limit: u32) -> Result<Vec<PersonalToken>, Error> {
    let before = before.unwrap_or(PersonalTokenId::from_bytes([u8::MAX; 16]));
    let mut tokens = store::newest_personal(&cx.app.db, before, limit).await?;
    for token in &mut tokens {
        token.last_used_at = token.last_used_at.max(cx.app.personal.last_use(token.id));
    }
    Ok(tokens)
}

/// Revokes a token, whoever's it is: for admins. `false` when there is no such live token.
pub async fn revoke_anybodys(cx: &Cx, id: PersonalTokenId) -> Result<bool, Error> {
    match store::owner_of_personal(&cx.app.db, id).await? {
        Some(account) => revoke(cx, account, id).await,
        None => Ok(false),
    }
}

/// Revokes a token of this account. `false` when it has no such live token.
pub async fn revoke(cx: &Cx, account: AccountId, id: PersonalTokenId) -> Result<bool, Error> {
    let entry = Entry::new(cx, Event::PersonalTokenRevoked, Outcome::Done).of(account).target(id);
    let now = cx.now;
    cx.write("tokens.revoke_personal", async move |tx| {
        let revoked = super::personal::revoke(tx, account, id, now).await?;
        if revoked {
            entry.record(tx).await?;
        }
        Ok(revoked)
    })
    .await
}

/// Removes tokens that were revoked, or have expired, a month ago. Returns how many.
pub async fn sweep(cx: &Cx, limit: u32) -> Result<u64, Error> {
    let before = cx.now - KEEP;
    cx.write("tokens.sweep_personal", async move |tx| store::sweep_personal(tx, before, limit).await).await
}
