//! `/account/security`, `/account/again` and `/account/news`: one's own second factors, a fresh proof for the acts that
//! need one, and what changed since the last visit.

use crate::cx::Cx;
use crate::gate;
use crate::http::cookies;
use crate::http::extract::{FactorPage, Form, Id, Query, caller};
use crate::http::failure::Failure;
use crate::http::page::{onward, safe_return, shell, show, totp_setup, when, with_cookies};
use crate::id::{NoticeId, PasskeyId};
use crate::login::LoginError;
use crate::login::again::{self, AgainError, Given};
use crate::login::factors::{self, Confirmed, FactorError};
use crate::login::notices::{self, News};
use crate::login::passcode::RecoveryCode;
use crate::login::passkeys::{self, Passkey};
use crate::login::totp::Shape;
use crate::pages::{CodesPage, Nav, NewsLine, NewsPage, Notice, PasskeyLine, Problems, SecurityPage};
use crate::sessions::Proof;
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use webauthn_rs::prelude::RegisterPublicKeyCredential;

/// What was just done, for the notice.
#[derive(Deserialize)]
pub struct SecurityQuery {
    #[serde(default)]
    done: String,
}

/// The page.
pub async fn security_page(
    FactorPage(cx): FactorPage,
    Query(query): Query<SecurityQuery>,
) -> Result<Response, Failure> {
    let notice = match query.done.as_str() {
        "totp" => Some(Notice::done("Your authenticator app is on.")),
        "removed" => Some(Notice::done("Your authenticator app is off.")),
        "passkey" => Some(Notice::done("Your passkey is registered.")),
        "renamed" => Some(Notice::done("It is called so now.")),
        "passkey-removed" => Some(Notice::done("That passkey is of no use any more.")),
        "again" => Some(Notice::failed("Prove once more who you are, and do it again.")),
        _ => None,
    };
    Ok(show(StatusCode::OK, &SecurityPage { notice, ..gather(&cx).await? }))
}

async fn gather(cx: &Cx) -> Result<SecurityPage, Failure> {
    let caller = caller(cx)?;
    let state = factors::find(&cx.app.db, caller.account()).await?;
    Ok(SecurityPage {
        shell: shell(cx, Nav::Account),
        username: caller.rights.username.clone(),
        notice: None,
        must_enrol: gate::must_enrol(cx, &caller.rights),
        demanded: gate::demands_factor(cx, &caller.rights),
        ask: !again::is_fresh(cx),
        totp: state.totp.map(|secret| when(secret.since, cx.now)),
        setup: None,
        waiting: factors::waits(cx, caller.account()).await?,
        passkeys_here: passkeys::available(cx).is_some(),
        passkeys: passkeys::list(&cx.app.db, caller.account()).await?.into_iter().map(|key| line_of(cx, key)).collect(),
        codes_left: state.recovery.left,
        problems: Problems::default(),
    })
}

fn line_of(cx: &Cx, passkey: Passkey) -> PasskeyLine {
    PasskeyLine {
        id: passkey.id.to_string(),
        name: passkey.name,
        made: when(passkey.made_at, cx.now),
        last_used: passkey.last_used_at.map(|at| when(at, cx.now)),
    }
}

/// A failure that the page cannot show goes on; a proof that has become too old leads to where one is asked for.
fn not_shown(error: FactorError) -> Result<Response, Failure> {
    match error {
        FactorError::Again(AgainError::Required) => Ok(onward("/account/security?done=again")),
        other => Err(other.into()),
    }
}

async fn fresh(cx: &Cx) -> Result<Proof, FactorError> {
    Ok(again::step_up_by(cx, Given::default()).await?)
}

/// Makes a secret for an authenticator app and shows it, this once.
pub async fn begin_totp(FactorPage(cx): FactorPage) -> Result<Response, Failure> {
    let begun = async {
        let proof = fresh(&cx).await?;
        let (account, name) = caller(&cx)
            .map_err(|_| FactorError::Ended)
            .map(|caller| (caller.account(), caller.rights.username.clone()))?;
        factors::begin_totp(&cx, account, &name, Shape::default(), Some(&proof)).await
    };
    match begun.await {
        Ok(waiting) => {
            Ok(show(StatusCode::OK, &SecurityPage { setup: Some(totp_setup(&waiting)), ..gather(&cx).await? }))
        }
        Err(error) => not_shown(error),
    }
}

/// The first code of an app.
#[derive(Deserialize)]
pub struct ConfirmForm {
    passcode: String,
    #[serde(default)]
    end_others: String,
}

/// Switches the authenticator app on by its first code, and shows the recovery codes that come with it.
pub async fn confirm_totp(FactorPage(cx): FactorPage, Form(form): Form<ConfirmForm>) -> Result<Response, Failure> {
    let account = caller(&cx)?.account();
    match factors::confirm_totp(&cx, account, &form.passcode, !form.end_others.is_empty()).await {
        Ok(Confirmed { codes, proof }) => {
            let cookie = proof.and_then(|proof| cookies::renewed(&cx, &proof));
            let next =
                if codes.is_empty() { onward("/account/security?done=totp") } else { codes_page(&cx, &codes, true)? };
            Ok(with_cookies(next, [cookie]))
        }
        Err(FactorError::WrongCode) => {
            let text = "That is not what the app shows now. Try the code that it shows next.";
            let page = SecurityPage { problems: Problems::one("passcode", text), ..gather(&cx).await? };
            Ok(show(StatusCode::UNPROCESSABLE_ENTITY, &page))
        }
        Err(FactorError::NothingWaits) => {
            let notice = Some(Notice::failed("That took too long. Begin once more."));
            Ok(show(StatusCode::CONFLICT, &SecurityPage { notice, ..gather(&cx).await? }))
        }
        Err(error) => not_shown(error),
    }
}

fn codes_page(cx: &Cx, codes: &[RecoveryCode], first: bool) -> Result<Response, Failure> {
    let page = CodesPage {
        shell: shell(cx, Nav::Account),
        username: caller(cx)?.rights.username.clone(),
        codes: codes.iter().map(|code| code.expose().to_string()).collect(),
        first,
    };
    Ok(show(StatusCode::OK, &page))
}

/// Switches the authenticator app off.
pub async fn remove_totp(FactorPage(cx): FactorPage) -> Result<Response, Failure> {
    let account = caller(&cx)?.account();
    let removed = async {
        let proof = fresh(&cx).await?;
        factors::remove_totp(&cx, account, Some(&proof)).await
    };
    match removed.await {
        Ok(()) => Ok(onward("/account/security?done=removed")),
        Err(error) => not_shown(error),
    }
}

/// Makes new recovery codes and shows them, this once.
pub async fn new_codes(FactorPage(cx): FactorPage) -> Result<Response, Failure> {
    let account = caller(&cx)?.account();
    let made = async {
        let proof = fresh(&cx).await?;
        factors::renew_codes(&cx, account, Some(&proof)).await
    };
    match made.await {
        Ok(codes) => codes_page(&cx, &codes, false),
        Err(error) => not_shown(error),
    }
}

/// A passkey that the page's script made.
#[derive(Deserialize)]
pub struct PasskeyForm {
    name: String,
    step: String,
    answer: String,
}

/// Registers a passkey, and shows the recovery codes that come with a first factor.
pub async fn register_passkey(FactorPage(cx): FactorPage, Form(form): Form<PasskeyForm>) -> Result<Response, Failure> {
    let account = caller(&cx)?.account();
    let answer: RegisterPublicKeyCredential =
        serde_json::from_str(&form.answer).map_err(|_| Failure::invalid("This is no answer of a browser."))?;
    match passkeys::register(&cx, account, &form.step, &answer, &form.name, false).await {
        Ok(Confirmed { codes, proof }) => {
            let cookie = proof.and_then(|proof| cookies::renewed(&cx, &proof));
            let next = if codes.is_empty() {
                onward("/account/security?done=passkey")
            } else {
                codes_page(&cx, &codes, true)?
            };
            Ok(with_cookies(next, [cookie]))
        }
        Err(error @ (FactorError::Storage(_) | FactorError::Again(_) | FactorError::Ended)) => not_shown(error),
        Err(error) => {
            let failure = Failure::from(error);
            let page = SecurityPage { problems: Problems::one("answer", failure.public), ..gather(&cx).await? };
            Ok(show(failure.status, &page))
        }
    }
}

/// A passkey's new name.
#[derive(Deserialize)]
pub struct NameForm {
    name: String,
}

/// Gives a passkey another name.
pub async fn rename_passkey(
    FactorPage(cx): FactorPage,
    Id(id): Id<PasskeyId>,
    Form(form): Form<NameForm>,
) -> Result<Response, Failure> {
    passkeys::rename(&cx, caller(&cx)?.account(), id, &form.name).await?;
    Ok(onward("/account/security?done=renamed"))
}

/// Removes a passkey.
pub async fn remove_passkey(FactorPage(cx): FactorPage, Id(id): Id<PasskeyId>) -> Result<Response, Failure> {
    let account = caller(&cx)?.account();
    let removed = async {
        let proof = fresh(&cx).await?;
        passkeys::remove(&cx, account, id, &proof).await
    };
    match removed.await {
        Ok(()) => Ok(onward("/account/security?done=passkey-removed")),
        Err(error) => not_shown(error),
    }
}

/// A fresh proof.
#[derive(Deserialize)]
pub struct AgainForm {
    #[serde(default)]
    confirm: String,
    #[serde(default)]
    confirm_code: String,
    #[serde(default)]
    return_to: String,
}

/// Takes a fresh proof, after which the acts that need one are open for five minutes.
pub async fn prove_again(FactorPage(cx): FactorPage, Form(form): Form<AgainForm>) -> Result<Response, Failure> {
    let given = Given::new(Some(form.confirm), Some(form.confirm_code));
    let (status, problems) = match again::prove_again_by(&cx, given).await {
        Ok((cx, proof)) => {
            return Ok(with_cookies(onward(safe_return(&form.return_to)), [cookies::renewed(&cx, &proof)]));
        }
        Err(AgainError::Wrong) => (StatusCode::UNPROCESSABLE_ENTITY, ("confirm", "That is not your password.")),
        Err(AgainError::WrongPasscode) => {
            (StatusCode::UNPROCESSABLE_ENTITY, ("confirm_code", "That code is wrong, or was used already."))
        }
        Err(AgainError::Required) => {
            (StatusCode::UNPROCESSABLE_ENTITY, ("confirm", "Enter your password, or a code of your app."))
        }
        Err(AgainError::Login(LoginError::RateLimited(_))) => {
            (StatusCode::TOO_MANY_REQUESTS, ("", "Too many attempts. Wait a little before the next one."))
        }
        Err(other) => return Err(other.into()),
    };
    let page = SecurityPage { problems: Problems::one(problems.0, problems.1), ask: true, ..gather(&cx).await? };
    Ok(show(status, &page))
}

/// Where to go on to.
#[derive(Deserialize)]
pub struct NewsQuery {
    #[serde(default)]
    return_to: String,
}

/// What changed since the owner was here. Whoever has seen everything is sent on.
pub async fn news_page(FactorPage(cx): FactorPage, Query(query): Query<NewsQuery>) -> Result<Response, Failure> {
    let unseen = notices::unseen(&cx, caller(&cx)?.account()).await?;
    let Some(last) = unseen.first().map(|news| news.id.to_string()) else {
        return Ok(onward(safe_return(&query.return_to)));
    };
    let page = NewsPage {
        shell: shell(&cx, Nav::Account),
        lines: unseen.iter().map(|news| line(&cx, news)).collect(),
        last,
        return_to: safe_return(&query.return_to).to_owned(),
    };
    Ok(show(StatusCode::OK, &page))
}

fn line(cx: &Cx, news: &News) -> NewsLine {
    let what = news.what.told();
    let by = if news.own { "" } else { ", by an administrator" };
    let name = if news.detail.is_empty() { String::new() } else { format!(": {}", news.detail) };
    NewsLine { text: format!("{what}{name}{by}"), when: when(news.at, cx.now), address: news.address.clone() }
}

/// What was seen.
#[derive(Deserialize)]
pub struct SeenForm {
    last: NoticeId,
    #[serde(default)]
    return_to: String,
}

/// Notes what was seen and goes on.
pub async fn seen(FactorPage(cx): FactorPage, Form(form): Form<SeenForm>) -> Result<Response, Failure> {
    notices::seen(&cx, caller(&cx)?.account(), form.last).await?;
    Ok(onward(safe_return(&form.return_to)))
}
