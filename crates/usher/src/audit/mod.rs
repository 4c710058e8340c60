//! The audit log: who did what, on what, from where, when, with what result.
//!
//! Promises: an event is written in the transaction it tells of, so that there is neither an act without
//! its event nor an event without its act; events are never changed, only removed when their retention ends, and
//! those of one instant stand in the order in which they were drawn.
//! Refuses: secrets. An event names things by their public ids.

pub mod refused;
mod store;

pub use store::{STATEMENTS, list, of_request};

use crate::cx::Cx;
use crate::id::{AccountId, EventId, SessionId};
use crate::mail::Outgoing;
use crate::mail::letter::Letter;
use crate::time::Time;
use usher_db::{Error, Tx};

macro_rules! events {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)*) => {
        /// What happened.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Event { $($(#[$doc])* $name,)* }

        impl Event {
            /// Every event there is, for the filter on the admin page.
            pub const ALL: &[Event] = &[$(Event::$name,)*];

            /// The word in the table, in answers and in filters. Stable.
            pub fn word(self) -> &'static str {
                match self { $(Event::$name => $word,)* }
            }
        }
    };
}

events! {
    /// A login, successful or refused.
    Login = "login",
    /// Somebody who is logged in proved again who they are, for a sensitive act.
    Reauthenticated = "reauthenticated",
    /// Its holder ended a session.
    Logout = "logout",
    /// A session was ended from a list, or with others.
    SessionEnded = "session_ended",
    /// A refresh token was used again too late.
    RefreshReplayed = "refresh_replayed",
    /// An account was made.
    AccountCreated = "account_created",
    /// Role, name, groups, buckets or another fact of an account changed.
    AccountChanged = "account_changed",
    /// An account was shut out.
    AccountDisabled = "account_disabled",
    /// An account was let in again.
    AccountEnabled = "account_enabled",
    /// An account and all it owned was removed.
    AccountDeleted = "account_deleted",
    /// A password was set.
    PasswordChanged = "password_changed",
    /// A single-use link was made.
    LinkCreated = "link_created",
    /// A single-use link was used.
    LinkUsed = "link_used",
    /// What an invitation gives was changed.
    LinkChanged = "link_changed",
    /// A single-use link was withdrawn.
    LinkRevoked = "link_revoked",
    /// A device was let in, or a code was not one.
    DeviceApproved = "device_approved",
    /// A device was turned away.
    DeviceRefused = "device_refused",
    /// A secret for signed-header login was set.
    HeaderSecretSet = "header_secret_set",
    /// A secret for signed-header login was removed.
    HeaderSecretRemoved = "header_secret_removed",
    /// An account has a further factor.
    FactorAdded = "factor_added",
    /// A factor was taken away.
    FactorRemoved = "factor_removed",
    /// A passkey answered with a counter that did not rise: it may have been copied.
    PasskeySuspect = "passkey_suspect",
    /// Recovery codes were made.
    RecoveryCodesMade = "recovery_codes_made",
    /// A recovery code was used.
    RecoveryCodeUsed = "recovery_code_used",
    /// A recovery link stood in for a lost factor.
    FactorRecovered = "factor_recovered",
    /// A second factor is demanded of an account or a group, or no more.
    FactorDemanded = "factor_demanded",
    /// A group was made.
    GroupCreated = "group_created",
    /// A group's name, members or buckets changed.
    GroupChanged = "group_changed",
    /// A group was removed.
    GroupDeleted = "group_deleted",
    /// A first-party app was declared, changed or taken away.
    AppChanged = "app_changed",
    /// A bucket was declared, changed or taken away.
    BucketChanged = "bucket_changed",
    /// A personal token was made.
    PersonalTokenCreated = "personal_token_created",
    /// A personal token was withdrawn.
    PersonalTokenRevoked = "personal_token_revoked",
    /// A signing key became current.
    KeyRotated = "key_rotated",
    /// A copy of the database was made.
    BackupMade = "backup_made",
    /// A copy was put in place of the database.
    BackupRestored = "backup_restored",
}

impl Event {
    /// What the account's owner is told by mail when it happened, as a sentence. Whoever did it, the owner may not
    /// know of it: of everything by which somebody logs in, proves who they are, or is kept from it (ASVS 6.3.7).
    fn notice(self, outcome: Outcome) -> Option<&'static str> {
        // Refused, and told all the same: somebody holds what only its owner should.
        if self == Event::PasskeySuspect {
            return Some("A passkey of your account answered as a copy of it would, and was refused.");
        }
        match self {
            _ if outcome == Outcome::Refused => None,
            Event::PasswordChanged => Some("The password of your account was changed."),
            Event::PersonalTokenCreated => Some("A personal token was made for your account."),
            Event::HeaderSecretSet => Some("The secret by which programs log in to your account was set."),
            Event::HeaderSecretRemoved => Some("The secret by which programs log in to your account was removed."),
            Event::FactorAdded => Some("Your account has another second factor."),
            Event::FactorRemoved => Some("A second factor of your account was taken away."),
            Event::RecoveryCodesMade => Some("New recovery codes were made for your account."),
            Event::RecoveryCodeUsed => Some("A recovery code of your account was used."),
            Event::FactorRecovered => Some("A recovery link stood in for a second factor of your account."),
            // Of new devices the session tells, of another address `login::letters`; the rest is no way in.
            Event::Login
            | Event::PasskeySuspect
            | Event::Reauthenticated
            | Event::Logout
            | Event::SessionEnded
            | Event::RefreshReplayed
            | Event::AccountCreated
            | Event::AccountChanged
            | Event::AccountDisabled
            | Event::AccountEnabled
            | Event::AccountDeleted
            | Event::LinkCreated
            | Event::LinkUsed
            | Event::LinkChanged
            | Event::LinkRevoked
            | Event::DeviceApproved
            | Event::DeviceRefused
            | Event::FactorDemanded
            | Event::GroupCreated
            | Event::GroupChanged
            | Event::GroupDeleted
            | Event::AppChanged
            | Event::BucketChanged
            | Event::PersonalTokenRevoked
            | Event::KeyRotated
            | Event::BackupMade
            | Event::BackupRestored => None,
        }
    }
}

/// Whether it succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It did.
    Done,
    /// It was refused.
    Refused,
}

impl Outcome {
    /// The word in the table.
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Done => "done",
            Outcome::Refused => "refused",
        }
    }
}

/// An event before it is written.
#[derive(Clone, Debug)]
pub struct Entry {
    id: EventId,
    at: Time,
    event: Event,
    outcome: Outcome,
    account: Option<AccountId>,
    actor: Option<AccountId>,
    session: Option<SessionId>,
    target: String,
    address: String,
    request: String,
    detail: String,
    notice: Option<Outgoing>,
}

impl Entry {
    /// An event of this request. The actor is who the request was admitted as, if anybody.
    pub fn new(cx: &Cx, event: Event, outcome: Outcome) -> Entry {
        let caller = cx.caller.as_ref();
        Entry {
            id: EventId::next(cx.now, &cx.app.events, &cx.app.rng),
            at: cx.now,
            event,
            outcome,
            account: caller.map(|caller| caller.account()),
            actor: caller.map(|caller| caller.account()),
            session: caller.and_then(|caller| caller.session()),
            target: String::new(),
            address: cx.request.address.to_string(),
            request: cx.request.id.clone(),
            detail: String::new(),
            notice: event.notice(outcome).and_then(|what| notice(cx, what)),
        }
    }

    /// Whose account and session it is about, when they are not the caller's own.
    pub fn about(&self, account: AccountId, session: SessionId) -> Entry {
        Entry { account: Some(account), session: Some(session), ..self.clone() }
    }

    /// Who did it, where the act itself is what proves who is there.
    pub fn by(self, actor: AccountId) -> Entry {
        Entry { actor: Some(actor), ..self }
    }

    /// Whose account it is about.
    pub fn of(self, account: AccountId) -> Entry {
        Entry { account: Some(account), ..self }
    }

    /// What it was done to, by public name or id.
    pub fn target(self, target: impl ToString) -> Entry {
        Entry { target: target.to_string(), ..self }
    }

    /// A short word more: a reason, a method, the new value.
    pub fn detail(self, detail: impl ToString) -> Entry {
        Entry { detail: detail.to_string(), ..self }
    }

    /// Tells the account's owner by mail in these words, a sentence, in place of the event's own.
    pub fn telling(self, cx: &Cx, what: &str) -> Entry {
        Entry { notice: notice(cx, what), ..self }
    }

    /// Writes the event with the transaction it tells of, and the letter that tells the account's owner.
    pub async fn record(&self, tx: &mut Tx) -> Result<(), Error> {
        store::insert(tx, self).await?;
        if let (Some(notice), Some(account)) = (&self.notice, self.account) {
            notice.post(tx, account, self.at).await?;
        }
        Ok(())
    }
}

fn notice(cx: &Cx, what: &str) -> Option<Outgoing> {
    let (what, address) = (what.to_owned(), cx.request.address.to_string());
    Outgoing::notice(cx, &Letter::Changed { what, address, at: cx.now.rfc3339() })
}

/// An event as it was written.
#[derive(Clone, Debug, serde::Serialize, utoipa::ToSchema)]
pub struct Recorded {
    /// The event's id; newer events have greater ids.
    #[schema(value_type = String)]
    pub id: EventId,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Time,
    /// What, as in [`Event::word`].
    pub event: String,
    /// `done` or `refused`.
    pub result: String,
    /// Whose account it is about.
    #[schema(value_type = Option<String>)]
    pub account: Option<AccountId>,
    /// Who did it.
    #[schema(value_type = Option<String>)]
    pub actor: Option<AccountId>,
    /// In which session, or which session it is about.
    #[schema(value_type = Option<String>)]
    pub session: Option<SessionId>,
    /// What it was done to.
    pub target: String,
    /// The client's address.
    pub address: String,
    /// The request's id, as in the log.
    pub request: String,
    /// A short word more.
    pub detail: String,
}

/// Which events to list. Empty fields match everything.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// An event's word.
    pub event: Option<String>,
    /// An account.
    pub account: Option<AccountId>,
    /// Not older than this.
    pub since: Option<Time>,
    /// Only events before this one: the last of the page before.
    pub before: Option<EventId>,
}

/// Removes events whose retention is over.
pub async fn forget(cx: &Cx, limit: u32) -> Result<u64, Error> {
    let before = smallest_at(cx.now - cx.app.config.audit.retain);
    cx.write("audit.forget", async move |tx| store::forget(tx, before, limit).await).await
}

/// The smallest id of an instant (RFC 9562 section 5.7): 48 bits of milliseconds, then nothing.
fn smallest_at(instant: Time) -> EventId {
    let mut smallest = [0; 16];
    smallest[..6].copy_from_slice(&instant.0.max(0).cast_unsigned().to_be_bytes()[2..]);
    EventId::from_bytes(smallest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_has_a_word_of_its_own() {
        let words: std::collections::BTreeSet<_> = Event::ALL.iter().map(|event| event.word()).collect();
        assert_eq!(words.len(), Event::ALL.len());
    }
}
