//! Administration: acts over accounts, groups and links that concern several domains at once.
//!
//! Promises: an act is one commit. Disabling takes the account's sessions, tokens and links with it, and
//! when the answer is sent nothing of the account is admitted; deleting does the same and erases. There is
//! always an admin who can log in, however many admins remove each other at once. Every act writes what
//! was done, by whom and to whom, in the same commit.
//! Refuses: setting the password of an account that exists. Its owner chooses one, by a link that works once.
//!
//! The pages, the API and the command line act through these functions; none of them knows of HTTP.

pub mod api;
pub mod bulk;
pub mod explain;
pub mod factors;
pub mod groups;
pub mod import;
pub mod pages;

use crate::accounts::policy::Weakness;
use crate::accounts::profile::{self, DisplayName};
use crate::accounts::username::Username;
use crate::accounts::{self, Account, Buckets, ChangeError, CreateError, Role, Standing};
use crate::audit::{Entry, Event, Outcome};
use crate::cx::Cx;
use crate::id::{AccountId, GroupId, SessionId};
use crate::login::factors::FactorError;
use crate::login::links::{self, Gifts, MadeLink, NewLink};
use crate::login::{again, throttle};
use crate::sessions::{self, EndReason, Which};
use crate::time::Time;
use crate::tokens::live::{self, KeysError};
use crate::tokens::personal;
use std::collections::BTreeSet;
use std::time::Duration;
use usher_db::{Db, Error, Tx};
use zeroize::Zeroizing;

/// Why an act is refused.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// There is no such account, group, session or link.
    #[error("there is no such thing")]
    NotFound,
    /// A group that was named does not exist.
    #[error("there is no such group")]
    NoSuchGroup,
    /// It would leave nobody who can manage accounts.
    #[error("this is the last admin who can log in; make another admin first")]
    LastAdmin,
    /// The name, or one that looks like it, belongs to somebody.
    #[error("this username is taken, or too much like one that is")]
    UsernameTaken,
    /// Another group has the name.
    #[error("another group has this name")]
    GroupNameTaken,
    /// The password is not one that may be chosen.
    #[error("the password is too weak")]
    Weak(Vec<Weakness>),
    /// It needs somebody who proved a moment ago who they are.
    #[error("prove again who you are")]
    ProofRequired,
    /// The account is disabled: nobody can choose a password for it.
    #[error("the account is disabled; enable it first")]
    Disabled,
    /// The account has no second factor.
    #[error("this account has no second factor")]
    NoFactor,
    /// A factor is not set up, for this reason.
    #[error(transparent)]
    Factor(FactorError),
    /// Nobody may make an account by an invitation.
    #[error("sign-up is switched off")]
    SignupOff,
    /// More hashes at once than this machine can do.
    #[error("too many logins at once; try again in a moment")]
    Busy(Duration),
    /// The database did not answer.
    #[error("not available right now")]
    Storage(#[from] Error),
}

impl From<FactorError> for AdminError {
    fn from(error: FactorError) -> AdminError {
        match error {
            FactorError::NotFound => AdminError::NotFound,
            FactorError::Storage(error) => AdminError::Storage(error),
            other => AdminError::Factor(other),
        }
    }
}

impl From<ChangeError> for AdminError {
    fn from(error: ChangeError) -> AdminError {
        match error {
            ChangeError::NotFound => AdminError::NotFound,
            ChangeError::LastAdmin => AdminError::LastAdmin,
        }
    }
}

impl From<CreateError> for AdminError {
    fn from(error: CreateError) -> AdminError {
        match error {
            CreateError::UsernameTaken => AdminError::UsernameTaken,
        }
    }
}

/// Refuses what a session that somebody left open must not do: to make an admin, to open every bucket, to delete an
/// account, to make a link into one, to take its second factors away, to turn the keys.
pub fn proven(cx: &Cx) -> Result<(), AdminError> {
    if again::may_act(cx) { Ok(()) } else { Err(AdminError::ProofRequired) }
}

/// An account to be made.
pub struct NewAccount {
    /// The name.
    pub username: Username,
    /// Its first password; without one, a reset link is made with the account.
    pub password: Option<Zeroizing<String>>,
    /// Whether its owner must choose another password first.
    pub must_change: bool,
    /// The role.
    pub role: Role,
    /// Its own buckets.
    pub buckets: Buckets,
    /// Its groups.
    pub groups: BTreeSet<GroupId>,
    /// How pages address its owner.
    pub display_name: Option<DisplayName>,
}

/// An account that was made.
#[derive(Debug)]
pub struct Created {
    /// Its id.
    pub id: AccountId,
    /// The link by which its owner chooses a password, when it was made without one.
    pub reset_link: Option<MadeLink>,
}

/// Makes an account.
pub async fn create(cx: &Cx, new: NewAccount) -> Result<Created, AdminError> {
    if new.role == Role::Admin || new.buckets == Buckets::Every {
        proven(cx)?;
    }
    let password = match new.password {
        Some(password) => Some(judge_and_hash(cx, password, &new.username).await?),
        None => None,
    };
    let id = AccountId::new(cx.now, &cx.app.rng);
    let link = password.is_none().then(|| NewLink::draw(cx, links::Kind::Reset, Some(id), ""));
    let entry = Entry::new(cx, Event::AccountCreated, Outcome::Done)
        .of(id)
        .target(new.username.display())
        .detail(new.role.word());
    let (role, buckets, must_change) = (new.role, new.buckets, new.must_change);
    let row = accounts::NewAccount { id, username: new.username, password, role, buckets, must_change };
    let (groups, display_name, made, now) = (new.groups, new.display_name, link.clone(), cx.now);
    cx.write("admin.create", async move |tx| {
        if let Err(error) = accounts::create(tx, &row, now).await? {
            return Ok(Err(error.into()));
        }
        if display_name.is_some() {
            name_display(tx, id, display_name.clone(), now).await?;
        }
        if accounts::groups::set_groups(tx, id, &groups, now).await?.is_err() {
            return Ok(tx.undo(Err(AdminError::NoSuchGroup)));
        }
        if let Some(link) = &made {
            link.insert(tx, now).await?;
        }
        entry.record(tx).await?;
        Ok(Ok(()))
    })
    .await??;
    Ok(Created { id, reset_link: link.map(NewLink::into_made) })
}

/// The hash of a first password, if it is one that may be chosen.
async fn judge_and_hash(cx: &Cx, password: Zeroizing<String>, username: &Username) -> Result<String, AdminError> {
    let weak = crate::login::weaknesses(cx, &password, &[username.display()]).await;
    if !weak.is_empty() {
        return Err(AdminError::Weak(weak));
    }
    cx.app.hasher.hash(password).await.map_err(|busy| AdminError::Busy(busy.retry_after))
}

/// What to change of an account. What is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// The role.
    pub role: Option<Role>,
    /// Whether it is shut out.
    pub disabled: Option<bool>,
    /// Its own buckets.
    pub buckets: Option<Buckets>,
    /// Its groups.
    pub groups: Option<BTreeSet<GroupId>>,
    /// How pages address its owner; `Some(None)` takes the name away.
    pub display_name: Option<Option<DisplayName>>,
}

/// Changes an account: all of it or nothing. What is already so is not done again.
pub async fn change(cx: &Cx, id: AccountId, change: Change) -> Result<(), AdminError> {
    let changed = Entry::new(cx, Event::AccountChanged, Outcome::Done).of(id);
    let disabled = Entry::new(cx, Event::AccountDisabled, Outcome::Done).of(id);
    let enabled = Entry::new(cx, Event::AccountEnabled, Outcome::Done).of(id);
    let (now, proven) = (cx.now, again::may_act(cx));
    cx.write("admin.change", async move |tx| {
        if change.role.is_some() || change.disabled.is_some() {
            accounts::hold_admins(tx).await?;
        }
        let Some(before) = accounts::hold(tx, id).await? else { return Ok(Err(AdminError::NotFound)) };
        let raised = change.role == Some(Role::Admin) && before.role != Role::Admin;
        let opened = change.buckets == Some(Buckets::Every) && !before.every_bucket;
        if (raised || opened) && !proven {
            return Ok(Err(AdminError::ProofRequired));
        }
        let details = match apply(tx, &before, &change, now).await? {
            Ok(details) => details,
            Err(error) => return Ok(tx.undo(Err(error))),
        };
        if !details.is_empty() {
            changed.clone().target(&before.username).detail(details.join("; ")).record(tx).await?;
        }
        match (before.standing, change.disabled) {
            (Standing::Active, Some(true)) => disabled.clone().target(&before.username).record(tx).await?,
            (Standing::Disabled { .. }, Some(false)) => enabled.clone().target(&before.username).record(tx).await?,
            _ => {}
        }
        Ok(Ok(()))
    })
    .await?
}

/// Does what a change asks for; returns what it did besides disabling and enabling, in words for the audit log.
async fn apply(
    tx: &mut Tx,
    before: &Account,
    change: &Change,
    now: Time,
) -> Result<Result<Vec<String>, AdminError>, Error> {
    let (id, mut done) = (before.id, Vec::new());
    if let Some(role) = change.role.filter(|role| *role != before.role) {
        if let Err(error) = accounts::set_role(tx, id, role, now).await? {
            return Ok(Err(error.into()));
        }
        if role == Role::User {
            links::withdraw_made_by(tx, id, now).await?;
        }
        done.push(format!("role {role}"));
    }
    match (before.standing, change.disabled) {
        (Standing::Active, Some(true)) => {
            if let Err(error) = accounts::set_standing(tx, id, Standing::Disabled { at: now }, now).await? {
                return Ok(Err(error.into()));
            }
            take_everything(tx, id, EndReason::Disabled, now).await?;
        }
        (Standing::Disabled { .. }, Some(false)) => {
            if let Err(error) = accounts::set_standing(tx, id, Standing::Active, now).await? {
                return Ok(Err(error.into()));
            }
        }
        _ => {}
    }
    if let Some(buckets) = &change.buckets
        && *buckets != accounts::own_buckets(tx, before).await?
    {
        if let Err(error) = accounts::set_buckets(tx, id, buckets, now).await? {
            return Ok(Err(error.into()));
        }
        done.push(format!("buckets {}", named(buckets)));
    }
    if let Some(groups) = &change.groups {
        match accounts::groups::set_groups(tx, id, groups, now).await? {
            Ok(true) => done.push("groups".to_owned()),
            Ok(false) => {}
            Err(_) => return Ok(Err(AdminError::NoSuchGroup)),
        }
    }
    if let Some(name) = &change.display_name
        && name.as_ref().map(DisplayName::text) != before.display_name.as_deref()
    {
        name_display(tx, id, name.clone(), now).await?;
        done.push("display name".to_owned());
    }
    Ok(Ok(done))
}

/// Sets how pages address the owner of an account that this transaction holds.
async fn name_display(tx: &mut Tx, id: AccountId, name: Option<DisplayName>, now: Time) -> Result<(), Error> {
    let change = profile::Change { display_name: Some(name), email: None };
    // It can be refused for an address only, and there is none.
    profile::change(tx, id, &change, now).await.map(|_| ())
}

/// Buckets in words, for the audit log.
fn named(buckets: &Buckets) -> String {
    match buckets {
        Buckets::None => "none".to_owned(),
        some => some.names().join(", "),
    }
}

/// Ends everything an account holds: sessions with all that hangs from them, personal tokens, and the links
/// it could use or gave to others.
async fn take_everything(tx: &mut Tx, id: AccountId, reason: EndReason, now: Time) -> Result<(), Error> {
    sessions::end(tx, Which::All(id), reason, now).await?;
    personal::revoke_all(tx, id, now).await?;
    links::withdraw_of(tx, id, now).await?;
    links::withdraw_made_by(tx, id, now).await
}

/// Removes an account and everything it owns. What the audit log tells of it stays.
pub async fn delete(cx: &Cx, id: AccountId) -> Result<(), AdminError> {
    proven(cx)?;
    let entry = Entry::new(cx, Event::AccountDeleted, Outcome::Done).of(id);
    let now = cx.now;
    cx.write("admin.delete", async move |tx| {
        accounts::hold_admins(tx).await?;
        let Some(account) = accounts::hold(tx, id).await? else { return Ok(Err(AdminError::NotFound)) };
        // Ended before they are erased, so that memory hears of each and transfers stop.
        take_everything(tx, id, EndReason::Revoked, now).await?;
        if let Err(error) = accounts::delete(tx, id, now).await? {
            return Ok(tx.undo(Err(error.into())));
        }
        throttle::forgive(tx, id, &account.username).await?;
        entry.clone().target(&account.username).record(tx).await?;
        Ok(Ok(()))
    })
    .await?
}

/// Makes a link by which the account's owner chooses a new password. It replaces the one before, and lets
/// the owner log in at once although others may have guessed at the account.
pub async fn make_reset_link(cx: &Cx, id: AccountId) -> Result<MadeLink, AdminError> {
    proven(cx)?;
    let new = NewLink::draw(cx, links::Kind::Reset, Some(id), "");
    let (row, now) = (new.clone(), cx.now);
    cx.write("admin.reset_link", async move |tx| {
        let Some(account) = accounts::hold(tx, id).await? else { return Ok(Err(AdminError::NotFound)) };
        if account.standing != Standing::Active {
            return Ok(Err(AdminError::Disabled));
        }
        throttle::forgive(tx, id, &account.username).await?;
        row.insert(tx, now).await?;
        Ok(Ok(()))
    })
    .await??;
    Ok(new.into_made())
}

/// Makes a link by which somebody makes an account of their own, which gets what the link gives.
pub async fn make_invite(cx: &Cx, note: &str, gifts: Gifts) -> Result<MadeLink, AdminError> {
    if cx.app.config.accounts.signup == crate::config::Signup::Off {
        return Err(AdminError::SignupOff);
    }
    if gifts.buckets == Buckets::Every {
        proven(cx)?;
    }
    let groups = gifts.groups.clone();
    let new = NewLink::draw(cx, links::Kind::Invite, None, note).giving(gifts);
    let (row, now) = (new.clone(), cx.now);
    cx.write("admin.invite", async move |tx| {
        if !accounts::groups::hold_all(tx, &groups).await? {
            return Ok(Err(AdminError::NoSuchGroup));
        }
        row.insert(tx, now).await?;
        Ok(Ok(()))
    })
    .await??;
    Ok(new.into_made())
}

/// Makes the next signing key sign, at once when `now_anyway` says so.
pub async fn rotate_keys(cx: &Cx, now_anyway: bool) -> Result<(), RotationError> {
    proven(cx)?;
    live::rotate(cx, now_anyway).await?;
    Ok(())
}

/// Why the keys are not turned.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// Whoever asks may not, or not yet.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// The keys are not ready.
    #[error(transparent)]
    Keys(#[from] KeysError),
}

/// Forgets the failed logins of an account, so that its owner may try again at once.
pub async fn forgive(cx: &Cx, id: AccountId) -> Result<(), AdminError> {
    let entry = Entry::new(cx, Event::AccountChanged, Outcome::Done).of(id).detail("failed logins forgotten");
    cx.write("admin.forgive", async move |tx| {
        let Some(account) = accounts::hold(tx, id).await? else { return Ok(Err(AdminError::NotFound)) };
        throttle::forgive(tx, id, &account.username).await?;
        throttle::forgive_factor(tx, id).await?;
        entry.clone().target(&account.username).record(tx).await?;
        Ok(Ok(()))
    })
    .await?
}

/// Ends all sessions of an account. Returns how many there were.
pub async fn end_sessions(cx: &Cx, id: AccountId) -> Result<usize, AdminError> {
    let entry = Entry::new(cx, Event::SessionEnded, Outcome::Done).of(id);
    let now = cx.now;
    cx.write("admin.end_sessions", async move |tx| {
        let Some(account) = accounts::hold(tx, id).await? else { return Ok(Err(AdminError::NotFound)) };
        let ended = sessions::end(tx, Which::All(id), EndReason::Revoked, now).await?.len();
        if ended > 0 {
            let all = entry.clone().target(&account.username).detail(format!("all {ended}"));
            all.record(tx).await?;
        }
        Ok(Ok(ended))
    })
    .await?
}

/// Ends one session, anybody's or, when `account` is named, of that account. Ending it again is no error.
pub async fn end_session(cx: &Cx, account: Option<AccountId>, id: SessionId) -> Result<(), AdminError> {
    let known = sessions::find(&cx.app.db, id).await?.ok_or(AdminError::NotFound)?;
    if account.is_some_and(|account| account != known.account) {
        return Err(AdminError::NotFound);
    }
    let entry = Entry::new(cx, Event::SessionEnded, Outcome::Done).about(known.account, id).target(id);
    let now = cx.now;
    cx.write("admin.end_session", async move |tx| {
        if !sessions::end(tx, Which::One(id), EndReason::Revoked, now).await?.is_empty() {
            entry.record(tx).await?;
        }
        Ok(())
    })
    .await?;
    Ok(())
}

/// An account with what it was given itself.
pub struct Details {
    /// Its row.
    pub account: Account,
    /// Its own buckets, without those of its groups.
    pub buckets: Buckets,
    /// Its groups, by name.
    pub groups: Vec<accounts::Group>,
}

/// The account with what it was given.
pub async fn find(db: &Db, id: AccountId) -> Result<Option<Details>, Error> {
    match accounts::find(db, id).await? {
        Some(account) => details(db, account).await.map(Some),
        None => Ok(None),
    }
}

async fn details(db: &Db, account: Account) -> Result<Details, Error> {
    let buckets = if account.every_bucket {
        Buckets::Every
    } else {
        Buckets::from_names(accounts::buckets_of(db, &account.id.to_string()).await?)
    };
    let groups = accounts::groups_of(db, account.id).await?;
    Ok(Details { account, buckets, groups })
}

/// A page of accounts in the order of their names.
pub struct Listed {
    /// The accounts.
    pub accounts: Vec<Details>,
    /// After which account the next page begins, when there is one.
    pub next: Option<AccountId>,
}

/// Accounts whose name holds `part`, after the account `after`. `None` when that one is gone: begin again.
pub async fn list(db: &Db, part: &str, after: Option<AccountId>, limit: u32) -> Result<Option<Listed>, Error> {
    let key = match after {
        None => String::new(),
        Some(id) => match accounts::key_of(db, id).await? {
            Some(key) => key,
            None => return Ok(None),
        },
    };
    let part = match accounts::username::lookup_key(part) {
        Some(part) => part,
        None if part.trim().is_empty() => String::new(),
        // What cannot be in a name is in none; it must not read as a search for nothing, which finds everybody.
        None => return Ok(Some(Listed { accounts: Vec::new(), next: None })),
    };
    let rows = accounts::list(db, &key, &part, limit.saturating_add(1)).await?;
    let (rows, next) = one_page(rows, limit, |account| account.id);
    let mut accounts = Vec::with_capacity(rows.len());
    for account in rows {
        accounts.push(details(db, account).await?);
    }
    Ok(Some(Listed { accounts, next }))
}

/// The rows of one page out of what was read for it, which is one more than the page shows; and the last of them, by its
/// id, when others follow.
pub fn one_page<T, I>(mut rows: Vec<T>, limit: u32, id: impl Fn(&T) -> I) -> (Vec<T>, Option<I>) {
    let limit = limit as usize;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(id);
    (rows, next)
}

/// The first of these bucket names that is neither configured nor among those that are `held` already.
///
/// A right to a bucket that was taken out of the configuration is kept, so that it is there when the
/// bucket comes back; a name that was never right is a slip.
pub fn unknown_bucket(cx: &Cx, wanted: &Buckets, held: &Buckets) -> Option<String> {
    let Buckets::Named(names) = wanted else { return None };
    let there = cx.app.media.buckets.names();
    names.iter().find(|name| !there.contains(*name) && !held.contains(name)).cloned()
}
