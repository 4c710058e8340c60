//! Single-use links: the first admin, an invitation, a lost password, a lost second factor, an email address.
//!
//! Promises: a link carries 256 random bits, of which the row keeps a digest; it is spent by the same
//! commit that does what it is for, so that a failed attempt does not cost it and two attempts do not
//! share it. Looking at a link spends nothing.

use super::store;
use crate::accounts::profile::{self, Email};
use crate::accounts::{self, Buckets, CreateError, NewAccount, Role, username::Username};
use crate::audit::{Entry, Event, Outcome};
use crate::cx::Cx;
use crate::id::{AccountId, GroupId, LinkId};
use crate::secret::{Digest, Kind as SecretKind, Plain};
use crate::sessions::{self, EndReason, Which};
use crate::time::Time;
use std::collections::BTreeSet;
use std::str::FromStr;
use std::time::Duration;
use usher_db::{Error, Tx};
use zeroize::Zeroizing;

/// What a link is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Makes the first admin.
    Setup,
    /// Makes an account.
    Invite,
    /// Sets a new password.
    Reset,
    /// Stands in, once, for a second factor that was lost.
    Recover,
    /// Proves an email address; its note is the address it was sent to.
    Verify,
}

impl Kind {
    /// The word in the table.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Setup => "setup",
            Kind::Invite => "invite",
            Kind::Reset => "reset",
            Kind::Recover => "recover",
            Kind::Verify => "verify",
        }
    }

    /// What such a link carries.
    fn secret(self) -> SecretKind {
        match self {
            Kind::Setup => SecretKind::Setup,
            Kind::Invite => SecretKind::Invite,
            Kind::Reset => SecretKind::Reset,
            Kind::Recover => SecretKind::Recover,
            Kind::Verify => SecretKind::Verify,
        }
    }

    /// How long it may wait.
    pub fn life(self) -> Duration {
        match self {
            Kind::Setup | Kind::Reset | Kind::Recover => Duration::from_secs(3600),
            Kind::Invite => Duration::from_secs(7 * 24 * 3600),
            Kind::Verify => Duration::from_secs(24 * 3600),
        }
    }

    /// The page that takes it: `/setup`, `/signup`, `/reset`, `/recover`, `/verify`.
    pub fn page(self) -> &'static str {
        match self {
            Kind::Setup => "/setup",
            Kind::Invite => "/signup",
            Kind::Reset => "/reset",
            Kind::Recover => "/recover",
            Kind::Verify => "/verify",
        }
    }
}

impl FromStr for Kind {
    type Err = ();
    fn from_str(word: &str) -> Result<Kind, ()> {
        let every = [Kind::Setup, Kind::Invite, Kind::Reset, Kind::Recover, Kind::Verify];
        every.into_iter().find(|kind| kind.word() == word).ok_or(())
    }
}

/// A link that can be used.
#[derive(Clone, Debug)]
pub struct Link {
    /// The public id, for lists and the audit log.
    pub id: LinkId,
    /// What it is for.
    pub kind: Kind,
    /// Whose password it resets.
    pub account: Option<AccountId>,
    /// What its maker wrote beside it.
    pub note: String,
    /// When it was made.
    pub made_at: Time,
    /// When it ends.
    pub expires_at: Time,
}

/// What the account gets that an invitation makes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gifts {
    /// The groups it is put into.
    pub groups: BTreeSet<GroupId>,
    /// Its own buckets.
    pub buckets: Buckets,
}

impl Gifts {
    /// In words, for the audit log; empty when there is nothing.
    fn words(&self) -> String {
        let groups = (!self.groups.is_empty()).then(|| {
            let ids: Vec<String> = self.groups.iter().map(ToString::to_string).collect();
            format!("; groups {}", ids.join(", "))
        });
        let buckets = self.buckets.names();
        let buckets = (!buckets.is_empty()).then(|| format!("; buckets {}", buckets.join(", ")));
        [groups, buckets].into_iter().flatten().collect()
    }
}

/// A link with what it carries, for the one answer that shows it.
#[derive(Clone, Debug)]
pub struct MadeLink {
    /// The link.
    pub link: Link,
    /// Its path on this server, secret included.
    pub path: Zeroizing<String>,
}

/// Why a link cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// Unknown, used, withdrawn or expired.
    #[error("this link is not valid any more")]
    Unusable,
    /// The name it should make an account with belongs to somebody; the link is not spent.
    #[error(transparent)]
    Create(#[from] CreateError),
    /// One invitation was tried with too many names.
    #[error("too many attempts with this link")]
    RateLimited(Duration),
    /// The database did not answer.
    #[error("not available right now")]
    Storage(#[from] Error),
}

/// A link that is about to exist: drawn before the write that makes it.
#[derive(Clone, Debug)]
pub struct NewLink {
    made: MadeLink,
    digest: Digest,
    made_by: Option<AccountId>,
    gifts: Gifts,
    entry: Entry,
}

impl NewLink {
    /// Draws a link's secret, for this caller to hand out.
    pub fn draw(cx: &Cx, kind: Kind, account: Option<AccountId>, note: &str) -> NewLink {
        let secret = Plain::mint(kind.secret(), &cx.app.rng);
        let link = Link {
            id: LinkId::new(cx.now, &cx.app.rng),
            kind,
            account,
            note: note.to_owned(),
            made_at: cx.now,
            expires_at: cx.now + kind.life(),
        };
        let mut entry = Entry::new(cx, Event::LinkCreated, Outcome::Done).target(link.id).detail(kind.word());
        if let Some(account) = account {
            entry = entry.of(account);
        }
        NewLink {
            digest: secret.digest(),
            made_by: cx.caller.as_ref().map(|caller| caller.account()),
            gifts: Gifts::default(),
            made: MadeLink { link, path: Zeroizing::new(format!("{}/{}", kind.page(), secret.expose())) },
            entry,
        }
    }

    /// The same, for an account that gets something. Each group must exist where the link is written.
    pub fn giving(self, gifts: Gifts) -> NewLink {
        let entry = self.entry.detail(format!("{}{}", self.made.link.kind.word(), gifts.words()));
        NewLink { entry, gifts, ..self }
    }

    /// Writes the link with the transaction it belongs to. A new setup link replaces the one before, and
    /// a new reset, recovery or verify link the account's of its kind.
    pub async fn insert(&self, tx: &mut Tx, now: Time) -> Result<(), Error> {
        let link = &self.made.link;
        match (link.kind, link.account) {
            (Kind::Setup, _) => store::revoke_kind(tx, Kind::Setup, now).await?,
            (Kind::Reset | Kind::Recover | Kind::Verify, Some(account)) => {
                store::revoke_kind_of(tx, account, link.kind, now).await?;
            }
            _ => {}
        }
        store::insert_link(tx, link, &self.digest, self.made_by).await?;
        store::give(tx, link.id, &self.gifts).await?;
        self.entry.record(tx).await
    }

    /// The link's public id.
    pub fn id(&self) -> LinkId {
        self.made.link.id
    }

    /// The link's path, secret included, for the letter that carries it.
    pub fn path(&self) -> Zeroizing<String> {
        self.made.path.clone()
    }

    /// The link with its secret, for the one answer that shows it.
    pub fn into_made(self) -> MadeLink {
        self.made
    }
}

/// Makes a link in a transaction of its own.
pub async fn make(cx: &Cx, kind: Kind, account: Option<AccountId>, note: &str) -> Result<MadeLink, Error> {
    let new = NewLink::draw(cx, kind, account, note);
    let (row, now) = (new.clone(), cx.now);
    cx.write("links.make", async move |tx| row.insert(tx, now).await).await?;
    Ok(new.into_made())
}

/// Withdraws the links that an account could still use, as when it is shut out.
pub async fn withdraw_of(tx: &mut Tx, account: AccountId, now: Time) -> Result<(), Error> {
    store::revoke_links_of(tx, account, now).await
}

/// Withdraws the links that an account made for others: who is no admin any more lets nobody in.
pub async fn withdraw_made_by(tx: &mut Tx, account: AccountId, now: Time) -> Result<(), Error> {
    store::revoke_links_made_by(tx, account, now).await
}

/// What became of an invitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It can be used.
    Open,
    /// It made an account.
    Used {
        /// When.
        at: Time,
        /// Which; unknown for links that were used before this was kept.
        by: Option<AccountId>,
    },
    /// It was withdrawn.
    Revoked {
        /// When.
        at: Time,
    },
    /// Nobody used it in time.
    Expired,
}

/// An invitation in a list.
#[derive(Clone, Debug)]
pub struct Invite {
    /// The public id.
    pub id: LinkId,
    /// What its maker wrote beside it.
    pub note: String,
    /// Who made it.
    pub made_by: Option<AccountId>,
    /// When.
    pub made_at: Time,
    /// When it ends or ended by itself.
    pub expires_at: Time,
    /// What became of it.
    pub fate: Fate,
    /// The groups that its account gets, with their names.
    pub groups: Vec<(GroupId, String)>,
    /// The buckets that its account gets.
    pub buckets: Buckets,
}

/// The latest invitations, newest first.
pub async fn invites(cx: &Cx, limit: u32) -> Result<Vec<Invite>, Error> {
    store::list_invites(&cx.app.db, cx.now, limit).await
}

/// An invitation as this transaction sees it, with what it gives. `None` when there is none.
pub async fn invite(tx: &mut Tx, id: LinkId, now: Time) -> Result<Option<(Invite, Gifts)>, Error> {
    match store::find_invite(tx, id, now).await? {
        Some(invite) => Ok(Some((invite, store::given(tx, id).await?))),
        None => Ok(None),
    }
}

/// Changes what an open invitation says and gives; its link stays. `false` when it cannot be used any more.
pub async fn change_invite(tx: &mut Tx, id: LinkId, note: &str, gifts: &Gifts, now: Time) -> Result<bool, Error> {
    store::change_invite(tx, id, note, gifts, now).await
}

/// Withdraws an invitation within a transaction. `false` when it cannot be used any more anyway.
pub async fn withdraw(tx: &mut Tx, id: LinkId, now: Time) -> Result<bool, Error> {
    store::revoke_link(tx, id, now).await
}

/// What is kept of such a link's secret; `None` when `token` has not its form.
pub(super) fn digest(kind: Kind, token: &str) -> Option<Digest> {
    Plain::parse(kind.secret(), token).ok().map(|secret| secret.digest())
}

/// Whether `token` has the form of such a link's secret. Says nothing about whether there is such a link.
pub fn well_formed(kind: Kind, token: &str) -> bool {
    digest(kind, token).is_some()
}

/// The link that `token` belongs to, if it can be used. Spends nothing.
pub async fn look(cx: &Cx, kind: Kind, token: &str) -> Result<Option<Link>, Error> {
    match digest(kind, token) {
        Some(digest) => store::find_link(&cx.app.db, kind, &digest, cx.now).await,
        None => Ok(None),
    }
}

/// Makes an account by a setup or invite link, with what the link gives. It is spent only if the account is made.
///
/// `password` is already a hash. Of several who hold the same link, one gets an account.
pub async fn create_account(
    cx: &Cx,
    kind: Kind,
    token: &str,
    username: Username,
    password: String,
) -> Result<AccountId, LinkError> {
    let digest = digest(kind, token).ok_or(LinkError::Unusable)?;
    if kind == Kind::Invite {
        super::throttle::count_invited(cx, &digest).await?;
    }
    let id = AccountId::new(cx.now, &cx.app.rng);
    let (role, buckets) = match kind {
        Kind::Setup => (Role::Admin, Buckets::Every),
        Kind::Invite | Kind::Reset | Kind::Recover | Kind::Verify => (Role::User, Buckets::None),
    };
    let new = NewAccount { id, username, password: Some(password), role, buckets, must_change: false };
    let used = Entry::new(cx, Event::LinkUsed, Outcome::Done).of(id).by(id).detail(kind.word());
    let created = Entry::new(cx, Event::AccountCreated, Outcome::Done).of(id).by(id).target(new.username.display());
    let now = cx.now;
    cx.write("links.create_account", async move |tx| {
        // The link first: its guarded update is what several holders meet at.
        let Some(link) = store::spend_link(tx, kind, &digest, now).await? else {
            return Ok(Err(LinkError::Unusable));
        };
        if kind == Kind::Setup && accounts::has_admin(tx).await? {
            return Ok(tx.undo(Err(LinkError::Unusable)));
        }
        let mut new = new.clone();
        let gifts = store::given(tx, link.id).await?;
        if kind == Kind::Invite {
            new.buckets = gifts.buckets;
        }
        if let Err(error) = accounts::create(tx, &new, now).await? {
            return Ok(tx.undo(Err(LinkError::Create(error))));
        }
        for group in gifts.groups {
            // One that is removed at this very moment gives nothing, and is no reason to turn the guest away.
            let _ = accounts::groups::add_member(tx, group, id, now).await?;
        }
        store::used_by(tx, link.id, id).await?;
        used.clone().target(link.id).record(tx).await?;
        created.record(tx).await?;
        Ok(Ok(id))
    })
    .await?
}

/// Sets a new password by a reset link: spends it, ends every session of the account, logs nobody in.
pub async fn reset_password(cx: &Cx, token: &str, password: String) -> Result<AccountId, LinkError> {
    let digest = digest(Kind::Reset, token).ok_or(LinkError::Unusable)?;
    let used = Entry::new(cx, Event::LinkUsed, Outcome::Done).detail(Kind::Reset.word());
    let changed = Entry::new(cx, Event::PasswordChanged, Outcome::Done).detail("reset link");
    let now = cx.now;
    cx.write("links.reset_password", async move |tx| {
        let Some(link) = store::spend_link(tx, Kind::Reset, &digest, now).await? else {
            return Ok(Err(LinkError::Unusable));
        };
        let Some(account) = link.account else { return Ok(Err(LinkError::Unusable)) };
        let Some(owner) = accounts::hold(tx, account).await? else { return Ok(Err(LinkError::Unusable)) };
        if accounts::set_password(tx, account, &password, false, now).await?.is_err() {
            return Ok(Err(LinkError::Unusable));
        }
        sessions::end(tx, Which::All(account), EndReason::PasswordChanged, now).await?;
        // Another reset link may be in the hands of whoever made the reset necessary.
        store::revoke_links_of(tx, account, now).await?;
        super::signed::forget(tx, account).await?;
        // The wait that guesses brought upon the old password is not for the new one.
        super::throttle::forgive(tx, account, &owner.username).await?;
        used.clone().of(account).target(link.id).record(tx).await?;
        changed.clone().of(account).record(tx).await?;
        Ok(Ok(account))
    })
    .await?
}

/// Spends a recovery link of this account with the login that it stands in for a factor of. `false` when it is no such
/// link any more.
pub(super) async fn spend_recovery(tx: &mut Tx, digest: &Digest, account: AccountId, now: Time) -> Result<bool, Error> {
    let spent = store::spend_link(tx, Kind::Recover, digest, now).await?;
    Ok(spent.is_some_and(|link| link.account == Some(account)))
}

/// Notes that an address is its account's owner's, by the link that was sent there: spends it, unless the account has
/// another address by now.
pub async fn prove_email(cx: &Cx, token: &str) -> Result<AccountId, LinkError> {
    let digest = digest(Kind::Verify, token).ok_or(LinkError::Unusable)?;
    let used = Entry::new(cx, Event::LinkUsed, Outcome::Done).detail(Kind::Verify.word());
    let changed = Entry::new(cx, Event::AccountChanged, Outcome::Done).detail("email address proven");
    let now = cx.now;
    cx.write("links.prove_email", async move |tx| {
        let Some(link) = store::spend_link(tx, Kind::Verify, &digest, now).await? else {
            return Ok(Err(LinkError::Unusable));
        };
        let (Some(account), Ok(email)) = (link.account, Email::parse(&link.note)) else {
            return Ok(Err(LinkError::Unusable));
        };
        if !profile::prove_email(tx, account, &email, now).await? {
            return Ok(tx.undo(Err(LinkError::Unusable)));
        }
        used.clone().of(account).target(link.id).record(tx).await?;
        changed.clone().of(account).record(tx).await?;
        Ok(Ok(account))
    })
    .await?
}

/// How many links of `kind` were made for an account since then.
pub async fn made_since(tx: &mut Tx, account: AccountId, kind: Kind, since: Time) -> Result<i64, Error> {
    store::made_since(tx, account, kind, since).await
}

/// Withdraws every link and forgets every counted failure, as after a restore: a link may have been used since the
/// copy was made, and what was guessed back then says nothing about today.
pub async fn begin_anew(cx: &Cx) -> Result<(), Error> {
    let now = cx.now;
    cx.write("links.begin_anew", async move |tx| {
        store::revoke_every_link(tx, now).await?;
        // A browser that was forgotten since the copy was made must not be known again.
        sessions::known::forget_everyone(tx).await?;
        super::factors::begin_anew(tx, now).await?;
        store::forget_every_failure(tx).await
    })
    .await
}

/// How long the row of an expired link is kept, for the audit log to point to.
const REMEMBERED: Duration = Duration::from_secs(30 * 24 * 3600);

/// Removes links that expired long ago.
pub async fn sweep(cx: &Cx, limit: u32) -> Result<u64, Error> {
    let before = cx.now - REMEMBERED;
    cx.write("links.sweep", async move |tx| store::sweep_links(tx, before, limit).await).await
}

/// Withdraws a link. `false` when it cannot be used any more anyway.
pub async fn revoke(cx: &Cx, id: LinkId) -> Result<bool, Error> {
    let entry = Entry::new(cx, Event::LinkRevoked, Outcome::Done).target(id);
    let now = cx.now;
    cx.write("links.revoke", async move |tx| {
        let revoked = store::revoke_link(tx, id, now).await?;
        if revoked {
            entry.record(tx).await?;
        }
        Ok(revoked)
    })
    .await
}
