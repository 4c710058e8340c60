//! This server before browsers: what it asks them for passkeys, and how it judges their answers.
//!
//! Everything that names a type of `webauthn-rs` for a ceremony stands here.

use super::Passkey;
use crate::config::{Config, PasskeyVerification};
use crate::login::step;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use webauthn_rs::prelude::{
    AuthenticationResult, DiscoverableAuthentication, Passkey as Credential, PasskeyRegistration, PublicKeyCredential,
    RegisterPublicKeyCredential, SecurityKey, SecurityKeyAuthentication, SecurityKeyRegistration, Url, Uuid,
    WebauthnError,
};
use webauthn_rs::{Webauthn, WebauthnBuilder};

/// Who asks browsers for passkeys: this server, under its one name.
pub struct RelyingParty {
    webauthn: Webauthn,
    pub(super) id: String,
    verification: PasskeyVerification,
}

/// A registration that waits for the browser's answer.
#[derive(Serialize, Deserialize)]
pub(super) enum Registering {
    /// The person must be verified.
    Verified(PasskeyRegistration),
    /// The person need only be there.
    Present(SecurityKeyRegistration),
}

/// A credential that a browser made.
pub(super) struct Registered {
    /// What its authenticator calls it, in base64url.
    pub(super) id: String,
    /// The verifying key and what belongs to it.
    pub(super) credential: String,
    /// Whether its device verified the person.
    pub(super) verified: bool,
}

/// A question that waits for the browser's answer.
#[derive(Serialize, Deserialize)]
pub(super) enum Asking {
    /// The person must be verified.
    Verified(DiscoverableAuthentication),
    /// The person need only be there: somebody who is known already, by a password or by a session.
    Present(SecurityKeyAuthentication),
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
        Some(RelyingParty { webauthn, id, verification: config.accounts.passkey_verification })
    }

    pub(super) fn register(
        &self,
        user: Uuid,
        name: &str,
        known: &[Passkey],
    ) -> Result<(Value, Registering), WebauthnError> {
        let known = Some(known.iter().filter_map(Passkey::credential).map(|key| key.cred_id().clone()).collect());
        let (options, state) = match self.verification {
            PasskeyVerification::Required => {
                let (options, state) = self.webauthn.start_passkey_registration(user, name, name, known)?;
                (options, Registering::Verified(state))
            }
            PasskeyVerification::Preferred => {
                let (options, state) =
                    self.webauthn.start_securitykey_registration(user, name, name, known, None, None)?;
                (options, Registering::Present(state))
            }
        };
        let mut options = serde_json::to_value(options)?;
        if let (Registering::Present(_), Some(asked)) =
            (&state, options.get_mut("publicKey").and_then(Value::as_object_mut))
        {
            // The library thinks of sticks alone here; any kind of passkey is welcome. A key without a PIN could not be
            // used again if its credential were protected by one.
            asked.remove("hints");
            asked.remove("extensions");
        }
        // A passkey that its device lists by itself can log in without a name. One that cannot is a second factor still.
        if let Some(selection) = options.pointer_mut("/publicKey/authenticatorSelection") {
            selection["residentKey"] = json!("preferred");
        }
        Ok((options, state))
    }

    pub(super) fn registered(
        &self,
        answer: &RegisterPublicKeyCredential,
        asked: &Registering,
    ) -> Result<Registered, WebauthnError> {
        let (id, key) = match asked {
            Registering::Verified(state) => {
                let key = self.webauthn.finish_passkey_registration(answer, state)?;
                (URL_SAFE_NO_PAD.encode(key.cred_id()), serde_json::to_value(&key)?)
            }
            Registering::Present(state) => {
                let key = self.webauthn.finish_securitykey_registration(answer, state)?;
                (URL_SAFE_NO_PAD.encode(key.cred_id()), serde_json::to_value(&key)?)
            }
        };
        let verified = key.pointer("/cred/user_verified") == Some(&Value::Bool(true));
        Ok(Registered { id, credential: key.to_string(), verified })
    }

    /// Asks whoever is there or, with their passkeys, somebody who is known.
    pub(super) fn ask(&self, known: Option<&[Passkey]>) -> Result<(Value, Asking), WebauthnError> {
        let keys: Vec<SecurityKey> = known.unwrap_or_default().iter().filter_map(Passkey::security_key).collect();
        let (options, state) = if self.verification == PasskeyVerification::Preferred && !keys.is_empty() {
            let (options, state) = self.webauthn.start_securitykey_authentication(&keys)?;
            (options, Asking::Present(state))
        } else {
            let (options, state) = self.webauthn.start_discoverable_authentication()?;
            (options, Asking::Verified(state))
        };
        let mut options = serde_json::to_value(options)?;
        if let Some(known) = known {
            let allowed = known.iter().map(|key| json!({"type": "public-key", "id": key.credential_id}));
            options["publicKey"]["allowCredentials"] = Value::Array(allowed.collect());
        }
        if let Some(asked) = options.get_mut("publicKey").and_then(Value::as_object_mut) {
            asked.remove("hints");
        }
        if let Some(options) = options.as_object_mut() {
            // Whether the browser offers it in the name's field or asks at once is for the page to say.
            options.remove("mediation");
        }
        Ok((options, state))
    }

    pub(super) fn judge(
        &self,
        answer: &PublicKeyCredential,
        asked: Asking,
        key: &Credential,
    ) -> Result<AuthenticationResult, WebauthnError> {
        match asked {
            Asking::Verified(state) => self.webauthn.finish_discoverable_authentication_v2(answer, state, key),
            Asking::Present(state) => self.webauthn.finish_securitykey_authentication(answer, &state),
        }
    }

    /// The name that passkeys are bound to. They are of no use under another one.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether bytes are taken as the answer to a question that they do not belong to: as a new passkey, or as one by the
    /// passkey whose stored text is `stored`. They never are, for nobody guesses a challenge. Nothing asks this but whoever
    /// looks for bytes that break the reading of answers.
    ///
    /// # Errors
    /// When `stored` is no stored passkey.
    pub fn takes_unasked(&self, data: &[u8], stored: &str) -> Result<bool, serde_json::Error> {
        let key: Credential = serde_json::from_str(stored)?;
        let made = serde_json::from_slice::<RegisterPublicKeyCredential>(data).is_ok_and(|answer| {
            let asked = self.register(Uuid::nil(), "somebody", &[]);
            asked.is_ok_and(|(_, asked)| self.registered(&answer, &asked).is_ok())
        });
        let answered = serde_json::from_slice::<PublicKeyCredential>(data).is_ok_and(|answer| {
            let asked = self.ask(None);
            asked.is_ok_and(|(_, asked)| self.judge(&answer, asked, &key).is_ok())
        });
        Ok(made || answered)
    }
}
