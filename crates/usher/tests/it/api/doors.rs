//! `/setup`, `/signup`, `/reset`: single-use links through the pages that take them.

use crate::support::app::{Actor, PASSWORD, TestApp};
use crate::support::authenticator::enrol;
use http::StatusCode;
use usher::accounts::{self, Role, username::Username};
use usher::config::Signup;
use usher::login::links::{self, Kind};

const NEW: &str = "harbor-lantern-quince-58";

async fn open(app: &TestApp, kind: Kind, account: Option<usher::id::AccountId>) -> (Actor, String) {
    let made = links::make(&app.cx(), kind, account, "").await.unwrap();
    let browser = app.browser();
    let taken = browser.get(&made.path).await;
    assert_eq!(
        (taken.status, taken.header("location")),
        (StatusCode::SEE_OTHER, kind.page()),
        "the secret leaves the address"
    );
    (browser, made.path.to_string())
}

#[tokio::test]
async fn the_setup_link_makes_the_first_admin_once() {
    let app = TestApp::new().await;
    let (browser, path) = open(&app, Kind::Setup, None).await;
    assert!(browser.get("/setup").await.text().contains("password2"));
    let fields = [("username", "alice"), ("password", PASSWORD), ("password2", PASSWORD)];
    assert_eq!(browser.form("/setup", &fields).await.header("location"), "/library");
    let id = accounts::find_by_key(&app.app.db, "alice").await.unwrap().unwrap();
    assert_eq!(id.role, Role::Admin);
    let second = app.browser();
    second.get(&path).await;
    let fields = [("username", "mallory"), ("password", PASSWORD), ("password2", PASSWORD)];
    assert_eq!(second.form("/setup", &fields).await.status, StatusCode::GONE);
}

#[tokio::test]
async fn a_weak_or_mistyped_password_does_not_cost_the_link() {
    let app = TestApp::new().await;
    let (browser, _) = open(&app, Kind::Setup, None).await;
    for (password, again) in [("short", "short"), ("password1234", "password1234"), (PASSWORD, NEW)] {
        let fields = [("username", "alice"), ("password", password), ("password2", again)];
        assert_eq!(browser.form("/setup", &fields).await.status, StatusCode::UNPROCESSABLE_ENTITY, "{password}");
    }
    let fields = [("username", "alice"), ("password", PASSWORD), ("password2", PASSWORD)];
    assert_eq!(browser.form("/setup", &fields).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn an_invitation_outlives_a_taken_name() {
    let app = TestApp::with(|config| config.accounts.signup = Signup::Invite).await;
    app.account("bob", Role::User).await;
    let (browser, _) = open(&app, Kind::Invite, None).await;
    let taken = [("username", "BOB"), ("password", NEW), ("password2", NEW)];
    assert_eq!(browser.form("/signup", &taken).await.status, StatusCode::CONFLICT);
    let free = [("username", "carol"), ("password", NEW), ("password2", NEW)];
    assert_eq!(browser.form("/signup", &free).await.header("location"), "/library");
}

#[tokio::test]
async fn without_an_invitation_nobody_signs_up_unless_the_owner_opened_the_door() {
    let fields = [("username", "carol"), ("password", NEW), ("password2", NEW)];
    let closed = TestApp::new().await;
    assert_eq!(closed.browser().form("/signup", &fields).await.status, StatusCode::FORBIDDEN);
    let open = TestApp::with(|config| {
        config.accounts.signup = Signup::Open;
        config.throttle.signups_per_address = 2;
    })
    .await;
    assert_eq!(open.browser().form("/signup", &fields).await.header("location"), "/library");
    let second = [("username", "dora"), ("password", NEW), ("password2", NEW)];
    assert_eq!(open.browser().form("/signup", &second).await.header("location"), "/library");
    let third = [("username", "emil"), ("password", NEW), ("password2", NEW)];
    assert_eq!(open.browser().form("/signup", &third).await.status, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn a_reset_ends_every_session_and_logs_nobody_in() {
    let app = TestApp::new().await;
    let id = app.account("alice", Role::User).await;
    let before = app.logged_in("alice").await;
    let (browser, path) = open(&app, Kind::Reset, Some(id)).await;
    for _ in 0..6 {
        app.browser().form("/login", &[("username", "alice"), ("password", "a guess")]).await;
    }
    let done = browser.form("/reset", &[("password", NEW), ("password2", NEW)]).await;
    assert_eq!(done.header("location"), "/login?done=reset");
    assert!(browser.cookie("usher").is_none());
    assert_eq!(before.get("/login").await.status, StatusCode::OK, "the old session is over");
    let old = app.browser().form("/login", &[("username", "alice"), ("password", PASSWORD)]).await;
    assert_eq!(old.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        app.browser().form("/login", &[("username", "alice"), ("password", NEW)]).await.status,
        StatusCode::SEE_OTHER
    );
    let again = app.browser();
    again.get(&path).await;
    assert_eq!(again.form("/reset", &[("password", PASSWORD), ("password2", PASSWORD)]).await.status, StatusCode::GONE);
}

#[tokio::test]
async fn a_reset_password_skips_no_second_factor() {
    let app = TestApp::new().await;
    let id = app.account("alice", Role::User).await;
    let owner = app.logged_in("alice").await;
    let (authenticator, codes) = enrol(&app, &owner).await;
    let (browser, _) = open(&app, Kind::Reset, Some(id)).await;
    let done = browser.form("/reset", &[("password", NEW), ("password2", NEW)]).await;
    assert_eq!(done.header("location"), "/login?done=reset");
    let fields = [("username", "alice"), ("password", NEW)];
    assert_eq!(browser.form("/login", &fields).await.header("location"), "/login/code");
    assert!(browser.cookie("usher").is_none());
    let code = authenticator.code_in(&app, 0);
    assert_eq!(browser.form("/login/code", &[("passcode", &code)]).await.status, StatusCode::SEE_OTHER);
    assert!(browser.cookie("usher").is_some());
    // Recovery codes stand in for the factor as before, and the link for none.
    let other = app.browser();
    other.form("/login", &fields).await;
    assert_eq!(other.form("/login/code", &[("passcode", &codes[0])]).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_setup_link_makes_nobody_beside_an_admin_who_came_another_way() {
    let app = TestApp::new().await;
    let (browser, _) = open(&app, Kind::Setup, None).await;
    app.account("root", Role::Admin).await;
    let fields = [("username", "mallory"), ("password", PASSWORD), ("password2", PASSWORD)];
    assert_eq!(browser.form("/setup", &fields).await.status, StatusCode::GONE);
    assert_eq!(usher::accounts::list(&app.app.db, "", "", 9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_link_ends_with_its_time() {
    let app = TestApp::new().await;
    let (browser, path) = open(&app, Kind::Setup, None).await;
    app.advance(Kind::Setup.life());
    let fields = [("username", "alice"), ("password", PASSWORD), ("password2", PASSWORD)];
    assert_eq!(browser.form("/setup", &fields).await.status, StatusCode::GONE);
    // The write judges for itself, whatever was looked at before it.
    let (token, name) = (path.rsplit('/').next().unwrap(), Username::parse("alice").unwrap());
    let made = links::create_account(&app.cx(), Kind::Setup, token, name, "no hash".to_owned()).await;
    assert!(made.is_err(), "{made:?}");
}

#[tokio::test]
async fn a_new_setup_link_replaces_the_one_before() {
    let app = TestApp::new().await;
    let (first, _) = open(&app, Kind::Setup, None).await;
    open(&app, Kind::Setup, None).await;
    let fields = [("username", "alice"), ("password", PASSWORD), ("password2", PASSWORD)];
    assert_eq!(first.form("/setup", &fields).await.status, StatusCode::GONE);
}

#[tokio::test]
async fn who_is_logged_in_and_has_nothing_to_set_up_is_sent_on() {
    let app = TestApp::new().await;
    assert!(app.browser().get("/setup").await.text().contains("Almost there"));
    let alice = app.member("alice").await;
    assert_eq!(alice.get("/setup").await.header("location"), "/library");
    // A link that works is more than that, and the way out of the page is there.
    let link = links::make(&app.cx(), links::Kind::Setup, None, "").await.unwrap();
    alice.get(&link.path).await;
    let page = alice.get("/setup").await.text();
    assert!(page.contains("autofocus") && page.contains("header-logout-form"), "{page}");
    let admin = app.admin("root").await;
    assert_eq!(admin.get("/setup").await.header("location"), "/admin");
}
