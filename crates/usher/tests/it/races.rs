//! Thirty-two at once: whatever must happen once happens once, and nothing works after its end was told.

use crate::support::app::{PASSWORD, TestApp};
use crate::support::authenticator::{Authenticator, enrol};
use crate::support::together;
use http::StatusCode;
use serde_json::json;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use usher::accounts::{self, Buckets, ChangeError, Role, Standing, username::Username};
use usher::gate::{self, Door, Shown};
use usher::id::AccountId;
use usher::login::links::{self, Kind as LinkKind};
use usher::sessions;
use usher::tokens::personal::{self, NewPersonalToken, Scope};
use zeroize::Zeroizing;

const MANY: usize = 32;

/// Runs `act` 32 times at once, all of them let go together.
async fn at_once<T, F>(act: impl Fn(usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let gate = Arc::new(tokio::sync::Barrier::new(MANY));
    let tasks: Vec<_> = (0..MANY)
        .map(|n| {
            let (gate, act) = (gate.clone(), act(n));
            tokio::spawn(async move {
                gate.wait().await;
                act.await
            })
        })
        .collect();
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.unwrap());
    }
    results
}

/// A server that does not slow guesses, and has threads enough for a crowd.
async fn crowded(most_sessions: u32) -> TestApp {
    TestApp::with(|config| {
        config.throttle.free_attempts = 10_000;
        config.throttle.max_failures = 100_000;
        config.accounts.hash.queue = 1_000;
        config.sessions.max_per_account = most_sessions;
    })
    .await
    .twin()
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_is_admitted_after_the_end_of_the_session_was_told() {
    let app = TestApp::new().await;
    app.account("alice", Role::User).await;
    for round in 0..25 {
        let owner = app.logged_in("alice").await;
        let cookie = owner.cookie("usher").unwrap();
        let told = Arc::new(AtomicBool::new(false));
        let (late, early) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let results = at_once(|n| {
            let (app, cookie, told) = (app.app.clone(), cookie.clone(), told.clone());
            let (owner, late, early) = (owner.clone(), late.clone(), early.clone());
            async move {
                if n == 0 {
                    let status = owner.form("/logout", &[]).await.status;
                    told.store(true, Ordering::SeqCst);
                    return status == StatusCode::OK;
                }
                for turn in 0..200 {
                    let after = told.load(Ordering::SeqCst);
                    // Some of them make memory forget, so that rows are read while the end commits.
                    // On a server, where a read takes its time, seldom enough that one gets through.
                    if n % 8 == 1 && (!app.db.is_shared() || turn % 40 == 0) {
                        app.sessions.forget_all();
                    }
                    let cx = usher::cx::Cx::internal(&app, "race");
                    let shown = Shown { cookie: Some(&cookie), bearer: None };
                    match gate::admit(&cx, shown, Door::Page).await {
                        Ok(_) if after => late.fetch_add(1, Ordering::SeqCst),
                        Ok(_) => early.fetch_add(1, Ordering::SeqCst),
                        Err(_) if after => break,
                        Err(_) => 0,
                    };
                    tokio::task::yield_now().await;
                }
                true
            }
        })
        .await;
        assert!(results.into_iter().all(|done| done));
        assert_eq!(late.load(Ordering::SeqCst), 0, "admitted after the logout was answered, round {round}");
        let shown = Shown { cookie: Some(&cookie), bearer: None };
        assert!(gate::admit(&app.cx(), shown, Door::Page).await.is_err());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_32_logouts_at_once_one_ends_the_session_and_all_are_answered() {
    let app = TestApp::new().await.twin().await;
    let id = app.account("alice", Role::User).await;
    let owner = app.logged_in("alice").await;
    let statuses = at_once(|_| {
        let owner = owner.clone();
        async move { owner.form("/logout", &[]).await.status }
    })
    .await;
    assert!(statuses.iter().all(|status| *status == StatusCode::OK), "{statuses:?}");
    assert_eq!(events(&app, "logout", id).await, 1);
}

async fn events(app: &TestApp, event: &str, account: AccountId) -> usize {
    let filter = usher::audit::Filter { event: Some(event.to_owned()), account: Some(account), ..Default::default() };
    usher::audit::list(&app.app.db, &filter, 1_000).await.unwrap().len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_account_never_has_more_sessions_than_it_may() {
    let app = crowded(3).await;
    let id = app.account("alice", Role::User).await;
    let browsers = at_once(|_| {
        let browser = app.browser();
        async move {
            let answer = browser.form("/login", &[("username", "alice"), ("password", PASSWORD)]).await;
            assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text());
            browser
        }
    })
    .await;
    assert_eq!(sessions::list_live(&app.app.db, id).await.unwrap().len(), 3);
    app.settled().await;
    let mut usable = 0;
    for browser in browsers {
        usable += usize::from(browser.get("/login").await.status == StatusCode::SEE_OTHER);
    }
    assert_eq!(usable, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_32_who_hold_one_link_one_gets_an_account() {
    for kind in [LinkKind::Setup, LinkKind::Invite] {
        let app = TestApp::new().await.twin().await;
        let token = link(&app, kind, None).await;
        let made = at_once(|n| {
            let (cx, token) = (app.cx(), token.clone());
            async move {
                let name = Username::parse(&format!("guest {n}")).unwrap();
                links::create_account(&cx, kind, &token, name, "no hash".to_owned()).await.is_ok()
            }
        })
        .await;
        assert_eq!(made.into_iter().filter(|made| *made).count(), 1, "{kind:?}");
        let listed = accounts::list(&app.app.db, "", "", 100).await.unwrap();
        assert_eq!(listed.len(), 1, "{kind:?}: an account without a link stayed");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_32_setups_with_two_links_one_makes_the_admin() {
    let app = TestApp::new().await.twin().await;
    let (first, second) = (link(&app, LinkKind::Setup, None).await, link(&app, LinkKind::Setup, None).await);
    let made = at_once(|n| {
        let (cx, token) = (app.cx(), if n % 2 == 0 { first.clone() } else { second.clone() });
        async move {
            let name = Username::parse(&format!("boss {n}")).unwrap();
            links::create_account(&cx, LinkKind::Setup, &token, name, "no hash".to_owned()).await.is_ok()
        }
    })
    .await;
    assert_eq!(made.iter().filter(|made| **made).count(), 1);
    assert!(made.iter().enumerate().all(|(n, made)| !made || n % 2 == 1), "the replaced link made an admin");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_32_who_hold_one_reset_link_one_sets_the_password() {
    let app = crowded(50).await;
    let id = app.account("alice", Role::User).await;
    let before = app.logged_in("alice").await;
    let replaced = link(&app, LinkKind::Reset, Some(id)).await;
    let token = link(&app, LinkKind::Reset, Some(id)).await;
    let set = at_once(|n| {
        let (cx, token) = (app.cx(), token.clone());
        async move {
            let hash = cx.app.hasher.hash(Zeroizing::new(format!("password number {n}"))).await.unwrap();
            links::reset_password(&cx, &token, hash).await.is_ok()
        }
    })
    .await;
    let winners: Vec<usize> = set.iter().enumerate().filter(|(_, set)| **set).map(|(n, _)| n).collect();
    assert_eq!(winners.len(), 1);
    let body = |n: usize| json!({"username": "alice", "password": format!("password number {n}")});
    for n in 0..MANY {
        let status = app.anonymous().post("/api/v1/login", body(n)).await.status;
        assert_eq!(status == StatusCode::OK, n == winners[0], "password {n}: {status}");
    }
    app.settled().await;
    assert_eq!(before.get("/login").await.status, StatusCode::OK, "the sessions of before are over");
    for dead in [&replaced, &token] {
        assert!(links::look(&app.cx(), LinkKind::Reset, dead).await.unwrap().is_none());
    }
}

/// Hashes done on every node.
fn judged(app: &TestApp) -> u64 {
    app.apps().iter().map(|node| node.hasher.stats().done).sum()
}

async fn link(app: &TestApp, kind: LinkKind, of: Option<AccountId>) -> String {
    let made = links::make(&app.cx(), kind, of, "").await.unwrap();
    made.path.rsplit('/').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_32_admins_who_go_at_once_one_stays() {
    for way in ["demoted", "disabled", "removed", "each in another way"] {
        let app = TestApp::new().await.twin().await;
        let mut admins = Vec::new();
        for n in 0..MANY {
            admins.push(app.account(&format!("admin {n}"), Role::Admin).await);
        }
        let gone = at_once(|n| {
            let (cx, id) = (app.cx(), admins[n]);
            async move {
                let now = cx.now;
                let act = match way {
                    "demoted" => 0,
                    "disabled" => 1,
                    "removed" => 2,
                    _ => n % 3,
                };
                cx.write("race.admin", async move |tx| match act {
                    0 => accounts::set_role(tx, id, Role::User, now).await,
                    1 => accounts::set_standing(tx, id, Standing::Disabled { at: now }, now).await,
                    _ => accounts::delete(tx, id, now).await,
                })
                .await
                .unwrap()
            }
        })
        .await;
        let refused = gone.iter().filter(|gone| **gone == Err(ChangeError::LastAdmin)).count();
        assert_eq!(refused, 1, "{way}");
        let left = app.cx().write("race.left", async move |tx| accounts::has_admin(tx).await).await.unwrap();
        assert!(left, "{way}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_32_accounts_of_one_look_one_is_made() {
    let app = TestApp::new().await.twin().await;
    let spellings = ["alice", "ALICE", "Alice", "ａlice", "аlice", "alicе"];
    let made = at_once(|n| {
        let cx = app.cx();
        async move {
            let now = cx.now;
            // Mixed scripts are refused before; whatever is left meets in one row.
            let username = Username::parse(spellings[n % spellings.len()]).ok()?;
            let id = AccountId::new(now, &cx.app.rng);
            let (role, buckets) = (Role::User, Buckets::None);
            let new = accounts::NewAccount { id, username, password: None, role, buckets, must_change: false };
            let made = cx.write("race.create", async move |tx| accounts::create(tx, &new, now).await).await.unwrap();
            made.ok()
        }
    })
    .await;
    assert_eq!(made.into_iter().flatten().count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_burst_of_guesses_is_judged_no_further_than_guesses_one_by_one() {
    for round in 0..5 {
        let app = TestApp::with(|config| config.accounts.hash.queue = 1_000).await.twin().await;
        app.account("alice", Role::User).await;
        // Those that are judged at this very moment are known to their own node only.
        let free = u64::from(app.app.config.throttle.free_attempts) * app.nodes();
        let before = judged(&app);
        let statuses = at_once(|n| {
            let guesser = app.anonymous().at_address(&format!("198.51.100.{n}"));
            async move {
                let body = json!({"username": "alice", "password": format!("guess {n}")});
                guesser.post("/api/v1/login", body).await.status
            }
        })
        .await;
        let judged = judged(&app) - before;
        assert!(judged <= free, "{judged} guesses were judged in round {round}, {free} are free");
        let refused = statuses.iter().filter(|status| **status == StatusCode::TOO_MANY_REQUESTS).count();
        assert!(refused as u64 >= MANY as u64 - free, "{statuses:?}");
        assert!(statuses.iter().all(|status| matches!(status.as_u16(), 401 | 429)), "{statuses:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_personal_token_is_dead_when_its_revocation_is_told() {
    let app = TestApp::new().await;
    let owner = app.account("alice", Role::User).await;
    for round in 0..25 {
        let cx = app.cx();
        let token = NewPersonalToken::draw(&cx, owner, "script", vec![Scope::Media], None);
        let (text, id) = (token.plain.expose().to_owned(), token.token.id);
        let row = token.row();
        cx.write("race.personal", async move |tx| row.insert(tx).await).await.unwrap();
        let told = Arc::new(AtomicBool::new(false));
        let late = at_once(|n| {
            let (app, text, told) = (app.app.clone(), text.clone(), told.clone());
            async move {
                let cx = usher::cx::Cx::internal(&app, "race");
                if n == 0 {
                    let now = cx.now;
                    let act = async move |tx: &mut usher_db::Tx| personal::revoke(tx, owner, id, now).await;
                    assert!(cx.write("race.revoke", act).await.unwrap());
                    told.store(true, Ordering::SeqCst);
                    return 0;
                }
                let mut late = 0;
                for _ in 0..100 {
                    let after = told.load(Ordering::SeqCst);
                    let shown = Shown { cookie: None, bearer: Some(&text) };
                    late += usize::from(gate::admit(&cx, shown, Door::Library).await.is_ok() && after);
                    tokio::task::yield_now().await;
                }
                late
            }
        })
        .await;
        assert_eq!(late.into_iter().sum::<usize>(), 0, "used after its revocation was told, round {round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_login_with_the_old_password_commits_after_the_change() {
    let app = crowded(50).await;
    let id = app.account("alice", Role::User).await;
    let hash = app.app.hasher.hash(Zeroizing::new("another password 12".to_owned())).await.unwrap();
    at_once(|n| {
        let (cx, hash) = (app.cx(), hash.clone());
        let browser = if n == 0 { None } else { Some(()) };
        async move {
            if browser.is_none() {
                let now = cx.now;
                cx.write("race.password", async move |tx| {
                    let changed = accounts::set_password(tx, id, &hash, false, now).await?;
                    assert!(changed.is_ok());
                    let (which, reason) = (sessions::Which::All(id), sessions::EndReason::PasswordChanged);
                    sessions::end(tx, which, reason, now).await
                })
                .await
                .unwrap();
                return;
            }
            let attempt = usher::login::Attempt {
                username: "alice".to_owned(),
                password: Zeroizing::new(PASSWORD.to_owned()),
                passcode: None,
                wanted: usher::login::Wanted { kind: sessions::Kind::Api, label: String::new(), refresh: false },
            };
            // Some are in time and are ended by the change; the others are refused.
            drop(usher::login::with_password(&cx, attempt).await);
        }
    })
    .await;
    assert_eq!(sessions::list_live(&app.app.db, id).await.unwrap().len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_login_begins_after_the_account_was_shut_out() {
    let app = crowded(50).await;
    let id = app.account("alice", Role::User).await;
    at_once(|n| {
        let cx = app.cx();
        async move {
            let now = cx.now;
            if n == 0 {
                cx.write("race.disable", async move |tx| {
                    let standing = Standing::Disabled { at: now };
                    assert!(accounts::set_standing(tx, id, standing, now).await?.is_ok());
                    sessions::end(tx, sessions::Which::All(id), sessions::EndReason::Disabled, now).await
                })
                .await
                .unwrap();
                return;
            }
            let attempt = usher::login::Attempt {
                username: "alice".to_owned(),
                password: Zeroizing::new(PASSWORD.to_owned()),
                passcode: None,
                wanted: usher::login::Wanted { kind: sessions::Kind::Browser, label: String::new(), refresh: false },
            };
            drop(usher::login::with_password(&cx, attempt).await);
        }
    })
    .await;
    assert_eq!(sessions::list_live(&app.app.db, id).await.unwrap().len(), 0);
}

/// As many as the requirement on second factors names.
const FIFTY: usize = 50;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_50_who_show_one_passcode_at_once_one_gets_in() {
    let app = crowded(100).await;
    app.account("alice", Role::User).await;
    let owner = app.logged_in("alice").await;
    let (authenticator, codes) = enrol(&app, &owner).await;
    for passcode in [authenticator.code_in(&app, 0), codes[0].clone()] {
        let before = sessions::list_live(&app.app.db, account_of(&app, "alice").await).await.unwrap().len();
        let statuses = together::at_once(FIFTY, |_| {
            let body = json!({"username": "alice", "password": PASSWORD, "passcode": passcode});
            let program = app.anonymous();
            async move { program.post("/api/v1/login", body).await.status }
        })
        .await;
        let inside = statuses.iter().filter(|status| **status == StatusCode::OK).count();
        assert_eq!(inside, 1, "{statuses:?}");
        assert!(statuses.iter().all(|status| matches!(status.as_u16(), 200 | 401)), "{statuses:?}");
        let after = sessions::list_live(&app.app.db, account_of(&app, "alice").await).await.unwrap().len();
        assert_eq!(after, before + 1, "a session without its passcode");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_50_who_use_one_recovery_link_at_once_one_gets_in() {
    let app = crowded(100).await;
    let id = app.account("alice", Role::User).await;
    let owner = app.logged_in("alice").await;
    enrol(&app, &owner).await;
    let made = usher::admin::factors::make_recovery_link(&app.cx(), id).await.unwrap();
    let body = json!({"username": "alice", "password": PASSWORD, "passcode": made.path.rsplit('/').next().unwrap()});
    let inside = together::at_once(FIFTY, |_| {
        let (program, body) = (app.anonymous(), body.clone());
        async move {
            let answer = program.post("/api/v1/login", body).await;
            // With the link went the factor: whoever comes after it logs in by the password alone, into setting one up.
            answer.status == StatusCode::OK && answer.json()["session"]["amr"] == json!(["pwd", "recovery", "mfa"])
        }
    })
    .await;
    assert_eq!(inside.into_iter().filter(|inside| *inside).count(), 1);
}

async fn account_of(app: &TestApp, name: &str) -> AccountId {
    accounts::find_by_key(&app.app.db, name).await.unwrap().unwrap().id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_50_who_take_one_step_of_a_login_at_once_one_gets_in() {
    let app = crowded(100).await;
    app.account("alice", Role::User).await;
    let owner = app.logged_in("alice").await;
    let (authenticator, codes) = enrol(&app, &owner).await;
    let browser = app.browser();
    browser.form("/login", &[("username", "alice"), ("password", PASSWORD)]).await;
    let step = browser.cookie("usher-step").unwrap();
    // Each with another good proof, so that only the step can be what decides.
    let proofs: Vec<String> = codes.iter().cloned().chain([authenticator.code_in(&app, 0)]).collect();
    let inside = together::at_once(proofs.len(), |n| {
        let (browser, proof) = (app.browser().with_cookie("usher-step", &step), proofs[n].clone());
        async move {
            browser.form("/login/code", &[("passcode", &proof)]).await;
            browser.cookie("usher").is_some()
        }
    })
    .await;
    assert_eq!(inside.into_iter().filter(|inside| *inside).count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_50_who_confirm_one_set_up_at_once_one_gets_the_recovery_codes() {
    let app = crowded(100).await;
    app.account("alice", Role::User).await;
    let owner = app.logged_in("alice").await;
    let begun = owner.post("/api/v1/me/totp", json!({})).await.json();
    let code = Authenticator::told(&begun).code_in(&app, 0);
    let program = app.program("alice").await;
    let statuses = together::at_once(FIFTY, |_| {
        let (program, body) = (program.clone(), json!({"passcode": code}));
        async move { program.post("/api/v1/me/totp/confirm", body).await.status }
    })
    .await;
    assert_eq!(statuses.iter().filter(|status| **status == StatusCode::OK).count(), 1, "{statuses:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_login_by_password_alone_begins_after_a_factor_was_set_up() {
    for _ in 0..4 {
        let app = crowded(100).await;
        let id = app.account("alice", Role::User).await;
        let owner = app.logged_in("alice").await;
        let begun = owner.post("/api/v1/me/totp", json!({})).await.json();
        let code = Authenticator::told(&begun).code_in(&app, 0);
        together::at_once(MANY, |n| {
            let (owner, program, code) = (owner.clone(), app.anonymous(), code.clone());
            async move {
                if n == MANY / 2 {
                    let body = json!({"passcode": code, "end_others": true});
                    assert_eq!(owner.post("/api/v1/me/totp/confirm", body).await.status, StatusCode::OK);
                } else {
                    program.post("/api/v1/login", json!({"username": "alice", "password": PASSWORD})).await;
                }
            }
        })
        .await;
        // Those that began before are ended by it, and none begins after.
        let live = sessions::list_live(&app.app.db, id).await.unwrap();
        assert_eq!(live.iter().map(|session| session.amr.as_str()).collect::<Vec<_>>(), ["pwd otp mfa"]);
    }
}
