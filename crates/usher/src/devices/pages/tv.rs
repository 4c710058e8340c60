//! `/tv`: the television's own page. It shows a code, waits, and becomes a session; or several people's.
//!
//! The session in use is the browser's cookie, as everywhere. The others wait in a second cookie that is read here
//! only, and each is admitted by the gate like any cookie before it is used.

use crate::cx::Cx;
use crate::devices::pin::{self, PinError};
use crate::devices::qr::{self, Qr};
use crate::devices::{self, Client, PollError};
use crate::gate::{Caller, Door, Refusal};
use crate::http::cookies;
use crate::http::extract::{self, Form, Json};
use crate::http::failure::Failure;
use crate::http::page::{onward, shell, show, with_cookies};
use crate::id::SessionId;
use crate::login::label_of;
use crate::pages::{Nav, TvPage, TvPerson, TvState};
use crate::sessions::{Kind, Which, cookie, own};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// People on one television.
const MOST: usize = 8;

/// Somebody on this television.
struct Person {
    caller: Caller,
    session: SessionId,
    value: String,
}

/// Everybody on this television.
struct People {
    /// Whose turn it is.
    active: Option<Person>,
    /// The others, longest here first.
    others: Vec<Person>,
}

/// Who a cookie's value belongs to; nobody when it opens nothing any more.
async fn person(cx: &Cx, value: &str) -> Result<Option<Person>, Failure> {
    match extract::admit_cookie(cx, value, Door::Page).await {
        Ok(caller) => {
            let Some(session) = caller.session() else { return Ok(None) };
            Ok(Some(Person { caller, session, value: value.to_owned() }))
        }
        Err(Refusal::Unavailable) => Err(Refusal::Unavailable.into()),
        Err(_) => Ok(None),
    }
}

async fn people(cx: &Cx, headers: &HeaderMap) -> Result<People, Failure> {
    let active = match cookies::find(headers, cookies::session_name(cx)) {
        Some(value) => person(cx, value).await?,
        None => None,
    };
    let mut others: Vec<Person> = Vec::new();
    for value in cookies::find_waiting(cx, headers).into_iter().take(MOST) {
        let Some(one) = person(cx, value).await? else { continue };
        let known = others.iter().chain(&active).any(|other| other.session == one.session);
        if !known && is_device(&one) {
            others.push(one);
        }
    }
    Ok(People { active, others })
}

fn is_device(person: &Person) -> bool {
    person.caller.live().is_some_and(|live| live.kind == Kind::Device)
}

/// How long a cookie may live that holds this person's session.
fn rest(cx: &Cx, person: &Person) -> Duration {
    person.caller.live().map_or(Duration::ZERO, |live| live.expires_at.since(cx.now))
}

fn set_waiting(cx: &Cx, others: &[Person]) -> Option<HeaderValue> {
    let values: Vec<&str> = others.iter().map(|person| person.value.as_str()).collect();
    let life = others.iter().map(|person| rest(cx, person)).max().unwrap_or_default();
    cookies::set_waiting(cx, &values, life)
}

/// The page.
pub async fn page(cx: Cx, headers: HeaderMap) -> Result<Response, Failure> {
    let people = people(&cx, &headers).await?;
    shown(&cx, StatusCode::OK, people, TvState::Choose, None).await
}

async fn shown(
    cx: &Cx,
    status: StatusCode,
    people: People,
    state: TvState,
    problem: Option<String>,
) -> Result<Response, Failure> {
    let mut lines = Vec::new();
    for (one, active) in people.active.iter().map(|one| (one, true)).chain(people.others.iter().map(|one| (one, false)))
    {
        if is_device(one) {
            lines.push(TvPerson {
                session: one.session.to_string(),
                name: one.caller.rights.username.clone(),
                active,
                pin: pin::guards(cx, one.session).await?,
            });
        }
    }
    lines.sort_by(|one, other| one.name.cmp(&other.name));
    let mut shell = shell(cx, Nav::Elsewhere);
    shell.tv = true;
    Ok(show(status, &TvPage { shell, people: lines, state, problem }))
}

/// What the page shows while it waits.
#[derive(Serialize)]
pub struct TvCode {
    device_code: String,
    user_code: String,
    verification_uri: String,
    qr: Option<Qr>,
    expires_in: u64,
    interval: u64,
}

/// Makes a code for the page to show.
pub async fn code(cx: Cx) -> Result<axum::Json<TvCode>, Failure> {
    let name = format!("Television, {}", label_of(&cx.request.agent));
    let begun = devices::begin(&cx, Client::Tv, &name).await?;
    let uri = cx.absolute("/link");
    let shown = begun.user.shown();
    Ok(axum::Json(TvCode {
        device_code: begun.device.expose().to_owned(),
        qr: qr::draw(&format!("{uri}?code={shown}")),
        user_code: shown,
        verification_uri: uri,
        expires_in: begun.life.as_secs(),
        interval: begun.interval.as_secs(),
    }))
}

/// The code that the page waits for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TvPoll {
    device_code: String,
}

/// What became of it: `pending`, `slow_down`, `refused`, `expired` or `linked`.
#[derive(Serialize)]
pub struct TvPolled {
    state: &'static str,
}

/// Whether somebody has let this television in; if so, the browser has the session with this answer.
pub async fn poll(cx: Cx, headers: HeaderMap, Json(body): Json<TvPoll>) -> Result<Response, Failure> {
    // Whoever is here is known before the code is used up: what could fail then would leave a session that nobody has.
    let people = people(&cx, &headers).await?;
    let state = match devices::poll(&cx, Client::Tv, &body.device_code).await {
        Ok(linked) => {
            let session = linked.session;
            let value = cookie::mint(&cx.app.macs.cookie, session.id, &session.secret);
            let set = cookies::set_session(&cx, &value, session.absolute);
            let waiting = make_room(&cx, people, linked.account).await?;
            let polled = axum::Json(TvPolled { state: "linked" }).into_response();
            return Ok(with_cookies(polled, [set, set_waiting(&cx, &waiting)]));
        }
        Err(PollError::Pending) => "pending",
        Err(PollError::SlowDown) => "slow_down",
        Err(PollError::Refused) => "refused",
        Err(PollError::Expired | PollError::Unknown) => "expired",
        Err(PollError::Storage(error)) => return Err(error.into()),
    };
    Ok(axum::Json(TvPolled { state }).into_response())
}

/// Who waits from now on, when somebody new has come: whoever was active, unless it was the same person or no
/// television's session; those end, as at every login.
async fn make_room(cx: &Cx, people: People, new: crate::id::AccountId) -> Result<Vec<Person>, Failure> {
    let mut waiting = Vec::new();
    let mut over = Vec::new();
    for one in people.others.into_iter().chain(people.active) {
        if one.caller.account() == new || !is_device(&one) { over.push(one) } else { waiting.push(one) }
    }
    let surplus = (waiting.len() + 1).saturating_sub(MOST);
    over.extend(waiting.drain(..surplus));
    for one in over {
        end(cx, &one).await?;
    }
    Ok(waiting)
}

async fn end(cx: &Cx, person: &Person) -> Result<(), Failure> {
    own::end(&cx.admitted(person.caller.clone()), Which::OneOf(person.caller.account(), person.session)).await?;
    Ok(())
}

/// Whose turn it shall be.
#[derive(Deserialize)]
pub struct SwitchForm {
    session: String,
    #[serde(default)]
    pin: String,
}

/// Changes to somebody else on this television, past their PIN if they have one.
pub async fn switch(cx: Cx, headers: HeaderMap, Form(form): Form<SwitchForm>) -> Result<Response, Failure> {
    let mut people = people(&cx, &headers).await?;
    if people.active.as_ref().is_some_and(|one| one.session.to_string() == form.session) {
        return Ok(onward("/library"));
    }
    let Some(at) = people.others.iter().position(|one| one.session.to_string() == form.session) else {
        let gone = Some("This person has to be linked again.".to_owned());
        return shown(&cx, StatusCode::NOT_FOUND, people, TvState::Choose, gone).await;
    };
    let (account, session) = (people.others[at].caller.account(), people.others[at].session);
    if pin::guards(&cx, session).await? {
        let name = people.others[at].caller.rights.username.clone();
        let ask = TvState::Pin { session: form.session.clone(), name };
        if form.pin.is_empty() {
            return shown(&cx, StatusCode::OK, people, ask, None).await;
        }
        match pin::check(&cx, account, session, &form.pin).await {
            Ok(()) => {}
            Err(PinError::Ended) => {
                people.others.remove(at);
                let waiting = set_waiting(&cx, &people.others);
                let told = Some("The PIN was wrong too often. Link this person again.".to_owned());
                let page = shown(&cx, StatusCode::FORBIDDEN, people, TvState::Choose, told).await?;
                return Ok(with_cookies(page, [waiting]));
            }
            Err(PinError::Storage(error)) => return Err(error.into()),
            Err(PinError::Busy(_)) => {
                let told = Some("Too much to do right now. Try again.".to_owned());
                return shown(&cx, StatusCode::SERVICE_UNAVAILABLE, people, ask, told).await;
            }
            Err(PinError::Wrong | PinError::Form) => {
                let told = Some("That is not the PIN.".to_owned());
                return shown(&cx, StatusCode::FORBIDDEN, people, ask, told).await;
            }
        }
    }
    let chosen = people.others.remove(at);
    let set = cookies::set_session(&cx, &chosen.value, rest(&cx, &chosen));
    match people.active {
        Some(before) if is_device(&before) => people.others.push(before),
        Some(before) => end(&cx, &before).await?,
        None => {}
    }
    Ok(with_cookies(onward("/library"), [set, set_waiting(&cx, &people.others)]))
}

/// Who shall not be on this television any more.
#[derive(Deserialize)]
pub struct ForgetForm {
    session: String,
}

/// Ends somebody's session on this television.
pub async fn forget(cx: Cx, headers: HeaderMap, Form(form): Form<ForgetForm>) -> Result<Response, Failure> {
    let mut people = people(&cx, &headers).await?;
    if let Some(active) = people.active.take_if(|one| one.session.to_string() == form.session) {
        end(&cx, &active).await?;
        return Ok(with_cookies(onward("/tv"), [cookies::clear_session(&cx)]));
    }
    if let Some(at) = people.others.iter().position(|one| one.session.to_string() == form.session) {
        let gone = people.others.remove(at);
        end(&cx, &gone).await?;
    }
    Ok(with_cookies(onward("/tv"), [set_waiting(&cx, &people.others)]))
}

/// A PIN; empty for none.
#[derive(Deserialize)]
pub struct PinForm {
    #[serde(default)]
    pin: String,
    #[serde(default)]
    remove: String,
}

/// Sets or removes the PIN of whose turn it is. Without one in the form, asks for it.
pub async fn set_pin(cx: Cx, headers: HeaderMap, Form(form): Form<PinForm>) -> Result<Response, Failure> {
    let people = people(&cx, &headers).await?;
    let Some(active) = people.active.as_ref().filter(|one| is_device(one)) else { return Ok(onward("/tv")) };
    let (session, name) = (active.session, active.caller.rights.username.clone());
    if form.pin.is_empty() && form.remove.is_empty() {
        return shown(&cx, StatusCode::OK, people, TvState::NewPin { name }, None).await;
    }
    match pin::set(&cx, session, &form.pin).await {
        Ok(()) => Ok(onward("/tv")),
        Err(PinError::Storage(error)) => Err(error.into()),
        Err(error) => {
            let told = Some(format!("{}.", capital(&error.to_string())));
            shown(&cx, StatusCode::UNPROCESSABLE_ENTITY, people, TvState::NewPin { name }, told).await
        }
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}
