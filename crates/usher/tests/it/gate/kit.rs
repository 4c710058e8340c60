//! One account with one credential of every kind, live and dead, as a thief or a confused program might hold them.

use crate::support::app::{PASSWORD, TestApp};
use serde_json::json;
use std::time::Duration;
use usher::accounts::{self, Buckets, Role};
use usher::devices;
use usher::gate::{self, Caller, Door, Refusal, Shown};
use usher::id::{AccountId, PersonalTokenId};
use usher::login::links;
use usher::media::path::CanonicalPath;
use usher::media::token::{self as media_token, Fields, Scope as MediaScope};
use usher::time::Time;
use usher::tokens::personal::{self, NewPersonalToken, Scope};

/// What a link for an address was sent to.
pub const ADDRESS: &str = "root@mail.example";

/// What somebody can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum What {
    Cookie,
    Access,
    Media,
    Personal,
    Refresh,
    UsedRefresh,
    AppAccess,
    ExpiredAccess,
    OutdatedAccess,
    RenewedCookie,
    EndedCookie,
    EndedAccess,
    EndedMedia,
    EndedRefresh,
    ExpiredPersonal,
    RevokedPersonal,
    Setup,
    Invite,
    Reset,
    Recover,
    Verify,
    SpentInvite,
    DeviceCode,
    UserCode,
    MediaUrl,
    SessionId,
    AccountId,
}

/// A credential, or what looks like one.
#[derive(Clone, Debug)]
pub struct Held {
    pub what: What,
    pub text: String,
}

/// A server on which `root`, an admin who may open every bucket, holds all of them.
pub struct Kit {
    pub app: TestApp,
    pub root: AccountId,
    pub held: Vec<Held>,
}

impl Kit {
    pub async fn new() -> Kit {
        let app = TestApp::with(|config| {
            config.accounts.signup = usher::config::Signup::Invite;
            config.apps.push(usher::config::App {
                name: "shop".to_owned(),
                origins: vec!["https://shop.example".parse().unwrap()],
                audience: Some("shop-api".to_owned()),
            });
        })
        .await;
        let root = app.account_with("root", Role::Admin, Buckets::Every, PASSWORD).await;
        let mut kit = Kit { app, root, held: Vec::new() };
        kit.hold_the_expired().await;
        kit.hold_the_ended().await;
        kit.hold_the_live().await;
        kit
    }

    /// The text of one credential.
    pub fn get(&self, what: What) -> &str {
        &self.held.iter().find(|held| held.what == what).unwrap().text
    }

    fn hold(&mut self, what: What, text: impl Into<String>) {
        self.held.push(Held { what, text: text.into() });
    }

    async fn hold_the_expired(&mut self) {
        let login = self.app.tokens("root").await;
        self.hold(What::ExpiredAccess, login["access_token"].as_str().unwrap());
        let soon = self.app.clock.now() + Duration::from_secs(1);
        let (personal, _) = self.personal(Scope::ALL.to_vec(), Some(soon)).await;
        self.hold(What::ExpiredPersonal, personal);
        self.app.advance(Duration::from_secs(660));
    }

    async fn hold_the_ended(&mut self) {
        let login = self.app.tokens("root").await;
        self.hold(What::OutdatedAccess, login["access_token"].as_str().unwrap());
        let (root, now) = (self.root, self.app.clock.now());
        self.app.cx().write("test.raise", async move |tx| accounts::raise(tx, root, now).await).await.unwrap();

        let over = self.app.tokens("root").await;
        for (what, name) in [
            (What::EndedAccess, "access_token"),
            (What::EndedMedia, "media_token"),
            (What::EndedRefresh, "refresh_token"),
        ] {
            self.hold(what, over[name].as_str().unwrap());
        }
        let leaving = self.app.anonymous().bearing(over["access_token"].as_str().unwrap());
        assert_eq!(leaving.post("/api/v1/logout", json!({})).await.status, 204);
        let browser = self.app.logged_in("root").await;
        self.hold(What::EndedCookie, browser.cookie("usher").unwrap());
        assert_eq!(browser.form("/logout", &[]).await.status, 200);

        let (revoked, id) = self.personal(Scope::ALL.to_vec(), None).await;
        let gone = async move |tx: &mut usher_db::Tx| personal::revoke(tx, root, id, now).await;
        assert!(self.app.cx().write("test.revoke", gone).await.unwrap());
        self.hold(What::RevokedPersonal, revoked);

        let invite = self.link(links::Kind::Invite, None).await;
        let name = usher::accounts::username::Username::parse("guest").unwrap();
        links::create_account(&self.app.cx(), links::Kind::Invite, &invite, name, "no hash".to_owned()).await.unwrap();
        self.hold(What::SpentInvite, invite);
    }

    async fn hold_the_live(&mut self) {
        let renewed = self.app.logged_in("root").await;
        self.hold(What::RenewedCookie, renewed.cookie("usher").unwrap());
        let caller = self.admit(Slot::Cookie, &renewed.cookie("usher").unwrap(), Door::Page).await.unwrap();
        let renewal = usher::sessions::renew_secret(&self.app.cx(), caller.session().unwrap(), "pwd").await.unwrap();
        self.hold(What::Cookie, renewal.unwrap());

        let login = self.app.tokens("root").await;
        self.hold(What::Access, login["access_token"].as_str().unwrap());
        self.hold(What::Media, login["media_token"].as_str().unwrap());
        let first = login["refresh_token"].as_str().unwrap().to_owned();
        let second = self.refreshed(&first).await;
        let third = self.refreshed(&second).await;
        self.hold(What::UsedRefresh, first);
        self.hold(What::Refresh, third);
        let body = json!({"username": "root", "password": PASSWORD, "app": "shop"});
        let shop = self.app.anonymous().post("/api/v1/login", body).await.json();
        self.hold(What::AppAccess, shop["access_token"].as_str().unwrap());
        let (personal, _) = self.personal(Scope::ALL.to_vec(), None).await;
        self.hold(What::Personal, personal);

        for (what, kind, of) in [
            (What::Setup, links::Kind::Setup, None),
            (What::Invite, links::Kind::Invite, None),
            (What::Reset, links::Kind::Reset, Some(self.root)),
            (What::Recover, links::Kind::Recover, Some(self.root)),
            (What::Verify, links::Kind::Verify, Some(self.root)),
        ] {
            let token = self.link(kind, of).await;
            self.hold(what, token);
        }
        // Approved, and waiting for its device.
        let code = self.device_code().await;
        self.hold(What::DeviceCode, code.0);
        self.hold(What::UserCode, code.1);
        let access = self.admit(Slot::Bearer, self.get(What::Access), Door::Own).await.unwrap();
        self.hold(What::MediaUrl, self.media_url(access.grant()));
        self.hold(What::SessionId, access.session().unwrap().to_string());
        self.hold(What::AccountId, self.root.to_string());
    }

    async fn refreshed(&self, token: &str) -> String {
        let answer = self.app.anonymous().post("/api/v1/refresh", json!({"refresh_token": token})).await;
        answer.json()["refresh_token"].as_str().unwrap().to_owned()
    }

    /// A personal token of `root`: its text and its id.
    pub async fn personal(&self, scopes: Vec<Scope>, until: Option<Time>) -> (String, PersonalTokenId) {
        let cx = self.app.cx();
        let token = NewPersonalToken::draw(&cx, self.root, "script", scopes, until);
        let shown = (token.plain.expose().to_owned(), token.token.id);
        let row = token.row();
        cx.write("test.personal", async move |tx| row.insert(tx).await).await.unwrap();
        shown
    }

    /// What a device polls with, and the code on its screen, approved by `root`.
    async fn device_code(&self) -> (String, String) {
        let cx = self.app.cx();
        let begun = devices::begin(&cx, devices::Client::Device, "player").await.unwrap();
        let shown = begun.user.shown();
        devices::approve_as(&cx, self.root, &shown).await.unwrap();
        (begun.device.expose().to_owned(), shown)
    }

    async fn link(&self, kind: links::Kind, of: Option<AccountId>) -> String {
        let note = if kind == links::Kind::Verify { ADDRESS } else { "" };
        let made = links::make(&self.app.cx(), kind, of, note).await.unwrap();
        made.path.rsplit('/').next().unwrap().to_owned()
    }

    fn media_url(&self, grant: u64) -> String {
        let path = CanonicalPath::from_bytes(b"film.webm").unwrap();
        let now = self.app.clock.now();
        let exp = now + Duration::from_secs(3_600);
        let fields = Fields { exp, gid: grant, generation: 0, bucket: 1, download: false, hls: false };
        let keys = &self.app.app.media.keys;
        media_token::mint(keys, &fields, MediaScope::File(&path), None, now, &self.app.app.rng).unwrap()
    }

    /// Asks the gate itself.
    pub async fn admit(&self, slot: Slot, text: &str, door: Door) -> Result<Caller, Refusal> {
        let shown = match slot {
            Slot::Cookie => Shown { cookie: Some(text), bearer: None },
            Slot::Bearer => Shown { cookie: None, bearer: Some(text) },
        };
        gate::admit(&self.app.cx(), shown, door).await
    }
}

/// Where the gate looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    Cookie,
    Bearer,
}
