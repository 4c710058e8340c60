//! Changes of an account's factors: told to the audit log, and to the account's owner at the next login and by mail.
//!
//! Promises: there is no change of a factor without all of them, because [`Change::record`] writes them with the act.

use super::store::factors as store;
use crate::audit::{Entry, Event, Outcome};
use crate::cx::Cx;
use crate::id::{AccountId, NoticeId};
use crate::time::Time;
use std::str::FromStr;
use std::time::Duration;
use usher_db::{Error, Tx};

macro_rules! whats {
    ($($(#[$doc:meta])* $name:ident = $word:literal, $event:ident, $told:literal;)*) => {
        /// What changed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum What { $($(#[$doc])* $name,)* }

        impl What {
            /// Every kind.
            pub const ALL: &[What] = &[$(What::$name,)*];

            /// The word in the table and in answers. Stable.
            pub fn word(self) -> &'static str {
                match self { $(What::$name => $word,)* }
            }

            /// What the owner is told, without who did it and to which one.
            pub fn told(self) -> &'static str {
                match self { $(What::$name => $told,)* }
            }

            fn event(self) -> Event {
                match self { $(What::$name => Event::$event,)* }
            }
        }
    };
}

whats! {
    /// An authenticator app was set up.
    TotpAdded = "totp_added", FactorAdded, "An authenticator app was set up";
    /// The authenticator app was removed.
    TotpRemoved = "totp_removed", FactorRemoved, "The authenticator app was switched off";
    /// A passkey was registered.
    PasskeyAdded = "passkey_added", FactorAdded, "A passkey was registered";
    /// A passkey was removed.
    PasskeyRemoved = "passkey_removed", FactorRemoved, "A passkey was removed";
    /// An administrator took every factor away.
    AllRemoved = "all_removed", FactorRemoved, "Your second factors were taken away";
    /// New recovery codes were made; older ones are of no use.
    CodesMade = "recovery_codes_made", RecoveryCodesMade, "New recovery codes were made";
    /// A recovery code was used.
    CodeUsed = "recovery_code_used", RecoveryCodeUsed, "A recovery code was used to log in";
    /// A recovery link stood in for a lost factor.
    Recovered = "factor_recovered", FactorRecovered, "A recovery link was used in place of a lost factor";
}

impl FromStr for What {
    type Err = ();
    fn from_str(word: &str) -> Result<What, ()> {
        What::ALL.iter().copied().find(|what| what.word() == word).ok_or(())
    }
}

/// A notice for the owner.
#[derive(Clone, Debug)]
pub struct News {
    /// The id; later ones are greater.
    pub id: NoticeId,
    /// When.
    pub at: Time,
    /// What.
    pub what: What,
    /// Which one, by the name its owner gave it.
    pub detail: String,
    /// Whether somebody who was logged in as the owner did it, and no administrator.
    pub own: bool,
    /// From where.
    pub address: String,
}

/// A change that is about to be made.
#[derive(Clone, Debug)]
pub struct Change {
    account: AccountId,
    entry: Entry,
    news: News,
}

impl Change {
    /// A change of `account`'s factors by whoever asks.
    pub fn new(cx: &Cx, account: AccountId, what: What, detail: &str) -> Change {
        let own = cx.caller.as_ref().is_some_and(|caller| caller.account() == account);
        let said = if detail.is_empty() { what.word().to_owned() } else { format!("{}: {detail}", what.word()) };
        let name = if detail.is_empty() { String::new() } else { format!(": {detail}") };
        let told = format!("{}{name}.", what.told());
        Change {
            account,
            entry: Entry::new(cx, what.event(), Outcome::Done).of(account).detail(said).telling(cx, &told),
            news: News {
                id: NoticeId::new(cx.now, &cx.app.rng),
                at: cx.now,
                what,
                detail: detail.to_owned(),
                own,
                address: cx.request.address.to_string(),
            },
        }
    }

    /// The same, by the account's owner, where the act itself proves who is there.
    pub fn by_owner(mut self) -> Change {
        self.entry = self.entry.by(self.account);
        self.news.own = true;
        self
    }

    /// Whose account it is, for the audit log.
    pub fn target(mut self, username: &str) -> Change {
        self.entry = self.entry.target(username);
        self
    }

    /// Writes the event and the notice with the change.
    pub async fn record(&self, tx: &mut Tx) -> Result<(), Error> {
        self.entry.record(tx).await?;
        store::insert_notice(tx, self.account, &self.news).await
    }
}

/// How many notices are shown at once.
const SHOWN: u32 = 50;
/// How long one is kept.
pub(super) const KEPT: Duration = Duration::from_secs(180 * 24 * 3600);

/// Whether there is something the owner has not been shown.
pub async fn any(cx: &Cx, account: AccountId) -> Result<bool, Error> {
    store::has_news(&cx.app.db, account).await
}

/// What the owner has not been shown, newest first.
pub async fn unseen(cx: &Cx, account: AccountId) -> Result<Vec<News>, Error> {
    store::news(&cx.app.db, account, SHOWN).await
}

/// Notes that the owner has seen everything up to `last`. What came later is shown next time.
pub async fn seen(cx: &Cx, account: AccountId, last: NoticeId) -> Result<(), Error> {
    let now = cx.now;
    cx.write("notices.seen", async move |tx| store::seen(tx, account, last, now).await).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_has_a_word_of_its_own_and_reads_back() {
        for what in What::ALL {
            assert_eq!(what.word().parse(), Ok(*what));
        }
        assert_eq!("nonsense".parse::<What>(), Err(()));
    }
}
