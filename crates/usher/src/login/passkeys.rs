//! Passkeys (WebAuthn Level 3): keys that a phone, a computer or a stick holds and that prove by signing.
//!
//! Promises: a challenge is random, lives five minutes and is answered once; an answer counts only for this very
//! origin, not framed by another site, with the person verified by their device; a signature counter that does not rise
//! is refused and told to the audit log; a credential belongs to one account; a removed passkey is of no use from the
//! commit on, also for a challenge that is out.
//! Refuses: to say whether a name has passkeys. Only after a right password are its credentials named.
//!
//! Verifying is `webauthn-rs`; what it leaves to its caller (the challenge's single use, the counter's race, framing, who
//! owns a credential) is decided here. Its challenges come from the operating system's randomness, not from `App::rng`.
//! A passkey verifies its person (a PIN, a finger, a face), so it is several factors by itself. Where the server's owner
//! takes keys that cannot (`accounts.passkey_verification`), such a key is possession and no more: the second step after
//! a password, a fresh proof, and never a login of its own.

mod party;

pub use party::RelyingParty;

use super::factors::{self, Confirmed, FactorError};
use super::notices::{Change, What};
use super::step::{self, Mark, Step};
use super::store::passkeys as store;
use crate::audit::{Entry, Event, Outcome};
use crate::cx::Cx;
use crate::id::{AccountId, PasskeyId};
use crate::sessions::Proof;
use crate::time::Time;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::Value;
use usher_db::{Db, Error, Tx};
use webauthn_rs::prelude::{
    Passkey as Credential, PublicKeyCredential, RegisterPublicKeyCredential, SecurityKey, Uuid, WebauthnError,
};

/// The most that one account may have.
const MOST: i64 = 20;
/// The longest name, in characters.
const LONGEST_NAME: usize = 64;

/// The party, when the browser that asks is at its address.
pub fn available(cx: &Cx) -> Option<&RelyingParty> {
    let party = cx.app.passkeys.as_ref()?;
    let host = cx.request.origin.split("://").nth(1)?.split(':').next()?;
    (host == party.id).then_some(party)
}

/// A passkey, as its row tells it.
#[derive(Clone, Debug)]
pub struct Passkey {
    /// Its public id here.
    pub id: PasskeyId,
    /// Whose.
    pub account: AccountId,
    /// What its authenticator calls it, in base64url.
    pub credential_id: String,
    /// The verifying key and what belongs to it.
    pub credential: String,
    /// The signature counter; zero where the authenticator counts nothing.
    pub counter: i64,
    /// The name of the server that it was made for.
    pub party: String,
    /// What its owner calls it.
    pub name: String,
    /// When it was registered.
    pub made_at: Time,
    /// The last login or proof by it.
    pub last_used_at: Option<Time>,
}

impl Passkey {
    fn credential(&self) -> Option<Credential> {
        serde_json::from_str(&self.credential).ok()
    }

    /// The same, as the library calls a key that need not verify its person: it writes both alike.
    fn security_key(&self) -> Option<SecurityKey> {
        serde_json::from_str(&self.credential).ok()
    }
}

/// The account's passkeys, oldest first.
pub async fn list(db: &Db, account: AccountId) -> Result<Vec<Passkey>, Error> {
    store::list(db, account).await
}

/// A challenge: what the browser is asked, and the step that its answer comes with.
pub struct Challenge {
    /// The options of the browser's call, as JSON with base64url.
    pub options: Value,
    /// To be sent back with the answer.
    pub step: String,
}

/// How a passkey proves, in a session's `amr` (RFC 8176): `pop` by a device that verified its person, else `hwk`.
fn method(verified: bool) -> &'static str {
    if verified { "pop" } else { "hwk" }
}

fn registering(account: AccountId) -> String {
    format!("passkey registration: {account}")
}

/// What an answer is for: a login or, of somebody who is logged in, a fresh proof.
fn proving(account: Option<AccountId>) -> String {
    account.map_or_else(|| "passkey login".to_owned(), |account| format!("passkey proof: {account}"))
}

/// A name that a passkey may have: what its owner typed, without control characters.
pub fn name(text: &str) -> Result<String, FactorError> {
    let name: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let fits = !name.is_empty() && name.chars().count() <= LONGEST_NAME && !name.chars().any(char::is_control);
    if fits { Ok(name) } else { Err(FactorError::Name) }
}

/// Begins to register a passkey for the caller, who proved a moment ago who they are.
pub async fn begin_registration(cx: &Cx, account: AccountId, username: &str) -> Result<Challenge, FactorError> {
    let party = available(cx).ok_or(FactorError::NotHere)?;
    let known = store::list(&cx.app.db, account).await?;
    let user = Uuid::from_bytes(account.bytes());
    let (options, state) = party.register(user, username, &known).map_err(|_| FactorError::NotHere)?;
    let step = step::mint(cx, &registering(account), &state).ok_or(FactorError::Sealing)?;
    Ok(Challenge { options, step })
}

/// Registers the passkey that the browser made. The account's first factor comes with recovery codes.
pub async fn register(
    cx: &Cx,
    account: AccountId,
    step: &str,
    answer: &RegisterPublicKeyCredential,
    name: &str,
    end_others: bool,
) -> Result<Confirmed, FactorError> {
    let party = available(cx).ok_or(FactorError::NotHere)?;
    let name = self::name(name)?;
    let step: Step<party::Registering> =
        step::open(cx, &registering(account), step).ok_or(FactorError::NothingWaits)?;
    let made = party.registered(answer, &step.body).map_err(|error| {
        tracing::info!(%account, %error, "a passkey was not registered");
        FactorError::WrongCode
    })?;
    let passkey = Passkey {
        id: PasskeyId::new(cx.now, &cx.app.rng),
        account,
        credential_id: made.id,
        credential: made.credential,
        counter: 0,
        party: party.id.clone(),
        name: name.clone(),
        made_at: cx.now,
        last_used_at: None,
    };
    let told = Change::new(cx, account, What::PasskeyAdded, &name);
    let mark = step.mark;
    factors::added(cx, account, method(made.verified), told, end_others, async move |tx: &mut Tx| {
        if !mark.spend(tx).await? {
            return Ok(Err(FactorError::NothingWaits));
        }
        if store::count(tx, account).await? >= MOST {
            return Ok(Err(FactorError::TooMany));
        }
        Ok(if store::insert(tx, &passkey).await? { Ok(()) } else { Err(FactorError::Taken) })
    })
    .await
}

/// Asks for an answer by a passkey: of whoever is there, of the account whose password was right, or once more of the
/// account that is logged in.
pub async fn ask(cx: &Cx, known: Option<AccountId>, logged_in: Option<AccountId>) -> Result<Option<Challenge>, Error> {
    let Some(party) = available(cx) else { return Ok(None) };
    let keys = match known.or(logged_in) {
        Some(account) => Some(store::list(&cx.app.db, account).await?),
        None => None,
    };
    let Ok((options, state)) = party.ask(keys.as_deref()) else { return Ok(None) };
    let step = step::mint(cx, &proving(logged_in), &state);
    Ok(step.map(|step| Challenge { options, step }))
}

/// An answer by a passkey that was judged right and is not used up yet.
#[derive(Clone, Debug)]
pub struct Answered {
    /// Whose passkey.
    pub account: AccountId,
    /// Whether its device verified the person.
    pub verified: bool,
    id: PasskeyId,
    credential: String,
    counter: i64,
    mark: Mark,
}

impl Answered {
    /// How it proves, in a session's `amr`.
    pub fn method(&self) -> &'static str {
        method(self.verified)
    }

    /// Uses the challenge up and notes the counter. `false` when the challenge was answered before, the counter was
    /// overtaken, or the passkey is gone.
    pub async fn spend(&self, tx: &mut Tx, now: Time) -> Result<bool, Error> {
        Ok(self.mark.spend(tx).await?
            && store::used(tx, self.account, self.id, &self.credential, self.counter, now).await?)
    }
}

/// What the browser signed, as far as `webauthn-rs` leaves it to us.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClientData {
    #[serde(default)]
    cross_origin: bool,
    top_origin: Option<String>,
}

/// Judges an answer. `known` is whose it must be; without one the authenticator must say whose it is (WebAuthn section
/// 7.2, step 6). Uses nothing up.
pub async fn judge(
    cx: &Cx,
    step: &str,
    answer: &PublicKeyCredential,
    known: Option<AccountId>,
    logged_in: Option<AccountId>,
) -> Result<Option<Answered>, Error> {
    let Some(party) = available(cx) else { return Ok(None) };
    let Some(step) = step::open::<party::Asking>(cx, &proving(logged_in), step) else { return Ok(None) };
    // Somebody who is known by nothing but this passkey must be verified by it, also under a question that was made for
    // somebody whose password was right.
    if known.or(logged_in).is_none() && !matches!(step.body, party::Asking::Verified(_)) {
        return Ok(None);
    }
    // Not in a frame of another site: neither said so by the flag, nor by naming the site.
    let framed = serde_json::from_slice::<ClientData>(answer.response.client_data_json.as_ref())
        .map_or(true, |data| data.cross_origin || data.top_origin.is_some());
    let Some(passkey) = store::by_credential(&cx.app.db, &URL_SAFE_NO_PAD.encode(answer.get_credential_id())).await?
    else {
        return Ok(None);
    };
    let named = match answer.get_user_unique_id() {
        Some(handle) => handle == passkey.account.bytes(),
        None => known.or(logged_in).is_some(),
    };
    let theirs = known.or(logged_in).is_none_or(|known| known == passkey.account);
    let Some(mut credential) = passkey.credential().filter(|_| named && theirs && !framed) else { return Ok(None) };
    match party.judge(answer, step.body, &credential) {
        Ok(result) => {
            credential.update_credential(&result);
            let Ok(text) = serde_json::to_string(&credential) else { return Ok(None) };
            let counter = i64::from(result.counter());
            Ok(Some(Answered {
                account: passkey.account,
                verified: result.user_verified(),
                id: passkey.id,
                credential: text,
                counter,
                mark: step.mark,
            }))
        }
        Err(WebauthnError::CredentialPossibleCompromise) => {
            let entry =
                Entry::new(cx, Event::PasskeySuspect, Outcome::Refused).of(passkey.account).target(&passkey.name);
            cx.write("passkeys.suspect", async move |tx| entry.record(tx).await).await?;
            Ok(None)
        }
        Err(error) => {
            tracing::info!(account = %passkey.account, %error, "an answer by a passkey was refused");
            Ok(None)
        }
    }
}

/// Gives a passkey another name.
pub async fn rename(cx: &Cx, account: AccountId, id: PasskeyId, text: &str) -> Result<(), FactorError> {
    let name = name(text)?;
    let renamed = cx.write("passkeys.rename", async move |tx| store::rename(tx, account, id, &name).await).await?;
    if renamed { Ok(()) } else { Err(FactorError::NotFound) }
}

/// Removes a passkey of the caller, who proves once more who they are.
pub async fn remove(cx: &Cx, account: AccountId, id: PasskeyId, proof: &Proof) -> Result<(), FactorError> {
    let known = store::list(&cx.app.db, account).await?;
    let name = known.into_iter().find(|key| key.id == id).ok_or(FactorError::NotFound)?.name;
    let told = Change::new(cx, account, What::PasskeyRemoved, &name);
    factors::removed(cx, account, told, Some(proof), async move |tx: &mut Tx| {
        Ok(store::delete(tx, account, id).await?.is_some())
    })
    .await
}

/// The names of the server under which passkeys were made, and how many under each.
pub async fn by_party(db: &Db) -> Result<Vec<(String, i64)>, Error> {
    store::by_party(db).await
}

/// What to say when the server is, or is about to be, known by another name than passkeys were made for: they are of no
/// use then. `party` is the name that it has, or will have.
pub fn stranded(made: &[(String, i64)], party: Option<&RelyingParty>) -> Option<String> {
    let own = party.map_or("", RelyingParty::id);
    let others = made.iter().filter(|(name, count)| name != own && *count > 0);
    let lost: Vec<String> = others.map(|(name, count)| format!("{count} made for {name}")).collect();
    let under = if own.is_empty() { "an address that browsers give no passkeys for" } else { own };
    (!lost.is_empty()).then(|| {
        format!(
            "passkeys are bound to the name in server.public_url, and these are of no use under {under}: {}. Keep the name, \
             or have their owners set up another factor before it changes",
            lost.join(", ")
        )
    })
}
