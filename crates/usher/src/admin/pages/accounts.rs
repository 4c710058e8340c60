//! Accounts: the list with its form for a new one, and the page of one account.

use super::asked::{self, Asked};
use super::{Done, MOST_GROUPS, bucket_choices, bucket_words, buckets, link, sentence};
use crate::accounts::username::Username;
use crate::accounts::{Buckets, Role, Standing, groups as group_rules};
use crate::admin::{self, AdminError, Change, Details};
use crate::cx::Cx;
use crate::http::extract::{AdminPage, Id, Pairs, Query, caller};
use crate::http::failure::Failure;
use crate::http::page::{onward, password_rule, shell, show, when};
use crate::id::{AccountId, GroupId, SessionId};
use crate::login::links::MadeLink;
use crate::login::{again, throttle};
use crate::pages::{
    AccountEditPage, AccountLine, AccountsPage, Choice, Guesses, Nav, NewAccountForm, Notice, Problem, Problems,
    SessionLine, TotpSetup, href,
};
use crate::sessions;
use axum::extract::Path;
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use std::collections::BTreeSet;
use zeroize::Zeroizing;

/// Accounts on one page.
const LINES: u32 = 50;

/// Which accounts to show.
#[derive(Deserialize)]
pub struct ListQuery {
    #[serde(default)]
    q: String,
    after: Option<AccountId>,
    #[serde(default)]
    done: String,
}

/// The list of accounts.
pub async fn list(AdminPage(cx): AdminPage, Query(query): Query<ListQuery>) -> Result<Response, Failure> {
    let form = NewAccountForm {
        username: String::new(),
        admin: false,
        must_change: true,
        buckets: bucket_choices(&cx, &Buckets::None),
        ask_password: !again::is_fresh(&cx),
        problems: Problems::default(),
    };
    list_page(&cx, StatusCode::OK, query, form).await
}

async fn list_page(cx: &Cx, status: StatusCode, query: ListQuery, form: NewAccountForm) -> Result<Response, Failure> {
    // When the account to go on after is gone, the list begins again.
    let listed = match admin::list(&cx.app.db, &query.q, query.after, LINES).await? {
        Some(listed) => listed,
        None => return Ok(onward(&href::query("/admin/accounts", &[("q", &query.q)]))),
    };
    let every_group = group_rules::list(&cx.app.db, MOST_GROUPS).await?;
    let groups = every_group.into_iter().map(|(group, _)| Choice {
        value: group.id.to_string(),
        label: group.name,
        chosen: false,
    });
    let page = AccountsPage {
        groups: groups.collect(),
        buckets: bucket_choices(cx, &Buckets::None),
        shell: shell(cx, Nav::Admin),
        notice: Done { done: query.done }.notice(),
        next: listed
            .next
            .map(|after| href::query("/admin/accounts", &[("q", &query.q), ("after", &after.to_string())])),
        first: query.after.map(|_| href::query("/admin/accounts", &[("q", &query.q)])),
        lines: listed.accounts.into_iter().map(|details| line(cx, details)).collect(),
        query: query.q,
        form,
        rule: password_rule(cx),
    };
    Ok(show(status, &page))
}

fn line(cx: &Cx, details: Details) -> AccountLine {
    let account = details.account;
    AccountLine {
        id: account.id.to_string(),
        admin: account.role == Role::Admin,
        groups: details.groups.into_iter().map(|group| group.name).collect(),
        buckets: bucket_words(&details.buckets),
        disabled: account.standing != Standing::Active,
        must_change: account.must_change_at.is_some(),
        last_login: account.last_login_at.map(|at| when(at, cx.now)),
        username: account.username,
    }
}

/// Makes an account with a first password.
pub async fn create(AdminPage(cx): AdminPage, form: Pairs) -> Result<Response, Failure> {
    let role = role(&form)?;
    let wanted = buckets(&cx, form.all("buckets"), &Buckets::None)?;
    let must_change = form.first("must_change") == "yes";
    let again = NewAccountForm {
        username: form.first("username").to_owned(),
        admin: role == Role::Admin,
        must_change,
        buckets: bucket_choices(&cx, &wanted),
        ask_password: !again::is_fresh(&cx),
        problems: Problems::default(),
    };
    let all = ListQuery { q: String::new(), after: None, done: String::new() };
    // A first password is never written into a page, so this form asks for the admin's own beside it.
    let asked = match Asked::of(cx.clone(), &form, "/admin/accounts").await? {
        Ok(asked) => asked,
        Err((status, text)) => {
            let again = NewAccountForm { problems: Problems::one(asked::FIELD, text), ..again };
            return list_page(&cx, status, all, again).await;
        }
    };
    let cx = asked.cx.clone();
    let problems = match Username::parse(form.first("username")) {
        Err(error) => Problems::one("username", error.to_string()),
        Ok(_) if form.first("password").is_empty() => Problems::one("password", "Enter a first password."),
        Ok(username) => {
            let new = admin::NewAccount {
                username,
                password: Some(Zeroizing::new(form.first("password").to_owned())),
                must_change,
                role,
                buckets: wanted.clone(),
                groups: BTreeSet::new(),
                display_name: None,
            };
            match admin::create(&cx, new).await {
                Ok(created) => {
                    return Ok(asked.keep(onward(&format!("/admin/accounts/{}?done=created", created.id))));
                }
                Err(AdminError::ProofRequired) => {
                    Problems::one(asked::FIELD, "Enter your own password for this, and the first one once more.")
                }
                Err(error) => problems(error)?,
            }
        }
    };
    let ask_password = !again::is_fresh(&cx);
    let again = NewAccountForm { ask_password, problems, ..again };
    let page = list_page(&cx, StatusCode::UNPROCESSABLE_ENTITY, all, again).await?;
    Ok(asked.keep(page))
}

fn role(form: &Pairs) -> Result<Role, Failure> {
    form.first("role").parse().map_err(|error: crate::accounts::NoSuchRole| Failure::invalid(error.to_string()))
}

/// What is wrong, at the field it is about.
fn problems(error: AdminError) -> Result<Problems, Failure> {
    if let AdminError::Weak(weaknesses) = &error {
        let weak = |weakness: &crate::accounts::policy::Weakness| weakness.to_string();
        let found = weaknesses.iter().map(|weakness| Problem { field: "password", text: weak(weakness) });
        return Ok(Problems(found.collect()));
    }
    let field = if matches!(error, AdminError::UsernameTaken) { "username" } else { "" };
    Ok(Problems::one(field, sentence(error)?))
}

/// What the page of an account shows besides the account.
#[derive(Default)]
pub(super) struct Beside {
    pub(super) notice: Option<Notice>,
    pub(super) problems: Problems,
    pub(super) reset_link: Option<MadeLink>,
    pub(super) recovery_link: Option<MadeLink>,
    pub(super) setup: Option<TotpSetup>,
    pub(super) codes: Vec<String>,
}

/// The page of one account.
pub async fn edit(
    AdminPage(cx): AdminPage,
    Id(id): Id<AccountId>,
    Query(done): Query<Done>,
) -> Result<Response, Failure> {
    edit_page(&cx, StatusCode::OK, id, Beside { notice: done.notice(), ..Beside::default() }).await
}

pub(super) async fn edit_page(cx: &Cx, status: StatusCode, id: AccountId, beside: Beside) -> Result<Response, Failure> {
    let details = admin::find(&cx.app.db, id).await?.ok_or_else(Failure::not_found)?;
    let mine: BTreeSet<GroupId> = details.groups.iter().map(|group| group.id).collect();
    let every_group = group_rules::list(&cx.app.db, MOST_GROUPS).await?;
    let groups = every_group.into_iter().map(|(group, _)| Choice {
        chosen: mine.contains(&group.id),
        value: group.id.to_string(),
        label: group.name,
    });
    let this = caller(cx)?.session();
    let live = sessions::own::list(cx, id).await?;
    let live = live.into_iter().map(|session| SessionLine {
        this: this == Some(session.id),
        id: session.id.to_string(),
        label: session.label,
        place: session.address,
        started: when(session.created_at, cx.now),
        last_used: when(session.last_used_at, cx.now),
    });
    let factors = crate::login::factors::find(&cx.app.db, id).await?;
    let account = details.account;
    let page = AccountEditPage {
        shell: shell(cx, Nav::Admin),
        notice: beside.notice,
        id: id.to_string(),
        admin: account.role == Role::Admin,
        disabled: account.standing != Standing::Active,
        must_change: account.must_change_at.is_some(),
        created: when(account.created_at, cx.now),
        last_login: account.last_login_at.map(|at| when(at, cx.now)),
        groups: groups.collect(),
        buckets: bucket_choices(cx, &details.buckets),
        problems: beside.problems,
        sessions: live.collect(),
        guesses: guesses(cx, &account.username).await?,
        reset_link: beside.reset_link.as_ref().map(|made| link(cx, made)),
        recovery_link: beside.recovery_link.as_ref().map(|made| link(cx, made)),
        setup: beside.setup,
        waiting: crate::login::factors::waits(cx, id).await?,
        codes: beside.codes,
        totp: factors.totp.map(|secret| when(secret.since, cx.now)),
        passkeys: factors.passkeys,
        codes_left: factors.recovery.left,
        factor_required: factors.demanded_at.is_some(),
        own: caller(cx)?.account() == id,
        username: account.username,
    };
    Ok(show(status, &page))
}

/// The wrong passwords that were tried at an account of late, if there were any.
async fn guesses(cx: &Cx, username: &str) -> Result<Option<Guesses>, Failure> {
    Ok(throttle::guessed(cx, username).await?.map(|guessed| Guesses {
        count: guessed.failures,
        last: when(guessed.last_at, cx.now),
        refused: (cx.now < guessed.blocked_until).then(|| match guessed.until_reset(cx.now) {
            true => "until the password is reset, or forgiven here".to_owned(),
            false => format!("until {}", when(guessed.blocked_until, cx.now).text),
        }),
    }))
}

/// Saves role, standing, groups and buckets, all at once.
pub async fn save(AdminPage(cx): AdminPage, Id(id): Id<AccountId>, form: Pairs) -> Result<Response, Failure> {
    match Asked::or_page(cx, &form, &format!("/admin/accounts/{id}")).await? {
        Ok(asked) => {
            let saved = save_now(&asked.cx, id, &form).await;
            asked.answer(&form, saved)
        }
        Err(page) => Ok(page),
    }
}

async fn save_now(cx: &Cx, id: AccountId, form: &Pairs) -> Result<Response, Failure> {
    let before = admin::find(&cx.app.db, id).await?.ok_or_else(Failure::not_found)?;
    let groups: Result<BTreeSet<GroupId>, _> = form.all("groups").into_iter().map(str::parse).collect();
    let change = Change {
        role: Some(role(form)?),
        disabled: Some(form.first("disabled") == "yes"),
        buckets: Some(buckets(cx, form.all("buckets"), &before.buckets)?),
        groups: Some(groups.map_err(|_| Failure::invalid("There is no such group."))?),
        display_name: None,
    };
    match admin::change(cx, id, change).await {
        // An admin who is none any more, or is shut out, has no business at that page.
        Ok(()) => Ok(onward(&format!("/admin/accounts/{id}?done=saved"))),
        Err(error) => {
            let problems = Problems::one("", sentence(error)?);
            edit_page(cx, StatusCode::CONFLICT, id, Beside { problems, ..Beside::default() }).await
        }
    }
}

/// Ends all sessions of the account.
pub async fn end_sessions(AdminPage(cx): AdminPage, Id(id): Id<AccountId>) -> Result<Response, Failure> {
    admin::end_sessions(&cx, id).await?;
    Ok(onward(&format!("/admin/accounts/{id}?done=ended")))
}

/// Ends one session of the account.
pub async fn end_session(
    AdminPage(cx): AdminPage,
    Path((id, session)): Path<(String, String)>,
) -> Result<Response, Failure> {
    let id: AccountId = id.parse().map_err(|_| Failure::not_found())?;
    let session: SessionId = session.parse().map_err(|_| Failure::not_found())?;
    admin::end_session(&cx, Some(id), session).await?;
    Ok(onward(&format!("/admin/accounts/{id}?done=ended")))
}

/// Makes a reset link and shows it, this once.
pub async fn reset_link(AdminPage(cx): AdminPage, Id(id): Id<AccountId>, form: Pairs) -> Result<Response, Failure> {
    match Asked::or_page(cx, &form, &format!("/admin/accounts/{id}/reset-link")).await? {
        Ok(asked) => {
            let made = reset_link_now(&asked.cx, id).await;
            asked.answer(&form, made)
        }
        Err(page) => Ok(page),
    }
}

async fn reset_link_now(cx: &Cx, id: AccountId) -> Result<Response, Failure> {
    match admin::make_reset_link(cx, id).await {
        Ok(made) => edit_page(cx, StatusCode::OK, id, Beside { reset_link: Some(made), ..Beside::default() }).await,
        Err(error) => {
            let notice = Some(Notice::failed(sentence(error)?));
            edit_page(cx, StatusCode::CONFLICT, id, Beside { notice, ..Beside::default() }).await
        }
    }
}

/// Forgets the wrong passwords that were tried at the account.
pub async fn forgive(AdminPage(cx): AdminPage, Id(id): Id<AccountId>) -> Result<Response, Failure> {
    admin::forgive(&cx, id).await?;
    Ok(onward(&format!("/admin/accounts/{id}?done=forgiven")))
}

/// Removes the account, when its name was typed to confirm.
pub async fn delete(AdminPage(cx): AdminPage, Id(id): Id<AccountId>, form: Pairs) -> Result<Response, Failure> {
    match Asked::or_page(cx, &form, &format!("/admin/accounts/{id}/delete")).await? {
        Ok(asked) => {
            let deleted = delete_now(&asked.cx, id, &form).await;
            asked.answer(&form, deleted)
        }
        Err(page) => Ok(page),
    }
}

async fn delete_now(cx: &Cx, id: AccountId, form: &Pairs) -> Result<Response, Failure> {
    let account = admin::find(&cx.app.db, id).await?.ok_or_else(Failure::not_found)?.account;
    if form.first("confirm") != account.username {
        let problems = Problems::one("confirm", "Type the username exactly as it stands here.");
        return edit_page(cx, StatusCode::UNPROCESSABLE_ENTITY, id, Beside { problems, ..Beside::default() }).await;
    }
    match admin::delete(cx, id).await {
        Ok(()) => Ok(onward("/admin/accounts?done=deleted")),
        Err(error) => {
            let problems = Problems::one("confirm", sentence(error)?);
            edit_page(cx, StatusCode::CONFLICT, id, Beside { problems, ..Beside::default() }).await
        }
    }
}
