//! Pages at the edge: the frame for a request, and failures shown as pages.

use super::extract;
use super::failure::Failure;
use crate::cx::Cx;
use crate::gate::{Caller, Door, Refusal};
use crate::login::factors::Waiting;
use crate::login::qr;
use crate::pages::{ErrorPage, Nav, PasswordRule, Picture, Shell, Template, TotpSetup, When, Who, Wrong};
use crate::sessions::Kind;
use crate::time::Time;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Redirect, Response};
use http::header::SET_COOKIE;
use http::{Method, StatusCode};

/// The frame of a page: who is there, and where in the house it is.
pub fn shell(cx: &Cx, page: Nav) -> Shell {
    Shell {
        service: cx.app.config.server.service_name.clone(),
        who: cx.caller.as_ref().map(|caller| Who { name: caller.rights.username.clone(), admin: caller.rights.admin() }),
        banner: cx.app.config.server.lan.then(|| {
            "This server speaks plain HTTP on your home network. Passwords cross it unprotected: use it on a network you trust.".to_owned()
        }),
        page,
        tv: cx.caller.as_ref().is_some_and(on_television),
    }
}

/// A device that holds a cookie is a television: it is gone about with arrow keys.
fn on_television(caller: &Caller) -> bool {
    caller.by_cookie() && caller.live().is_some_and(|live| live.kind == Kind::Device)
}

/// What an authenticator app is told, for the one page that may show it.
pub fn totp_setup(waiting: &Waiting) -> TotpSetup {
    let url = waiting.told.address();
    let picture = qr::picture(&url).map(|picture| Picture { side: picture.side, path: picture.path });
    TotpSetup {
        secret: waiting.told.secret_text().to_string(),
        picture: picture.unwrap_or(Picture { side: 1, path: String::new() }),
        url: url.to_string(),
    }
}

/// What a new password must be.
pub fn password_rule(cx: &Cx) -> PasswordRule {
    let at_least = crate::login::shortest_password(&cx.app.config.accounts);
    PasswordRule { at_least: u32::try_from(at_least).unwrap_or(u32::MAX) }
}

/// An instant in words, seen from `now`.
pub fn when(at: Time, now: Time) -> When {
    let past = now.since(at).as_secs();
    let plural = |count: u64, unit: &str| {
        if count == 1 { format!("1 {unit} ago") } else { format!("{count} {unit}s ago") }
    };
    let text = match past {
        _ if at > now => day(at),
        0..60 => "just now".to_owned(),
        60..3_600 => plural(past / 60, "minute"),
        3_600..86_400 => plural(past / 3_600, "hour"),
        86_400..604_800 => plural(past / 86_400, "day"),
        _ => day(at),
    };
    When { text, iso: at.rfc3339() }
}

fn day(at: Time) -> String {
    jiff::Timestamp::from_millisecond(at.0)
        .map_or_else(|_| at.rfc3339(), |at| at.strftime("%b %-d, %Y, %H:%M UTC").to_string())
}

/// Renders a page.
pub fn show(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(text) => (status, Html(text)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page could not be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Sends the browser on after a form: always 303, so that what was posted is not posted again.
pub fn onward(path: &str) -> Response {
    Redirect::to(path).into_response()
}

/// Adds cookies to an answer.
pub fn with_cookies(mut response: Response, cookies: impl IntoIterator<Item = Option<http::HeaderValue>>) -> Response {
    for value in cookies.into_iter().flatten() {
        response.headers_mut().append(SET_COOKIE, value);
    }
    response
}

/// A path of this origin to return to, or the library. Anything that could lead elsewhere is dropped.
pub fn safe_return(path: &str) -> &str {
    let bytes = path.as_bytes();
    let own = bytes.first() == Some(&b'/')
        && !matches!(bytes.get(1), Some(b'/' | b'\\'))
        && bytes.len() <= 2_000
        && bytes.iter().all(|byte| (0x21..0x7f).contains(byte) && *byte != b'\\');
    if own && !path.starts_with("/logout") && !path.starts_with("/login") { path } else { "/library" }
}

/// Shows failures of page routes as pages. Whoever is not logged in is led to the login, and back afterwards.
pub async fn failures(cx: Cx, request: Request, next: Next) -> Response {
    let asked = request.uri().path_and_query().map(|target| target.as_str().to_owned()).unwrap_or_default();
    let (get, headers) = (request.method() == Method::GET, request.headers().clone());
    let response = next.run(request).await;
    let Some(failure) = response.extensions().get::<Failure>().cloned() else {
        return if response.status() == StatusCode::METHOD_NOT_ALLOWED {
            wrong(&cx, &headers, response, Wrong::Method).await
        } else {
            response
        };
    };
    match failure.code {
        "password_change_required" => return onward("/password"),
        "factor_required" => return onward("/account/security"),
        _ if failure.status == StatusCode::UNAUTHORIZED => {
            let back = if get { safe_return(&asked) } else { "/library" };
            let query = percent_encoding::utf8_percent_encode(back, percent_encoding::NON_ALPHANUMERIC);
            return onward(&format!("/login?return_to={query}"));
        }
        _ => {}
    }
    let seconds = failure.retry_after.map_or(1, |after| after.as_secs().max(1));
    let kind = match failure.status {
        StatusCode::FORBIDDEN if failure.code == "cross_site" => Wrong::StaleForm,
        StatusCode::FORBIDDEN => Wrong::Forbidden,
        StatusCode::NOT_FOUND => Wrong::NotFound,
        StatusCode::METHOD_NOT_ALLOWED => Wrong::Method,
        StatusCode::GONE => Wrong::Gone,
        StatusCode::PAYLOAD_TOO_LARGE => Wrong::TooLarge,
        StatusCode::TOO_MANY_REQUESTS => Wrong::TooMany { seconds },
        StatusCode::SERVICE_UNAVAILABLE => Wrong::Unavailable,
        status if status.is_server_error() => Wrong::Ours,
        _ => Wrong::Unreadable,
    };
    wrong(&cx, &headers, response, kind).await
}

/// The page for an address that leads nowhere.
pub async fn not_found(cx: &Cx, headers: &http::HeaderMap, response: Response) -> Response {
    wrong(cx, headers, response, Wrong::NotFound).await
}

/// The page for a wrong turn, in place of `response` and with its status and headers.
async fn wrong(cx: &Cx, headers: &http::HeaderMap, response: Response, kind: Wrong) -> Response {
    // The frame shows who is there; if that cannot be known, it shows nobody.
    let cx = match extract::admit(cx, headers, Door::Page).await {
        Ok(caller) => cx.admitted(caller),
        Err(Refusal::Unavailable | _) => cx.clone(),
    };
    let (parts, _) = response.into_parts();
    let mut page = show(parts.status, &ErrorPage::of(kind, shell(&cx, Nav::Elsewhere), cx.request.id.as_str()));
    for (name, value) in &parts.headers {
        if name != http::header::CONTENT_TYPE && name != http::header::CONTENT_LENGTH {
            page.headers_mut().insert(name, value.clone());
        }
    }
    *page.extensions_mut() = parts.extensions;
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_path_of_this_origin_is_returned_to() {
        for own in ["/library", "/library/films/a%20b?page=2", "/account"] {
            assert_eq!(safe_return(own), own);
        }
        for foreign in [
            "",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "javascript:x",
            "/a\nb",
            "/login",
            "/logout",
        ] {
            assert_eq!(safe_return(foreign), "/library", "{foreign:?}");
        }
    }

    #[test]
    fn instants_are_told_as_people_tell_them() {
        let now = Time(1_700_000_000_000);
        let ago = |seconds: i64| when(Time(now.0 - seconds * 1000), now).text;
        assert_eq!([0, 60, 7_200, 86_400].map(ago), ["just now", "1 minute ago", "2 hours ago", "1 day ago"]);
        assert_eq!(ago(86_400 * 10), "Nov 4, 2023, 22:13 UTC");
    }
}
