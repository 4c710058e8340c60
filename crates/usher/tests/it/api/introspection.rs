//! `/oauth/introspect`: what somebody's token is worth, told to those who may ask, and nobody else.

use crate::gate::kit::{Held, Kit, Slot, What};
use crate::support::app::{Actor, Answer, PASSWORD, TestApp};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use serde_json::{Value, json};
use std::time::Duration;
use usher::accounts::{self, Buckets, Role, Standing};
use usher::gate::Door;
use usher::tokens::personal::Scope;

/// RFC 7662 section 2.2: not one byte tells why.
const INACTIVE: &str = r#"{"active":false}"#;

async fn ask(asker: &Actor, token: &str) -> Answer {
    asker.form("/oauth/introspect", &[("token", token)]).await
}

/// An API behind this server: it holds a personal token for that one thing.
async fn api(kit: &Kit) -> Actor {
    let (token, _) = kit.personal(vec![Scope::Introspect], None).await;
    kit.app.anonymous().bearing(&token)
}

async fn told(asker: &Actor, token: &str) -> Value {
    let answer = ask(asker, token).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    answer.json()
}

#[tokio::test]
async fn everything_that_is_worth_nothing_gets_the_same_bytes() {
    let kit = Kit::new().await;
    let api = api(&kit).await;
    let live = [What::Access, What::Media, What::Refresh, What::Personal, What::AppAccess];
    let mut all: Vec<(String, String)> = Vec::new();
    for Held { what, text } in kit.held.iter().filter(|held| !live.contains(&held.what)) {
        all.push((format!("{what:?}"), text.clone()));
    }
    for what in live {
        let text = kit.get(what);
        let half = text.len() / 2;
        let swapped = if text.as_bytes()[half] == b'A' { 'B' } else { 'A' };
        all.push((
            format!("{what:?} with one letter changed"),
            [&text[..half], &swapped.to_string(), &text[half + 1..]].concat(),
        ));
        all.push((format!("{what:?} cut short"), text[..text.len() - 1].to_owned()));
        all.push((format!("{what:?} and more"), format!("{text}A")));
    }
    for nonsense in ["x", " ", "..", "a.b.c", "usr_", "usp_", "\u{0}", "\u{1F511}", &"A".repeat(20_000)] {
        all.push((format!("{:.10}", nonsense), nonsense.to_owned()));
    }
    assert!(all.len() > 40);
    let mut headers = None;
    for (what, text) in all {
        let answer = ask(&api, &text).await;
        assert_eq!((answer.status, answer.text().as_str()), (StatusCode::OK, INACTIVE), "{what}");
        let told = [CONTENT_TYPE, CACHE_CONTROL].map(|name| answer.header(name.as_str()).to_owned());
        assert_eq!(*headers.get_or_insert(told.clone()), told, "{what}");
    }
    assert_eq!(headers.unwrap(), ["application/json", "no-store"]);
}

#[tokio::test]
async fn a_live_token_is_told_with_whose_it_is_and_what_for() {
    let kit = Kit::new().await;
    let api = api(&kit).await;
    let root = kit.root.to_string();
    let own = kit.app.app.keys.audience().to_owned();
    for (what, token_use, token_type, aud, client) in [
        (What::Access, "access", json!("Bearer"), own.as_str(), json!("usher")),
        (What::AppAccess, "access", json!("Bearer"), "shop-api", json!("shop")),
        (What::Media, "media", Value::Null, &own, json!("usher")),
        (What::Refresh, "refresh", Value::Null, &own, json!("usher")),
        (What::Personal, "personal", json!("Bearer"), &own, Value::Null),
    ] {
        let told = told(&api, kit.get(what)).await;
        assert_eq!((&told["active"], &told["sub"], &told["username"]), (&json!(true), &json!(root), &json!("root")));
        assert_eq!((&told["token_use"], &told["token_type"]), (&json!(token_use), &token_type), "{what:?}");
        assert_eq!((&told["aud"], &told["client_id"]), (&json!(aud), &client), "{what:?}");
        assert_eq!((&told["iss"], &told["roles"]), (&json!(kit.app.app.keys.issuer()), &json!(["admin"])), "{what:?}");
        assert_eq!(told["sid"].is_string(), what != What::Personal, "{what:?}");
        assert!(what == What::Personal || told["exp"].as_i64() > Some(kit.app.clock.now().seconds()), "{what:?}");
    }
    assert_eq!(told(&api, kit.get(What::Personal)).await["scope"], "media profile admin introspect");
    let hinted = [("token", kit.get(What::Access)), ("token_type_hint", "refresh_token"), ("unknown", "ignored")];
    assert_eq!(api.form("/oauth/introspect", &hinted).await.json()["token_use"], "access", "a hint is a hint");
}

#[tokio::test]
async fn only_an_admin_s_bearer_token_of_that_scope_may_ask() {
    let kit = Kit::new().await;
    let shown = kit.get(What::Access).to_owned();
    let bearing = |what: What| kit.app.anonymous().bearing(kit.get(what));
    assert_eq!(ask(&bearing(What::Access), &shown).await.status, StatusCode::OK);
    assert_eq!(ask(&kit.app.logged_in("root").await, &shown).await.status, StatusCode::UNAUTHORIZED, "a cookie");
    assert_eq!(ask(&kit.app.anonymous(), &shown).await.status, StatusCode::UNAUTHORIZED);
    for what in
        [What::Media, What::AppAccess, What::Refresh, What::ExpiredAccess, What::OutdatedAccess, What::EndedAccess]
    {
        let answer = ask(&bearing(what), &shown).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{what:?}");
        assert!(answer.header("www-authenticate").starts_with("Bearer"), "{what:?}");
    }
    for scope in [Scope::Media, Scope::Profile, Scope::Admin] {
        let (token, _) = kit.personal(vec![scope], None).await;
        let answer = ask(&kit.app.anonymous().bearing(&token), &shown).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{scope:?}");
    }
    kit.app.account("alice", Role::User).await;
    let alice = kit.app.tokens("alice").await;
    let hers = kit.app.anonymous().bearing(alice["access_token"].as_str().unwrap());
    assert_eq!(ask(&hers, &shown).await.status, StatusCode::FORBIDDEN);
    let wish = json!({"name": "mine", "scopes": ["introspect"]});
    assert_eq!(hers.post("/api/v1/me/tokens", wish).await.status, StatusCode::FORBIDDEN);
    for fields in [&[][..], &[("token", "")], &[("token", "x"), ("token", "x")]] {
        let answer = bearing(What::Access).form("/oauth/introspect", fields).await;
        assert_eq!((answer.status, &answer.json()["error"]), (StatusCode::BAD_REQUEST, &json!("invalid_request")));
    }
}

#[tokio::test]
async fn to_be_asked_about_is_no_use_of_a_token() {
    let kit = Kit::new().await;
    let api = api(&kit).await;
    let (personal, id) = kit.personal(vec![Scope::Profile], None).await;
    let access = kit.admit(Slot::Bearer, kit.get(What::Access), Door::Own).await.unwrap();
    let before = access.live().unwrap().last_used();
    kit.app.advance(Duration::from_secs(60));
    for what in [What::Access, What::Media, What::Refresh, What::UsedRefresh] {
        ask(&api, kit.get(what)).await;
    }
    assert_eq!(told(&api, &personal).await["active"], true);
    assert_eq!(access.live().unwrap().last_used(), before);
    let list = kit.app.logged_in("root").await.get("/api/v1/me/tokens").await.json();
    let entry = list["tokens"].as_array().unwrap().iter().find(|token| token["id"] == json!(id.to_string())).unwrap();
    assert_eq!(entry["last_used_at"], Value::Null);
    // The replay of a refresh token would have ended the session, and its exchange would have left another.
    assert_eq!(told(&api, kit.get(What::Refresh)).await["active"], true);
    let body = json!({"refresh_token": kit.get(What::Refresh)});
    assert_eq!(kit.app.anonymous().post("/api/v1/refresh", body).await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_answer_turns_with_the_commit_that_ends_what_it_is_about() {
    let app = TestApp::new().await;
    app.account_with("root", Role::Admin, Buckets::Every, PASSWORD).await;
    let root = app.tokens("root").await;
    let api = app.anonymous().bearing(root["access_token"].as_str().unwrap());
    for end in ["logout", "disabled", "new password", "rights"] {
        let name = end.replace(' ', "-");
        let id = app.account(&name, Role::User).await;
        let tokens = app.tokens(&name).await;
        let token = |kind: &str| tokens[kind].as_str().unwrap().to_owned();
        let kinds = ["access_token", "media_token", "refresh_token"];
        for kind in kinds {
            assert_eq!(told(&api, &token(kind)).await["active"], true, "{end}: {kind}");
        }
        let now = app.clock.now();
        let hash = app.app.hasher.hash(zeroize::Zeroizing::new(PASSWORD.to_owned())).await.unwrap();
        match end {
            "logout" => {
                let leaving = app.anonymous().bearing(&token("access_token"));
                assert_eq!(leaving.post("/api/v1/logout", json!({})).await.status, StatusCode::NO_CONTENT);
            }
            "disabled" => {
                let shut = async move |tx: &mut usher_db::Tx| {
                    accounts::set_standing(tx, id, Standing::Disabled { at: now }, now).await
                };
                app.cx().write("test.shut", shut).await.unwrap().unwrap();
            }
            "new password" => {
                let set = async move |tx: &mut usher_db::Tx| accounts::set_password(tx, id, &hash, true, now).await;
                app.cx().write("test.must_change", set).await.unwrap().unwrap();
            }
            _ => app
                .cx()
                .write("test.raise", async move |tx| accounts::raise(tx, id, now).await)
                .await
                .map(|_| ())
                .unwrap(),
        }
        for kind in kinds {
            // What says nothing of rights outlives a change of them.
            let outlives = end == "rights" && kind != "access_token";
            assert_eq!(ask(&api, &token(kind)).await.text() == INACTIVE, !outlives, "{end}: {kind}");
        }
    }
}
