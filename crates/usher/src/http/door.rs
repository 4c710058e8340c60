//! `POST /login`: one address, the callers of several systems. What a request shows decides who answers it.
//!
//! | the request shows | and | answered as |
//! |---|---|---|
//! | `Authorization` | signed headers are on | signed header |
//! | neither that nor a body with a type | signed headers are on | signed header: nothing shown |
//! | a form with `user` and without `username` | Takeout's apps are served | their form |
//! | a form | otherwise | the page |

use super::extract::Form;
use crate::cx::Cx;
use crate::login::{pages, signed};
use crate::takeout;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use http::header::{AUTHORIZATION, CONTENT_TYPE};

/// Who answers a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    SignedHeader,
    NothingShown,
    Page,
}

fn way(cx: &Cx, headers: &HeaderMap) -> Way {
    if !cx.app.config.compat.signed_header {
        return Way::Page;
    }
    match (headers.contains_key(AUTHORIZATION), headers.contains_key(CONTENT_TYPE)) {
        (true, _) => Way::SignedHeader,
        (false, false) => Way::NothingShown,
        (false, true) => Way::Page,
    }
}

/// Takes a login.
pub async fn enter(cx: Cx, headers: HeaderMap, request: Request) -> Response {
    match way(&cx, &headers) {
        Way::SignedHeader => signed::api::login(&cx, &headers).await,
        Way::NothingShown => signed::api::nothing_shown(),
        Way::Page if cx.app.config.compat.takeout => by_its_fields(cx, headers, request).await,
        Way::Page => page(cx, headers, request).await,
    }
}

async fn page(cx: Cx, headers: HeaderMap, request: Request) -> Response {
    match Form::from_request(request, &()).await {
        Ok(form) => pages::login(cx, headers, form).await.into_response(),
        Err(failure) => failure.into_response(),
    }
}

/// Reads the body once, to see whose form it is, and hands it on.
async fn by_its_fields(cx: Cx, headers: HeaderMap, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let bytes = match Bytes::from_request(Request::from_parts(parts.clone(), body), &()).await {
        Ok(bytes) => bytes,
        Err(rejection) => return rejection.into_response(),
    };
    let again = || Request::from_parts(parts.clone(), Body::from(bytes.clone()));
    if let Ok(Form(fields)) = Form::<Vec<(String, String)>>::from_request(again(), &()).await {
        let has = |name: &str| fields.iter().any(|(key, _)| key == name);
        if has("user") && !has("username") {
            return takeout::api::log_in_by_form(&cx, &fields).await;
        }
    }
    page(cx, headers, again()).await
}
