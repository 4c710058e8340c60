//! The pages at the door: first admin, login, sign-up, lost password, logout.

pub mod letters;
pub mod security;
pub mod steps;

use super::links::{self, Kind as LinkKind, LinkError};
use super::{Attempt, LoggedIn, LoginError, Wanted, api, with_password};
use crate::accounts::username::Username;
use crate::accounts::{self, CreateError};
use crate::config::Signup;
use crate::cx::Cx;
use crate::gate::Door;
use crate::http::cookies;
use crate::http::extract::{self, Form, Query};
use crate::http::failure::Failure;
use crate::http::page::{onward, password_rule, safe_return, shell, show, with_cookies};
use crate::id::AccountId;
use crate::pages::{
    Link, LoginPage, LogoutPage, LogoutState, Nav, Notice, Problem, Problems, Refusal, ResetPage, ResetState,
    SetupPage, SetupState, SignupPage, SignupState, href,
};
use crate::sessions::cookie;
use axum::extract::Path;
use axum::response::Response;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Deserialize;
use zeroize::Zeroizing;

/// Where to go after the login, and what was just done.
#[derive(Deserialize)]
pub struct LoginQuery {
    #[serde(default)]
    return_to: String,
    #[serde(default)]
    done: String,
}

/// The login page. Somebody who is logged in already is sent on.
pub async fn login_page(cx: Cx, headers: HeaderMap, Query(query): Query<LoginQuery>) -> Response {
    if extract::admit(&cx, &headers, Door::Page).await.is_ok() {
        return onward(safe_return(&query.return_to));
    }
    let notice = match query.done.as_str() {
        "reset" => Some(Notice::done("Your password is changed. Log in with the new one.")),
        "late" => Some(Notice::failed("That took too long. Please begin once more with your password.")),
        "created" => Some(Notice::done("Your account is ready. Log in with it.")),
        _ => None,
    };
    show(StatusCode::OK, &login_form(&cx, String::new(), &query.return_to, None, notice))
}

fn login_form(
    cx: &Cx,
    username: String,
    return_to: &str,
    refusal: Option<Refusal>,
    notice: Option<Notice>,
) -> LoginPage {
    LoginPage {
        passkeys: super::passkeys::available(cx).is_some(),
        shell: shell(cx, Nav::Elsewhere),
        username,
        return_to: safe_return(return_to).to_owned(),
        refusal,
        notice,
        signup_open: cx.app.config.accounts.signup == Signup::Open,
        forgot: cx.app.courier.is_some(),
    }
}

/// The login form.
#[derive(Deserialize)]
pub struct LoginForm {
    username: String,
    password: String,
    #[serde(default)]
    return_to: String,
}

/// Logs in and goes where the person wanted to go.
pub async fn login(cx: Cx, headers: HeaderMap, Form(form): Form<LoginForm>) -> Result<Response, Failure> {
    let attempt = Attempt {
        username: form.username.clone(),
        password: Zeroizing::new(form.password),
        passcode: None,
        wanted: Wanted::browser(),
    };
    let refusal = match with_password(&cx, attempt).await {
        Ok(logged_in) => return inside(&cx, &headers, logged_in, &form.return_to).await,
        Err(LoginError::PasscodeRequired(half)) => return steps::go_on(&cx, half, &form.return_to),
        Err(LoginError::Storage(error)) => return Err(error.into()),
        Err(error) => error,
    };
    let failure = Failure::from(refusal);
    let seconds = failure.retry_after.map_or(1, |after| after.as_secs().max(1));
    let shown = match failure.code {
        "rate_limited" => Refusal::Throttled { seconds },
        "busy" => Refusal::Busy { seconds },
        _ => Refusal::Wrong,
    };
    let mut response = show(failure.status, &login_form(&cx, form.username, &form.return_to, Some(shown), None));
    if failure.retry_after.is_some() {
        response.headers_mut().insert(http::header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    Ok(response)
}

/// Sends the browser on with its session.
async fn inside(cx: &Cx, headers: &HeaderMap, logged_in: LoggedIn, return_to: &str) -> Result<Response, Failure> {
    // Whoever was logged in in this browser before is not any more: the cookie is replaced.
    if let Ok(before) = extract::admit(cx, headers, Door::PasswordPage).await
        && let Some(session) = before.session()
    {
        api::end_own(&cx.admitted(before), session).await?;
    }
    let session = logged_in.session;
    let value = cookie::mint(&cx.app.macs.cookie, session.id, &session.secret);
    let set = cookies::set_session(cx, &value, session.absolute);
    let known = logged_in.device.and_then(|device| cookies::set_device(cx, &device));
    let step = cookies::find_step(cx, headers).and_then(|_| cookies::clear_step(cx));
    let next = landing(cx, logged_in.account, safe_return(return_to)).await?;
    Ok(with_cookies(onward(&next), [set, known, step]))
}

/// Where a login leads: what changed of the account's factors is told before anything else, once.
pub(super) async fn landing(cx: &Cx, account: AccountId, return_to: &str) -> Result<String, Failure> {
    Ok(if super::notices::any(cx, account).await? {
        href::query("/account/news", &[("return_to", return_to)])
    } else {
        return_to.to_owned()
    })
}

/// Moves a link out of the address, where histories and logs keep it, into a short-lived cookie.
async fn take_link(cx: Cx, kind: LinkKind, token: &str) -> Response {
    // Only what can be one becomes a cookie: other text in the address could write attributes of its own.
    let cookie = links::well_formed(kind, token).then(|| cookies::set_link(&cx, kind, token)).flatten();
    with_cookies(onward(kind.page()), [cookie])
}

/// The first GET of a setup link.
pub async fn take_setup(cx: Cx, Path(token): Path<String>) -> Response {
    take_link(cx, LinkKind::Setup, &token).await
}

/// The first GET of an invitation.
pub async fn take_invite(cx: Cx, Path(token): Path<String>) -> Response {
    take_link(cx, LinkKind::Invite, &token).await
}

/// The first GET of a reset link.
pub async fn take_reset(cx: Cx, Path(token): Path<String>) -> Response {
    take_link(cx, LinkKind::Reset, &token).await
}

/// The first GET of a recovery link.
pub async fn take_recover(cx: Cx, Path(token): Path<String>) -> Response {
    take_link(cx, LinkKind::Recover, &token).await
}

/// The link this browser carries, if it can still be used.
async fn carried(cx: &Cx, headers: &HeaderMap, kind: LinkKind) -> Result<Option<(String, links::Link)>, Failure> {
    let Some(token) = cookies::find_link(cx, headers, kind) else { return Ok(None) };
    Ok(links::look(cx, kind, &token).await?.map(|link| (token, link)))
}

/// A name and a password, twice.
#[derive(Deserialize)]
pub struct NewAccountForm {
    username: String,
    password: String,
    password2: String,
}

impl NewAccountForm {
    /// The name, or what is wrong with it and the password.
    async fn check(&self, cx: &Cx) -> Result<Username, Problems> {
        let mut problems = Vec::new();
        let username = Username::parse(&self.username)
            .map_err(|error| problems.push(Problem { field: "username", text: sentence(&error.to_string()) }))
            .ok();
        problems.extend(password_problems(cx, &self.password, &self.password2, &[&self.username]).await);
        username.filter(|_| problems.is_empty()).ok_or(Problems(problems))
    }
}

/// What is wrong with a new password, in sentences.
pub async fn password_problems(cx: &Cx, password: &str, again: &str, context: &[&str]) -> Vec<Problem> {
    let weaknesses = super::weaknesses(cx, password, context).await;
    if weaknesses.is_empty() && password != again {
        return vec![Problem { field: "password2", text: "The two passwords are not the same.".to_owned() }];
    }
    weaknesses.iter().map(|weak| Problem { field: "password", text: weak.to_string() }).collect()
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    let rest = chars.as_str();
    let stop = if rest.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{rest}{stop}")
}

/// The hash of a new password.
pub async fn hash(cx: &Cx, password: &str) -> Result<String, Failure> {
    let hashed = cx.app.hasher.hash(Zeroizing::new(password.to_owned())).await;
    hashed.map_err(|busy| LoginError::Busy(busy.retry_after).into())
}

fn link_problem(error: &LinkError) -> Option<Problems> {
    match error {
        LinkError::Create(CreateError::UsernameTaken) => {
            Some(Problems::one("username", "This username is taken, or looks too much like one that is."))
        }
        LinkError::Unusable | LinkError::RateLimited(_) | LinkError::Storage(_) => None,
    }
}

/// The page that makes the first admin. Somebody who is logged in and has no link has nothing to set up, and is sent on.
pub async fn setup_page(cx: Cx, headers: HeaderMap) -> Result<Response, Failure> {
    let caller = extract::admit(&cx, &headers, Door::Page).await.ok();
    let state = match (carried(&cx, &headers, LinkKind::Setup).await?, &caller) {
        (Some(_), _) => SetupState::Form { username: String::new(), problems: Problems::default() },
        (None, Some(caller)) => return Ok(onward(if caller.rights.admin() { "/admin" } else { "/library" })),
        (None, None) => SetupState::NoLink,
    };
    let cx = match caller {
        Some(caller) => cx.admitted(caller),
        None => cx,
    };
    Ok(setup_form(&cx, StatusCode::OK, state))
}

fn setup_form(cx: &Cx, status: StatusCode, state: SetupState) -> Response {
    show(status, &SetupPage { shell: shell(cx, Nav::Elsewhere), rule: password_rule(cx), state })
}

/// Makes the first admin and logs them in.
pub async fn setup(cx: Cx, headers: HeaderMap, Form(form): Form<NewAccountForm>) -> Result<Response, Failure> {
    let Some((token, _)) = carried(&cx, &headers, LinkKind::Setup).await? else {
        return Ok(setup_form(&cx, StatusCode::GONE, SetupState::NoLink));
    };
    let again = |problems| SetupState::Form { username: form.username.clone(), problems };
    let username = match form.check(&cx).await {
        Ok(username) => username,
        Err(problems) => return Ok(setup_form(&cx, StatusCode::UNPROCESSABLE_ENTITY, again(problems))),
    };
    match links::create_account(&cx, LinkKind::Setup, &token, username, hash(&cx, &form.password).await?).await {
        Ok(_) => first_login(&cx, LinkKind::Setup, &form).await,
        Err(error) => match link_problem(&error) {
            Some(problems) => Ok(setup_form(&cx, StatusCode::CONFLICT, again(problems))),
            None => Err(error.into()),
        },
    }
}

/// Logs in with what was just chosen, by the same path as every login.
async fn first_login(cx: &Cx, kind: LinkKind, form: &NewAccountForm) -> Result<Response, Failure> {
    let attempt = Attempt {
        username: form.username.clone(),
        password: Zeroizing::new(form.password.clone()),
        passcode: None,
        wanted: Wanted::browser(),
    };
    let logged_in = with_password(cx, attempt).await?;
    let session = logged_in.session;
    let value = cookie::mint(&cx.app.macs.cookie, session.id, &session.secret);
    let set = cookies::set_session(cx, &value, session.absolute);
    let known = logged_in.device.and_then(|device| cookies::set_device(cx, &device));
    Ok(with_cookies(onward("/library"), [set, known, cookies::clear_link(cx, kind)]))
}

/// The page on which an account is made: by an invitation, or by anybody if the owner allows it.
pub async fn signup_page(cx: Cx, headers: HeaderMap) -> Result<Response, Failure> {
    let state = signup_state(&cx, &headers, String::new(), Problems::default()).await?;
    let status = if matches!(state, SignupState::Closed) { StatusCode::FORBIDDEN } else { StatusCode::OK };
    Ok(signup_form(&cx, status, state))
}

async fn signup_state(
    cx: &Cx,
    headers: &HeaderMap,
    username: String,
    problems: Problems,
) -> Result<SignupState, Failure> {
    let invited = carried(cx, headers, LinkKind::Invite).await?.is_some();
    Ok(match cx.app.config.accounts.signup {
        Signup::Open => SignupState::Form { username, problems, invited },
        Signup::Invite if invited => SignupState::Form { username, problems, invited },
        Signup::Invite | Signup::Off => SignupState::Closed,
    })
}

fn signup_form(cx: &Cx, status: StatusCode, state: SignupState) -> Response {
    show(status, &SignupPage { shell: shell(cx, Nav::Elsewhere), rule: password_rule(cx), state })
}

/// Makes an account and logs its owner in.
pub async fn signup(cx: Cx, headers: HeaderMap, Form(form): Form<NewAccountForm>) -> Result<Response, Failure> {
    let link = carried(&cx, &headers, LinkKind::Invite).await?;
    let allowed = match cx.app.config.accounts.signup {
        Signup::Open => true,
        Signup::Invite => link.is_some(),
        Signup::Off => false,
    };
    if !allowed {
        return Ok(signup_form(&cx, StatusCode::FORBIDDEN, SignupState::Closed));
    }
    let username = match form.check(&cx).await {
        Ok(username) => username,
        Err(problems) => {
            let state = signup_state(&cx, &headers, form.username.clone(), problems).await?;
            return Ok(signup_form(&cx, StatusCode::UNPROCESSABLE_ENTITY, state));
        }
    };
    let made = match link {
        Some((token, _)) => {
            let hash = hash(&cx, &form.password).await?;
            let made = links::create_account(&cx, LinkKind::Invite, &token, username, hash).await;
            made.map(|_| ()).map_err(Failure::from)
        }
        None => {
            let password = Zeroizing::new(form.password.clone());
            super::signup(&cx, username, password).await.map_err(Failure::from)
        }
    };
    match made {
        Ok(()) => first_login(&cx, LinkKind::Invite, &form).await,
        Err(failure) if failure.code == "username_taken" => {
            let problems = Problems::one("username", failure.public);
            let state = signup_state(&cx, &headers, form.username.clone(), problems).await?;
            Ok(signup_form(&cx, StatusCode::CONFLICT, state))
        }
        Err(failure) => Err(failure),
    }
}

/// The page on which a lost password is replaced.
pub async fn reset_page(cx: Cx, headers: HeaderMap) -> Result<Response, Failure> {
    let state = reset_state(&cx, &headers, Problems::default()).await?;
    Ok(reset_form(&cx, StatusCode::OK, state))
}

async fn reset_state(cx: &Cx, headers: &HeaderMap, problems: Problems) -> Result<ResetState, Failure> {
    let Some((_, link)) = carried(cx, headers, LinkKind::Reset).await? else { return Ok(ResetState::NoLink) };
    let Some(account) = link.account else { return Ok(ResetState::NoLink) };
    let account = accounts::find(&cx.app.db, account).await?;
    Ok(account.map_or(ResetState::NoLink, |account| ResetState::Form { username: account.username, problems }))
}

fn reset_form(cx: &Cx, status: StatusCode, state: ResetState) -> Response {
    show(status, &ResetPage { shell: shell(cx, Nav::Elsewhere), rule: password_rule(cx), state })
}

/// A new password, twice.
#[derive(Deserialize)]
pub struct ResetForm {
    password: String,
    password2: String,
}

/// Sets the new password and leads to the login; nobody is logged in by a link.
pub async fn reset(cx: Cx, headers: HeaderMap, Form(form): Form<ResetForm>) -> Result<Response, Failure> {
    let Some((token, link)) = carried(&cx, &headers, LinkKind::Reset).await? else {
        return Ok(reset_form(&cx, StatusCode::GONE, ResetState::NoLink));
    };
    let owner = match link.account {
        Some(account) => accounts::find(&cx.app.db, account).await?,
        None => None,
    };
    let words = owner.as_ref().map(super::words_of).unwrap_or_default();
    let problems = password_problems(&cx, &form.password, &form.password2, &words).await;
    if !problems.is_empty() {
        let state = reset_state(&cx, &headers, Problems(problems)).await?;
        return Ok(reset_form(&cx, StatusCode::UNPROCESSABLE_ENTITY, state));
    }
    links::reset_password(&cx, &token, hash(&cx, &form.password).await?).await?;
    Ok(with_cookies(onward("/login?done=reset"), [cookies::clear_link(&cx, LinkKind::Reset)]))
}

/// Asks whether to log out: a GET changes nothing.
pub async fn logout_page(cx: Cx, headers: HeaderMap) -> Response {
    let state = match extract::admit(&cx, &headers, Door::PasswordPage).await {
        Ok(_) => LogoutState::Confirm,
        Err(_) => LogoutState::Done { again: Link::new("Log in", "/login") },
    };
    show(StatusCode::OK, &LogoutPage { shell: shell(&cx, Nav::Elsewhere), state })
}

/// Ends the session of this browser, if there is one.
pub async fn logout(cx: Cx, headers: HeaderMap) -> Result<Response, Failure> {
    match extract::admit(&cx, &headers, Door::Leave).await {
        Ok(caller) => {
            if let Some(session) = caller.session() {
                api::end_own(&cx.admitted(caller), session).await?;
            }
        }
        Err(crate::gate::Refusal::Unavailable) => return Err(crate::gate::Refusal::Unavailable.into()),
        Err(_) => {}
    }
    let page = LogoutPage {
        shell: shell(&cx, Nav::Elsewhere),
        state: LogoutState::Done { again: Link::new("Log in", "/login") },
    };
    let mut response = with_cookies(show(StatusCode::OK, &page), [cookies::clear_session(&cx)]);
    // What the browser kept of the library goes too; its cookies were cleared by name.
    response.headers_mut().insert("clear-site-data", HeaderValue::from_static("\"cache\", \"storage\""));
    Ok(response)
}
