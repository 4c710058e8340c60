//! `/account`: one's own password, sessions and personal tokens; `/password`: the change that is demanded.

use super::profile::{DisplayName, Email, ProfileError};
use crate::cx::Cx;
use crate::gate::Caller;
use crate::http::cookies;
use crate::http::extract::{Form, Id, Page, PasswordPage, Query, caller};
use crate::http::failure::Failure;
use crate::http::page::{onward, password_rule, shell, show, when, with_cookies};
use crate::id::{PersonalTokenId, SessionId};
use crate::login::again::{self, AgainError, Given, PasswordChange, PasswordError, ProfileChange, ProfileChangeError};
use crate::login::{LoginError, label_of, letters};
use crate::pages::{
    AccountPage, Choice, MustChangePage, Nav, NewToken, Notice, Problem, Problems, ProfileForm, SessionLine, TokenForm,
    TokenLine,
};
use crate::sessions::{Proof, Session, Which, own};
use crate::tokens::issue::{self, IssueError, USUAL_DAYS, Wish};
use crate::tokens::personal::{PersonalToken, Scope};
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use zeroize::Zeroizing;

/// What was just done, for the notice.
#[derive(Deserialize)]
pub struct AccountQuery {
    #[serde(default)]
    done: String,
}

/// The account page.
pub async fn account_page(Page(cx): Page, Query(query): Query<AccountQuery>) -> Result<Response, Failure> {
    let notice = match query.done.as_str() {
        "password" => Some("Your password is changed."),
        "profile" => Some("Saved."),
        "letter" => Some("A letter with a link is on its way to your address."),
        "ended" => Some("That session is over."),
        "others" => Some("All your other sessions are over."),
        "revoked" => Some("That token is of no use any more."),
        _ => None,
    };
    let page = AccountPage { notice: notice.map(Notice::done), ..gather(&cx).await? };
    Ok(show(StatusCode::OK, &page))
}

async fn gather(cx: &Cx) -> Result<AccountPage, Failure> {
    let caller = caller(cx)?;
    let sessions = own::list(cx, caller.account()).await?;
    let tokens = issue::list(cx, caller.account()).await?;
    let account = super::find(&cx.app.db, caller.account()).await?.ok_or(crate::gate::Refusal::Ended)?;
    Ok(AccountPage {
        profile: ProfileForm {
            display_name: account.display_name.unwrap_or_default(),
            verified: account.verified_at.is_some(),
            can_verify: cx.app.courier.is_some() && account.email.is_some() && account.verified_at.is_none(),
            email: account.email.unwrap_or_default(),
            ask_password: !again::is_fresh(cx),
            problems: Problems::default(),
        },
        shell: shell(cx, Nav::Account),
        username: caller.rights.username.clone(),
        notice: None,
        rule: password_rule(cx),
        problems: Problems::default(),
        sessions: sessions.into_iter().map(|session| session_line(cx, caller, session)).collect(),
        tokens: tokens.into_iter().map(|token| token_line(cx, token)).collect(),
        token_form: token_form(cx, caller, String::new(), USUAL_DAYS, &[Scope::Media]),
        new_token: None,
        signed_header: cx.app.config.compat.signed_header,
    })
}

fn session_line(cx: &Cx, caller: &Caller, session: Session) -> SessionLine {
    SessionLine {
        id: session.id.to_string(),
        started: when(session.created_at, cx.now),
        last_used: when(session.last_used_at, cx.now),
        this: caller.session() == Some(session.id),
        label: if session.label.is_empty() { label_of(&session.agent) } else { session.label },
        place: session.address,
    }
}

fn token_line(cx: &Cx, token: PersonalToken) -> TokenLine {
    TokenLine {
        id: token.id.to_string(),
        scopes: token.scopes.iter().map(|scope| scope.word().to_owned()).collect(),
        created: when(token.made_at, cx.now),
        expires: token.expires_at.map(|at| when(at, cx.now)),
        expired: token.expires_at.is_some_and(|at| cx.now >= at),
        last_used: token.last_used_at.map(|at| when(at, cx.now)),
        name: token.name,
    }
}

fn token_form(cx: &Cx, caller: &Caller, name: String, expires_days: u32, chosen: &[Scope]) -> TokenForm {
    let choice = |scope: Scope, label: &str| Choice {
        value: scope.word().to_owned(),
        label: label.to_owned(),
        chosen: chosen.contains(&scope),
    };
    let mut scopes = vec![
        choice(Scope::Media, "See your library and play from it"),
        choice(Scope::Profile, "Read the facts of your account"),
    ];
    if caller.rights.admin() {
        scopes.push(choice(Scope::Admin, "Administer this server"));
        scopes.push(choice(
            Scope::Introspect,
            "Ask whether anybody's token is still good, as an API behind this server does",
        ));
    }
    TokenForm { name, expires_days, scopes, ask_password: !again::is_fresh(cx), problems: Problems::default() }
}

/// The form of one's own facts.
#[derive(Deserialize)]
pub struct FactsForm {
    display_name: String,
    email: String,
    #[serde(default)]
    confirm: String,
}

impl FactsForm {
    fn read(&self) -> Result<ProfileChange, (StatusCode, Problems)> {
        let wrong = |field: &'static str| {
            move |error: ProfileError| (StatusCode::UNPROCESSABLE_ENTITY, Problems::one(field, error.to_string()))
        };
        let email = self.email.trim();
        let email = if email.is_empty() { None } else { Some(Email::parse(email).map_err(wrong("email"))?) };
        Ok(ProfileChange {
            display_name: Some(DisplayName::parse(&self.display_name).map_err(wrong("display_name"))?),
            email: Some(email),
            given: Given::new(Some(self.confirm.clone()), None),
        })
    }
}

/// Changes one's own display name and email address.
pub async fn change_profile(Page(cx): Page, Form(form): Form<FactsForm>) -> Result<Response, Failure> {
    let (status, problems) = match form.read() {
        Ok(change) => match again::change_profile(&cx, change).await {
            Ok(proof) => {
                return Ok(with_cookies(onward("/account?done=profile"), [cookies::renewed(&cx, &proof)]));
            }
            Err(ProfileChangeError::Again(error)) => refused(error, "confirm")?,
            Err(ProfileChangeError::Profile(ProfileError::EmailTaken)) => {
                (StatusCode::CONFLICT, Problems::one("email", "Another account has this email address."))
            }
            Err(ProfileChangeError::Profile(error)) => return Err(error.into()),
        },
        Err(problem) => problem,
    };
    let page = gather(&cx).await?;
    let profile = ProfileForm {
        ask_password: page.profile.ask_password || problems.on("confirm").is_some(),
        display_name: form.display_name,
        email: form.email,
        problems,
        ..page.profile
    };
    Ok(show(status, &AccountPage { profile, ..page }))
}

/// Sends the letter by which one's address is proven, once more.
pub async fn verify_again(Page(cx): Page) -> Result<Response, Failure> {
    letters::verify_again(&cx, caller(&cx)?.account()).await?;
    Ok(onward("/account?done=letter"))
}

/// The password form.
#[derive(Deserialize)]
pub struct PasswordForm {
    current: String,
    password: String,
    password2: String,
    #[serde(default)]
    end_others: String,
}

impl PasswordForm {
    /// Changes the password, or says in words what is wrong with the form, with the status to say it with.
    async fn change(self, cx: &Cx) -> Result<Result<Proof, (StatusCode, Problems)>, Failure> {
        if self.password != self.password2 {
            let problems = Problems::one("password2", "The two passwords are not the same.");
            return Ok(Err((StatusCode::UNPROCESSABLE_ENTITY, problems)));
        }
        let change = PasswordChange {
            current: Zeroizing::new(self.current),
            password: Zeroizing::new(self.password),
            end_others: !self.end_others.is_empty(),
        };
        match again::change_password(cx, change).await {
            Ok(proof) => Ok(Ok(proof)),
            Err(PasswordError::Weak(found)) => {
                let text = found.join(" ");
                Ok(Err((StatusCode::UNPROCESSABLE_ENTITY, Problems::one("password", text))))
            }
            Err(PasswordError::Again(error)) => refused(error, "current").map(Err),
        }
    }
}

/// A proof that was refused, as a problem of the form's field; what no form can show goes on as a failure.
fn refused(error: AgainError, field: &'static str) -> Result<(StatusCode, Problems), Failure> {
    match error {
        AgainError::Wrong => {
            Ok((StatusCode::UNPROCESSABLE_ENTITY, Problems::one(field, "That is not your present password.")))
        }
        AgainError::Required => {
            Ok((StatusCode::UNPROCESSABLE_ENTITY, Problems::one(field, "Enter your password once more for this.")))
        }
        AgainError::Login(LoginError::RateLimited(_)) => {
            let text = "Too many wrong passwords. Wait a little before the next attempt.";
            Ok((StatusCode::TOO_MANY_REQUESTS, Problems::one("", text)))
        }
        other => Err(other.into()),
    }
}

/// Changes the password.
pub async fn change_password(Page(cx): Page, Form(form): Form<PasswordForm>) -> Result<Response, Failure> {
    match form.change(&cx).await? {
        Ok(proof) => Ok(with_cookies(onward("/account?done=password"), [cookies::renewed(&cx, &proof)])),
        Err((status, problems)) => Ok(show(status, &AccountPage { problems, ..gather(&cx).await? })),
    }
}

/// The page on which a new password must be chosen. Nobody else has business there.
pub async fn must_change_page(PasswordPage(cx): PasswordPage) -> Result<Response, Failure> {
    if !caller(&cx)?.rights.must_change {
        return Ok(onward("/account"));
    }
    must_change_form(&cx, StatusCode::OK, Problems::default())
}

fn must_change_form(cx: &Cx, status: StatusCode, problems: Problems) -> Result<Response, Failure> {
    let username = caller(cx)?.rights.username.clone();
    Ok(show(status, &MustChangePage { shell: shell(cx, Nav::Elsewhere), rule: password_rule(cx), username, problems }))
}

/// Changes the password that was set by somebody else, and lets its owner in.
pub async fn must_change(PasswordPage(cx): PasswordPage, Form(form): Form<PasswordForm>) -> Result<Response, Failure> {
    match form.change(&cx).await? {
        Ok(proof) => Ok(with_cookies(onward("/library"), [cookies::renewed(&cx, &proof)])),
        Err((status, problems)) => must_change_form(&cx, status, problems),
    }
}

/// Ends one session. Ending the one that asks is a logout.
pub async fn end_session(Page(cx): Page, Id(id): Id<SessionId>) -> Result<Response, Failure> {
    let caller = caller(&cx)?;
    if own::end(&cx, Which::OneOf(caller.account(), id)).await?.is_empty() {
        return Err(Failure::not_found());
    }
    if caller.session() == Some(id) {
        return Ok(with_cookies(onward("/login"), [cookies::clear_session(&cx)]));
    }
    Ok(onward("/account?done=ended"))
}

/// Ends all sessions but the one that asks.
pub async fn end_others(Page(cx): Page) -> Result<Response, Failure> {
    let caller = caller(&cx)?;
    if let Some(session) = caller.session() {
        own::end(&cx, Which::Others(caller.account(), session)).await?;
    }
    Ok(onward("/account?done=others"))
}

/// Ends all sessions.
pub async fn end_all(Page(cx): Page) -> Result<Response, Failure> {
    own::end(&cx, Which::All(caller(&cx)?.account())).await?;
    Ok(with_cookies(onward("/login"), [cookies::clear_session(&cx)]))
}

/// Makes a personal token and shows its secret, this once.
///
/// The fields come as pairs, because `scopes` comes once for each that is chosen.
pub async fn create_token(Page(cx): Page, Form(fields): Form<Vec<(String, String)>>) -> Result<Response, Failure> {
    let field = |name: &str| fields.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str());
    let chosen = fields.iter().filter(|(key, _)| key == "scopes").map(|(_, value)| value.parse::<Scope>());
    let scopes = chosen.collect::<Result<Vec<_>, ()>>().map_err(|()| Failure::invalid("There is no such scope."))?;
    let expires_days = field("expires_days").parse().unwrap_or(0);
    let name = field("name").to_owned();
    let confirm = Some(field("confirm")).filter(|text| !text.is_empty());

    let caller = caller(&cx)?;
    let (status, problems) = match again::step_up(&cx, confirm.map(|text| Zeroizing::new(text.to_owned()))).await {
        Ok(proof) => {
            let wish = Wish { name: name.clone(), scopes: scopes.clone(), expires_days };
            match issue::issue(&cx, caller, wish, &proof).await {
                Ok(made) => {
                    let secret = made.plain.expose().to_owned();
                    let new_token = Some(NewToken { name: made.token.name, secret });
                    let page = AccountPage { new_token, ..gather(&cx).await? };
                    return Ok(with_cookies(show(StatusCode::OK, &page), [cookies::renewed(&cx, &proof)]));
                }
                Err(error) => (StatusCode::UNPROCESSABLE_ENTITY, token_problem(error)?),
            }
        }
        Err(error) => refused(error, "confirm")?,
    };
    let days = if expires_days == 0 { USUAL_DAYS } else { expires_days };
    let form = TokenForm { problems, ..token_form(&cx, caller, name, days, &scopes) };
    let form = TokenForm { ask_password: form.ask_password || form.problems.on("confirm").is_some(), ..form };
    Ok(show(status, &AccountPage { token_form: form, ..gather(&cx).await? }))
}

fn token_problem(error: IssueError) -> Result<Problems, Failure> {
    let field = match error {
        IssueError::Name => "name",
        IssueError::Scopes | IssueError::NotAdmin => "scopes",
        IssueError::Days => "expires_days",
        IssueError::TooMany => "",
        IssueError::Ended | IssueError::Storage(_) => return Err(error.into()),
    };
    Ok(Problems(vec![Problem { field, text: error.to_string() }]))
}

/// Revokes a personal token.
pub async fn revoke_token(Page(cx): Page, Id(id): Id<PersonalTokenId>) -> Result<Response, Failure> {
    let account = caller(&cx)?.account();
    if issue::revoke(&cx, account, id).await? { Ok(onward("/account?done=revoked")) } else { Err(Failure::not_found()) }
}
