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
//! A passkey always verifies its person (a PIN, a finger, a face), so it is several factors by itself.

use super::factors::{self, Confirmed, FactorError};
use super::notices::{Change, What};
use super::step::{self, Mark, Step};
use super::store::passkeys as store;
use crate::audit::{Entry, Event, Outcome};
use crate::config::Config;
use crate::cx::Cx;
use crate::id::{AccountId, PasskeyId};
use crate::sessions::Proof;
use crate::time::Time;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Value, json};
use usher_db::{Db, Error, Tx};
use webauthn_rs::prelude::{
    DiscoverableAuthentication, Passkey as Credential, PasskeyRegistration, PublicKeyCredential,
    RegisterPublicKeyCredential, Url, Uuid, WebauthnError,
};
use webauthn_rs::{Webauthn, WebauthnBuilder};

/// The most that one account may have.
const MOST: i64 = 20;
/// The longest name, in characters.
const LONGEST_NAME: usize = 64;

/// Who asks browsers for passkeys: this server, under its one name.
pub struct RelyingParty {
    webauthn: Webauthn,
    id: String,
}

impl RelyingParty {
    /// The party of this configuration: the public address, else this machine's own name. `None` where browsers know
    /// no passkeys: for an address of numbers, and for plain HTTP that is not of this machine.
    pub fn of(config: &Config) -> Option<RelyingParty> {
        let origin = match &config.server.public_url {
            Some(url) => Url::parse(&url.to_string()).ok()?,
            None => Url::parse(&format!("http://localhost:{}", config.server.listen.port())).ok()?,
        };
        let id = origin.domain()?.to_owned();
        if origin.scheme() != "https" && id != "localhost" {
            return None;
        }
        // Without a public address nobody knows by which port a proxy or a test is reached.
        let any_port = config.server.public_url.is_none();
        let builder = WebauthnBuilder::new(&id, &origin).ok()?.allow_any_port(any_port);
        let webauthn = builder.rp_name(&config.server.service_name).timeout(step::LIFE).build().ok()?;
        Some(RelyingParty { webauthn, id })
    }

    /// The name that passkeys are bound to. They are of no use under another one.
    pub fn id(&self) -> &str {
        &self.id
    }
}

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
    let known = known.iter().filter_map(Passkey::credential).map(|key| key.cred_id().clone()).collect();
    let user = Uuid::from_bytes(account.bytes());
    let started = party.webauthn.start_passkey_registration(user, username, username, Some(known));
    let (options, state) = started.map_err(|_| FactorError::NotHere)?;
    let mut options = serde_json::to_value(options).map_err(|_| FactorError::NotHere)?;
    // A passkey that its device lists by itself can log in without a name. One that cannot is a second factor still.
    if let Some(selection) = options.pointer_mut("/publicKey/authenticatorSelection") {
        selection["residentKey"] = json!("preferred");
    }
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
    let step: Step<PasskeyRegistration> =
        step::open(cx, &registering(account), step).ok_or(FactorError::NothingWaits)?;
    let key = party.webauthn.finish_passkey_registration(answer, &step.body).map_err(|error| {
        tracing::info!(%account, %error, "a passkey was not registered");
        FactorError::WrongCode
    })?;
    let passkey = Passkey {
        id: PasskeyId::new(cx.now, &cx.app.rng),
        account,
        credential_id: URL_SAFE_NO_PAD.encode(key.cred_id()),
        credential: serde_json::to_string(&key).map_err(|_| FactorError::Sealing)?,
        counter: 0,
        party: party.id.clone(),
        name: name.clone(),
        made_at: cx.now,
        last_used_at: None,
    };
    let told = Change::new(cx, account, What::PasskeyAdded, &name);
    let mark = step.mark;
    factors::added(cx, account, "pop", told, end_others, async move |tx: &mut Tx| {
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
    let Ok((options, state)) = party.webauthn.start_discoverable_authentication() else { return Ok(None) };
    let Ok(mut options) = serde_json::to_value(options) else { return Ok(None) };
    if let Some(account) = known.or(logged_in) {
        let keys = store::list(&cx.app.db, account).await?;
        let allowed: Vec<Value> =
            keys.iter().map(|key| json!({"type": "public-key", "id": key.credential_id})).collect();
        options["publicKey"]["allowCredentials"] = Value::Array(allowed);
    }
    if let Some(options) = options.as_object_mut() {
        // Whether the browser offers it in the name's field or asks at once is for the page to say.
        options.remove("mediation");
    }
    let step = step::mint(cx, &proving(logged_in), &state);
    Ok(step.map(|step| Challenge { options, step }))
}

/// An answer by a passkey that was judged right and is not used up yet.
#[derive(Clone, Debug)]
pub struct Answered {
    /// Whose passkey.
    pub account: AccountId,
    id: PasskeyId,
    credential: String,
    counter: i64,
    mark: Mark,
}

impl Answered {
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
    let Some(step) = step::open::<DiscoverableAuthentication>(cx, &proving(logged_in), step) else { return Ok(None) };
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
    let verified = party.webauthn.finish_discoverable_authentication_v2(answer, step.body, &credential);
    match verified {
        Ok(result) => {
            credential.update_credential(&result);
            let Ok(text) = serde_json::to_string(&credential) else { return Ok(None) };
            let counter = i64::from(result.counter());
            Ok(Some(Answered { account: passkey.account, id: passkey.id, credential: text, counter, mark: step.mark }))
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

/// How many passkeys were made under another name than this server's, and one such name: they are of no use now.
pub async fn stranded(db: &Db, party: Option<&RelyingParty>) -> Result<Option<(String, i64)>, Error> {
    store::of_others(db, party.map_or("", RelyingParty::id)).await
}
