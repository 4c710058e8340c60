//! The matrix: which credential opens which door, and in which place of a request. What is not written here is shut.

use super::kit::{ADDRESS, Held, Kit, Slot, What};
use crate::support::app::{Answer, PASSWORD, TestApp};
use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HOST};
use http::{Method, Request, StatusCode};
use serde_json::json;
use usher::accounts::profile::{self, Change, Email};
use usher::accounts::{self, Buckets, Role};
use usher::gate::{self, Door, Refusal, Shown};
use usher::tokens::personal::Scope;

const DOORS: [Door; 14] = [
    Door::Page,
    Door::AdminPage,
    Door::PasswordPage,
    Door::FactorPage,
    Door::Own,
    Door::OwnFactors,
    Door::OwnPassword,
    Door::Leave,
    Door::Profile,
    Door::Library,
    Door::Admin,
    Door::Location,
    Door::AppToken,
    Door::Introspect,
];

/// What opens a door. The cookie counts as a cookie only, everything else as a bearer token only.
fn opens(door: Door) -> &'static [What] {
    match door {
        Door::Page | Door::AdminPage | Door::PasswordPage | Door::FactorPage | Door::AppToken => &[What::Cookie],
        Door::Own | Door::OwnPassword | Door::OwnFactors => &[What::Cookie, What::Access],
        // Whose rights have changed may still go.
        Door::Leave => &[What::Cookie, What::Access, What::OutdatedAccess],
        Door::Profile | Door::Library | Door::Admin => &[What::Cookie, What::Access, What::Personal],
        Door::Location => &[What::Cookie, What::Access, What::Media],
        Door::Introspect => &[What::Access, What::Personal],
    }
}

fn slot_of(what: What) -> Slot {
    if what == What::Cookie { Slot::Cookie } else { Slot::Bearer }
}

#[tokio::test]
async fn only_the_written_cells_open() {
    let kit = Kit::new().await;
    let mut wrong = Vec::new();
    for door in DOORS {
        for Held { what, text } in &kit.held {
            for slot in [Slot::Cookie, Slot::Bearer] {
                let written = opens(door).contains(what) && slot == slot_of(*what);
                let got = kit.admit(slot, text, door).await;
                if got.is_ok() != written {
                    wrong.push(format!("{what:?} as {slot:?} at {door:?}: {:?}", got.map(|caller| caller.account())));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn each_dead_credential_is_refused_for_its_own_reason() {
    let kit = Kit::new().await;
    for (what, slot, refusal) in [
        (What::ExpiredAccess, Slot::Bearer, Refusal::Expired),
        (What::OutdatedAccess, Slot::Bearer, Refusal::Outdated),
        (What::EndedAccess, Slot::Bearer, Refusal::Ended),
        (What::EndedCookie, Slot::Cookie, Refusal::Ended),
        (What::RenewedCookie, Slot::Cookie, Refusal::Ended),
        (What::AppAccess, Slot::Bearer, Refusal::Invalid),
        (What::Refresh, Slot::Bearer, Refusal::Invalid),
    ] {
        let got = kit.admit(slot, kit.get(what), Door::Own).await;
        assert_eq!(got.unwrap_err(), refusal, "{what:?}");
    }
    for (what, refusal) in [(What::ExpiredPersonal, Refusal::Expired), (What::RevokedPersonal, Refusal::Invalid)] {
        assert_eq!(kit.admit(Slot::Bearer, kit.get(what), Door::Library).await.unwrap_err(), refusal, "{what:?}");
    }
}

#[tokio::test]
async fn a_personal_token_opens_the_door_of_its_scope_only() {
    let kit = Kit::new().await;
    for (scope, own) in [
        (Scope::Profile, Door::Profile),
        (Scope::Media, Door::Library),
        (Scope::Admin, Door::Admin),
        (Scope::Introspect, Door::Introspect),
    ] {
        let (token, _) = kit.personal(vec![scope], None).await;
        for door in DOORS {
            assert_eq!(kit.admit(Slot::Bearer, &token, door).await.is_ok(), door == own, "{scope:?} at {door:?}");
        }
    }
}

#[tokio::test]
async fn whoever_is_no_admin_stands_before_the_admin_doors() {
    let kit = Kit::new().await;
    let (root, now) = (kit.root, kit.app.clock.now());
    kit.app.account("second", Role::Admin).await;
    let demote = async move |tx: &mut usher_db::Tx| accounts::set_role(tx, root, Role::User, now).await;
    kit.app.cx().write("test.demote", demote).await.unwrap().unwrap();
    for (what, slot) in [(What::Cookie, Slot::Cookie), (What::Personal, Slot::Bearer)] {
        let got = kit.admit(slot, kit.get(what), Door::Admin).await;
        assert_eq!(got.unwrap_err(), Refusal::Forbidden, "{what:?}");
    }
    let page = kit.admit(Slot::Cookie, kit.get(What::Cookie), Door::AdminPage).await;
    assert_eq!(page.unwrap_err(), Refusal::Forbidden);
    let token = kit.admit(Slot::Bearer, kit.get(What::Access), Door::Own).await;
    assert_eq!(token.unwrap_err(), Refusal::Outdated, "a token of the time as admin says so no more");
}

#[tokio::test]
async fn a_disabled_account_holds_nothing_and_a_removed_one_neither() {
    for remove in [false, true] {
        let kit = Kit::new().await;
        kit.app.account("second", Role::Admin).await;
        let (root, now) = (kit.root, kit.app.clock.now());
        let shut = async move |tx: &mut usher_db::Tx| {
            if remove {
                accounts::delete(tx, root, now).await
            } else {
                accounts::set_standing(tx, root, accounts::Standing::Disabled { at: now }, now).await
            }
        };
        kit.app.cx().write("test.shut", shut).await.unwrap().unwrap();
        for Held { what, text } in &kit.held {
            for door in DOORS {
                for slot in [Slot::Cookie, Slot::Bearer] {
                    assert!(kit.admit(slot, text, door).await.is_err(), "{what:?} as {slot:?} at {door:?}");
                }
            }
        }
        let body = json!({"refresh_token": kit.get(What::Refresh)});
        assert_eq!(kit.app.anonymous().post("/api/v1/refresh", body).await.status, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn whoever_must_choose_a_password_gets_to_do_that_only() {
    let app = TestApp::new().await;
    let id = app.account_with("fresh", Role::Admin, Buckets::Every, PASSWORD).await;
    let now = app.clock.now();
    let hash = app.app.hasher.hash(zeroize::Zeroizing::new(PASSWORD.to_owned())).await.unwrap();
    let set = async move |tx: &mut usher_db::Tx| accounts::set_password(tx, id, &hash, true, now).await;
    app.cx().write("test.must_change", set).await.unwrap().unwrap();
    let browser = app.logged_in("fresh").await;
    let cookie = browser.cookie("usher").unwrap();
    let access = app.tokens("fresh").await["access_token"].as_str().unwrap().to_owned();
    for door in DOORS {
        let shown = Shown { cookie: Some(&cookie), bearer: None };
        let by_cookie = gate::admit(&app.cx(), shown, door).await;
        assert_eq!(by_cookie.is_ok(), matches!(door, Door::PasswordPage | Door::OwnPassword | Door::Leave), "{door:?}");
        let shown = Shown { cookie: None, bearer: Some(&access) };
        let by_token = gate::admit(&app.cx(), shown, door).await;
        assert_eq!(by_token.is_ok(), matches!(door, Door::OwnPassword | Door::Leave), "{door:?}");
    }
}

#[tokio::test]
async fn whoever_must_have_a_second_factor_gets_to_set_one_up_only() {
    for by in ["role", "account", "group"] {
        let app = TestApp::with(|config| {
            config.buckets.clear();
            if by == "role" {
                config.accounts.require_factor = usher::config::RequireFactor::Admins;
            }
        })
        .await;
        let id = app.account_with("fresh", Role::Admin, Buckets::Every, PASSWORD).await;
        // Live before it was demanded, and confined at once.
        let cookie = app.logged_in("fresh").await.cookie("usher").unwrap();
        let grant = {
            let shown = Shown { cookie: Some(&cookie), bearer: None };
            gate::admit(&app.cx(), shown, Door::FactorPage).await.unwrap().grant()
        };
        if by != "role" {
            assert!(gate::admit_grant(&app.cx(), grant).await.is_ok());
        }
        demand(&app, by, id).await;
        let access = app.tokens("fresh").await["access_token"].as_str().unwrap().to_owned();
        for door in DOORS {
            let shown = Shown { cookie: Some(&cookie), bearer: None };
            let by_cookie = gate::admit(&app.cx(), shown, door).await;
            let free = matches!(door, Door::PasswordPage | Door::OwnPassword | Door::OwnFactors | Door::Leave);
            assert_eq!(by_cookie.is_ok(), free || door == Door::FactorPage, "{by}: {door:?}");
            let shown = Shown { cookie: None, bearer: Some(&access) };
            let by_token = gate::admit(&app.cx(), shown, door).await;
            assert_eq!(by_token.is_ok(), free && door != Door::PasswordPage, "{by}: {door:?}");
        }
        assert_eq!(gate::admit_grant(&app.cx(), grant).await.unwrap_err(), Refusal::Ended, "{by}: a media URL");
    }
}

async fn demand(app: &TestApp, by: &str, id: usher::id::AccountId) {
    let now = app.clock.now();
    let group = usher::id::GroupId::new(now, &app.app.rng);
    let by_group = by == "group";
    let demand = async move |tx: &mut usher_db::Tx| {
        if by_group {
            let name = accounts::groups::GroupName::parse("Staff").unwrap();
            accounts::groups::create(tx, group, &name, &Buckets::None, now).await?.unwrap();
            accounts::groups::add_member(tx, group, id, now).await?.unwrap();
            assert_eq!(accounts::groups::demand_factor(tx, group, true, now).await?, Ok(true));
        } else {
            accounts::demand_factor(tx, &id.to_string(), Some(now)).await?;
            accounts::raise(tx, id, now).await?;
        }
        Ok(())
    };
    if by != "role" {
        app.cx().write("test.demand", demand).await.unwrap();
    }
}

/// The ways in which a request can carry something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Cookie,
    Bearer,
    OtherCookie,
    Basic,
    BasicUser,
    NoScheme,
    TokenScheme,
    OtherHeaders,
    Query,
    Json,
    Form,
}

const PLACES: [Place; 11] = [
    Place::Cookie,
    Place::Bearer,
    Place::OtherCookie,
    Place::Basic,
    Place::BasicUser,
    Place::NoScheme,
    Place::TokenScheme,
    Place::OtherHeaders,
    Place::Query,
    Place::Json,
    Place::Form,
];

const NAMES: [&str; 8] =
    ["access_token", "token", "session", "sid", "usher", "authorization", "api_key", "media_token"];

fn request(method: &Method, path: &str, place: Place, text: &str) -> Request<Body> {
    let pairs: Vec<String> = NAMES.iter().map(|name| format!("{name}={text}")).collect();
    let uri = if place == Place::Query { format!("{path}?{}", pairs.join("&")) } else { path.to_owned() };
    let mut request = Request::builder().method(method.clone()).uri(uri).header(HOST, "localhost");
    request = request.header("sec-fetch-site", "same-origin");
    let basic = |pair: String| format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
    request = match place {
        Place::Cookie => request.header(COOKIE, format!("usher={text}")),
        Place::Bearer => request.header(AUTHORIZATION, format!("Bearer {text}")),
        Place::OtherCookie => {
            let names = ["__Host-usher", "__Secure-usher", "session", "access_token", "usher-setup"];
            let cookies: Vec<String> = names.iter().map(|name| format!("{name}={text}")).collect();
            request.header(COOKIE, cookies.join("; "))
        }
        Place::Basic => request.header(AUTHORIZATION, basic(format!("root:{text}"))),
        Place::BasicUser => request.header(AUTHORIZATION, basic(format!("{text}:"))),
        Place::NoScheme => request.header(AUTHORIZATION, text),
        Place::TokenScheme => request.header(AUTHORIZATION, format!("Token {text}")),
        Place::OtherHeaders => ["x-auth-token", "x-api-key", "x-access-token", "x-session", "proxy-authorization"]
            .into_iter()
            .fold(request, |request, name| request.header(name, text)),
        Place::Json => request.header(CONTENT_TYPE, "application/json"),
        Place::Form => request.header(CONTENT_TYPE, "application/x-www-form-urlencoded"),
        Place::Query => request,
    };
    let body = match place {
        Place::Json => Body::from(json!({"access_token": text, "token": text, "session": text}).to_string()),
        Place::Form => Body::from(pairs.join("&")),
        _ => Body::empty(),
    };
    request.body(body).unwrap()
}

/// Whether an answer is one that only an admitted caller gets.
fn let_in(answer: &Answer) -> bool {
    let to_login = answer.status == StatusCode::SEE_OTHER && answer.header("location").starts_with("/login");
    // 400, 415 and 422: the body that carried the credential was looked at and not taken.
    let refused = matches!(answer.status.as_u16(), 400 | 401 | 403 | 405 | 415 | 422);
    !to_login && !refused
}

/// Real routes, and the door that each has.
const ROUTES: &[(&str, &str, Door)] = &[
    ("GET", "/docs/", Door::AdminPage),
    ("GET", "/docs/swagger-ui.css", Door::AdminPage),
    ("POST", "/api/v1/refresh", Door::AppToken),
    ("GET", "/library", Door::Page),
    ("GET", "/account", Door::Page),
    ("GET", "/link", Door::Page),
    ("GET", "/api/v1/me", Door::Profile),
    ("GET", "/api/v1/me/sessions", Door::Own),
    ("GET", "/api/v1/me/tokens", Door::Own),
    ("GET", "/api/v1/me/totp", Door::OwnFactors),
    ("GET", "/api/v1/me/recovery-codes", Door::OwnFactors),
    ("GET", "/api/v1/session/data", Door::Own),
    ("GET", "/admin/accounts", Door::AdminPage),
    ("GET", "/admin/audit", Door::AdminPage),
    ("GET", "/api/v1/buckets", Door::Library),
    ("GET", "/api/v1/users", Door::Admin),
    ("GET", "/api/v1/groups", Door::Admin),
    ("GET", "/api/v1/audit", Door::Admin),
    ("GET", "/api/v1/invites", Door::Admin),
    ("GET", "/api/v1/keys", Door::Admin),
];

#[tokio::test]
async fn a_real_route_looks_for_a_credential_in_its_one_place() {
    let kit = Kit::new().await;
    let anonymous = kit.app.anonymous();
    let mut wrong = Vec::new();
    for (method, path, door) in ROUTES {
        let method: Method = method.parse().unwrap();
        for Held { what, text } in &kit.held {
            for place in PLACES {
                let place_of = if *what == What::Cookie { Place::Cookie } else { Place::Bearer };
                let written = opens(*door).contains(what) && place == place_of;
                let answer = anonymous.send(request(&method, path, place, text)).await;
                if let_in(&answer) != written {
                    wrong.push(format!("{what:?} as {place:?} at {method} {path}: {}", answer.status));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn a_refresh_token_is_taken_from_the_body_and_nothing_else_is_there() {
    let kit = Kit::new().await;
    for Held { what, text } in kit.held.iter().filter(|held| held.what != What::Refresh) {
        let answer = kit.app.anonymous().post("/api/v1/refresh", json!({"refresh_token": text})).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{what:?}");
    }
    let body = json!({"refresh_token": kit.get(What::Refresh)});
    assert_eq!(kit.app.anonymous().post("/api/v1/refresh", body).await.status, StatusCode::OK);
}

#[tokio::test]
async fn what_a_device_polls_with_is_taken_from_the_form_and_nothing_else_is_there() {
    let kit = Kit::new().await;
    let ask = |text: &str| {
        let (stranger, text) = (kit.app.anonymous(), text.to_owned());
        async move {
            let grant = usher::oauth::DEVICE_GRANT;
            let fields = [("grant_type", grant), ("client_id", "usher-device"), ("device_code", text.as_str())];
            stranger.form("/oauth/token", &fields).await
        }
    };
    for Held { what, text } in kit.held.iter().filter(|held| held.what != What::DeviceCode) {
        let answer = ask(text).await;
        assert_eq!(
            (answer.status, answer.json()["error"].as_str()),
            (StatusCode::BAD_REQUEST, Some("invalid_grant")),
            "{what:?}"
        );
    }
    assert_eq!(ask(kit.get(What::DeviceCode)).await.status, StatusCode::OK);
}

#[tokio::test]
async fn each_link_opens_its_own_page_only() {
    let kit = Kit::new().await;
    let (cx, root) = (kit.app.cx(), kit.root);
    let address = Change { email: Some(Some(Email::parse(ADDRESS).unwrap())), ..Change::default() };
    let now = cx.now;
    cx.write("test.address", async move |tx| profile::change(tx, root, &address, now).await).await.unwrap().unwrap();
    for (what, page, sign) in [
        (What::Setup, "setup", "type=\"password\""),
        (What::Invite, "signup", "type=\"password\""),
        (What::Reset, "reset", "type=\"password\""),
        (What::Recover, "recover", "type=\"password\""),
        (What::Verify, "verify", "id=\"verify-form\""),
    ] {
        for Held { what: held, text } in &kit.held {
            let kind = if page == "signup" { "invite" } else { page };
            let visitor = kit.app.browser().with_cookie(&format!("usher-{kind}"), text);
            let form = visitor.get(&format!("/{page}")).await.text().contains(sign);
            assert_eq!(form, *held == what, "{held:?} at /{page}");
        }
    }
}

#[tokio::test]
async fn a_media_url_is_good_for_its_path_and_a_live_grant_only() {
    let kit = Kit::new().await;
    for Held { what, text } in &kit.held {
        let parsed = usher::media::token::Token::parse(text);
        assert_eq!(parsed.is_ok(), *what == What::MediaUrl, "{what:?}");
    }
}

#[tokio::test]
async fn credentials_that_disagree_or_come_twice_open_nothing() {
    let kit = Kit::new().await;
    let (cookie, access) = (kit.get(What::Cookie), kit.get(What::Access));
    let ask = |headers: Vec<(http::HeaderName, String)>| {
        let mut request = Request::builder().uri("/docs/").header(HOST, "localhost");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let anonymous = kit.app.anonymous();
        async move { let_in(&anonymous.send(request.body(Body::empty()).unwrap()).await) }
    };
    let good = (COOKIE, format!("usher={cookie}"));
    assert!(ask(vec![good.clone()]).await);
    assert!(!ask(vec![good.clone(), (COOKIE, "usher=planted".to_owned())]).await, "two cookies of one name");
    assert!(!ask(vec![(COOKIE, format!("usher=planted; usher={cookie}"))]).await);
    assert!(!ask(vec![(COOKIE, format!("usher={cookie}; usher={cookie}"))]).await);
    for other in ["Bearer nonsense", "Basic cm9vdDpyb290", "Bearer", "", "Digest x"] {
        assert!(!ask(vec![good.clone(), (AUTHORIZATION, other.to_owned())]).await, "the cookie widened `{other}`");
    }
    let own = |headers: Vec<String>| {
        let mut map = http::HeaderMap::new();
        for value in headers {
            map.append(AUTHORIZATION, value.parse().unwrap());
        }
        let cx = kit.app.cx();
        async move { usher::http::extract::admit(&cx, &map, Door::Own).await }
    };
    assert!(own(vec![format!("bearer {access}")]).await.is_ok());
    assert!(own(vec![format!("Bearer {access}"), format!("Bearer {access}")]).await.is_err(), "two headers");
    assert!(own(vec![format!("Bearer {access}"), "Basic cm9vdDpyb290".to_owned()]).await.is_err());
    assert!(own(vec![format!("Bearer {access},{access}")]).await.is_err());
    assert!(own(vec![format!("Bearer {access} {access}")]).await.is_err());
}

/// `text` with another character of the alphabet at `at`.
fn with_another(text: &str, at: usize) -> String {
    let mut bytes = text.as_bytes().to_vec();
    bytes[at] = match bytes[at] {
        b'.' => b'A',
        b'A' => b'B',
        _ => b'A',
    };
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn no_changed_shortened_or_lengthened_credential_opens_anything() {
    let kit = Kit::new().await;
    for (what, slot, door) in [
        (What::Cookie, Slot::Cookie, Door::Page),
        (What::Access, Slot::Bearer, Door::Own),
        (What::Media, Slot::Bearer, Door::Location),
        (What::Personal, Slot::Bearer, Door::Library),
    ] {
        let text = kit.get(what);
        assert!(kit.admit(slot, text, door).await.is_ok());
        let mut forged: Vec<String> = (0..text.len()).map(|at| with_another(text, at)).collect();
        forged.extend((0..text.len()).map(|length| text[..length].to_owned()));
        forged.extend(["=", "A", ".", " ", "==", "\n"].map(|tail| format!("{text}{tail}")));
        forged.extend([" ", "A", "="].map(|head| format!("{head}{text}")));
        forged.extend([text.to_uppercase(), text.to_lowercase(), format!("{text}{text}"), format!("{text}.{text}")]);
        for forgery in forged.iter().filter(|forgery| *forgery != text) {
            assert!(kit.admit(slot, forgery, door).await.is_err(), "{what:?}: {forgery:?}");
        }
    }
}

#[tokio::test]
async fn a_token_signed_by_nobody_or_by_our_public_key_is_refused() {
    let kit = Kit::new().await;
    let access = kit.get(What::Access);
    let parts: Vec<&str> = access.split('.').collect();
    let payload = parts[1];
    let jwks: serde_json::Value = serde_json::from_str(&kit.app.app.keys.jwks()).unwrap();
    let kid = jwks["keys"][0]["kid"].as_str().unwrap();
    let encode = |header: serde_json::Value| URL_SAFE_NO_PAD.encode(header.to_string());
    let mut forged = Vec::new();
    for alg in ["none", "None", "NONE", "HS256", "ES256", "ES384", "RS256", "EdDSA", ""] {
        let header = encode(json!({"typ": "at+jwt", "alg": alg, "kid": kid}));
        forged.push(format!("{header}.{payload}."));
        forged.push(format!("{header}.{payload}"));
        forged.push(format!("{header}.{payload}.{}", parts[2]));
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, jwks["keys"][0].to_string().as_bytes());
        let mac = aws_lc_rs::hmac::sign(&key, format!("{header}.{payload}").as_bytes());
        forged.push(format!("{header}.{payload}.{}", URL_SAFE_NO_PAD.encode(mac)));
    }
    for kid in ["", "../../dev/null", "' OR 1=1 --", "http://127.0.0.1/jwks", &"k".repeat(4_000)] {
        let header = encode(json!({"typ": "at+jwt", "alg": "ES256", "kid": kid, "jku": "http://127.0.0.1/jwks"}));
        forged.push(format!("{header}.{payload}.{}", parts[2]));
    }
    for typ in ["JWT", "media+jwt", "code+jwt", "", "AT+JWT;x"] {
        let header = encode(json!({"typ": typ, "alg": "ES256", "kid": kid}));
        forged.push(format!("{header}.{payload}.{}", parts[2]));
    }
    for forgery in &forged {
        for door in DOORS {
            assert!(kit.admit(Slot::Bearer, forgery, door).await.is_err(), "{forgery} at {door:?}");
        }
    }
}
