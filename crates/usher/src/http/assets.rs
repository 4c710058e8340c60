//! The files that pages load: style, scripts, icons, all of them inside the binary.
//!
//! Their address carries a hash of the whole set (`/static/{hash}/{name}`), so a browser may keep
//! them for good and a new release is seen at once. One hash for the set, because the files
//! name each other by relative addresses.
//! Nothing outside `static/` can be named: a name is looked up in a list made when we were built.

use aws_lc_rs::digest;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, StatusCode};
use rust_embed::Embed;
use std::borrow::Cow;
use std::fmt::Write;
use std::sync::LazyLock;

#[derive(Embed)]
#[folder = "static/"]
struct Files;

struct Asset {
    name: String,
    address: String,
    kind: &'static str,
    etag: String,
    bytes: Cow<'static, [u8]>,
}

struct Set {
    hash: String,
    assets: Vec<Asset>,
}

static SET: LazyLock<Set> = LazyLock::new(|| {
    let mut assets: Vec<Asset> = Files::iter()
        .filter_map(|name| {
            let file = Files::get(&name)?;
            let etag = format!("\"{}\"", hex(&file.metadata.sha256_hash()[..12]));
            let kind = kind_of(&name);
            Some(Asset { name: name.into_owned(), address: String::new(), kind, etag, bytes: file.data })
        })
        .collect();
    assets.sort_by(|a, b| a.name.cmp(&b.name));
    let named: String = assets.iter().map(|asset| format!("{}\n{}\n", asset.name, asset.etag)).collect();
    let hash = hex(&digest::digest(&digest::SHA256, named.as_bytes()).as_ref()[..8]);
    for asset in &mut assets {
        asset.address = format!("/static/{hash}/{}", asset.name);
    }
    Set { hash, assets }
});

fn find(name: &str) -> Option<&'static Asset> {
    SET.assets.iter().find(|asset| asset.name == name)
}

/// The address of a file in `static/`, for templates. A name that is not there gives an address that
/// answers 404; a test renders every page and refuses such a name.
pub fn asset(name: &str) -> &'static str {
    find(name).map_or("/static/-/missing", |asset| asset.address.as_str())
}

/// `GET /static/{hash}/{name}`.
///
/// During an upgrade a page of one release may ask a node of another: the hash is then not ours, and
/// the file is given all the same, but to be kept no longer than this page.
pub async fn serve(Path((hash, name)): Path<(String, String)>, headers: HeaderMap) -> Response {
    let Some(asset) = find(&name) else {
        return (StatusCode::NOT_FOUND, "There is no such file.").into_response();
    };
    let keep = if hash == SET.hash { "public, max-age=31536000, immutable" } else { "no-cache" };
    let head = [(CACHE_CONTROL, keep), (ETAG, asset.etag.as_str())];
    if has_it(&headers, &asset.etag) {
        return (StatusCode::NOT_MODIFIED, head).into_response();
    }
    let body = match &asset.bytes {
        Cow::Borrowed(bytes) => bytes::Bytes::from_static(bytes),
        Cow::Owned(bytes) => bytes::Bytes::copy_from_slice(bytes),
    };
    (head, [(CONTENT_TYPE, asset.kind)], body).into_response()
}

/// Weak comparison, as RFC 9110 section 13.1.2 asks.
fn has_it(headers: &HeaderMap, etag: &str) -> bool {
    headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag)
}

fn kind_of(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;
    use axum::Router;
    use axum::body::Body;
    use axum::routing::get;
    use http::Request;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    async fn ask(address: &str, known: Option<&str>) -> Response {
        let app = Router::new().route("/static/{hash}/{name}", get(serve));
        let mut request = Request::get(address);
        if let Some(tag) = known {
            request = request.header(IF_NONE_MATCH, tag);
        }
        app.oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    fn header(response: &Response, name: http::HeaderName) -> String {
        response.headers().get(name).unwrap().to_str().unwrap().to_owned()
    }

    #[tokio::test]
    async fn every_file_is_served_whole_at_its_own_address_with_a_known_type() {
        assert!(SET.assets.len() >= 5, "style, scripts and icons are embedded");
        for file in &SET.assets {
            assert_ne!(file.kind, "application/octet-stream", "{} has a type of its own", file.name);
            let response = ask(asset(&file.name), None).await;
            assert_eq!(response.status(), StatusCode::OK, "{}", file.name);
            assert_eq!(header(&response, CONTENT_TYPE), file.kind);
            assert_eq!(header(&response, CACHE_CONTROL), "public, max-age=31536000, immutable");
            let body = response.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(body.as_ref(), file.bytes.as_ref(), "{}", file.name);
        }
    }

    #[tokio::test]
    async fn a_browser_that_has_the_file_is_not_sent_it_again() {
        let etag = header(&ask(asset("app.css"), None).await, ETAG);
        for known in [etag.clone(), format!("W/{etag}"), format!("\"other\", {etag}"), "*".to_owned()] {
            assert_eq!(ask(asset("app.css"), Some(&known)).await.status(), StatusCode::NOT_MODIFIED, "{known}");
        }
        assert_eq!(ask(asset("app.css"), Some("\"other\"")).await.status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn a_page_of_another_release_gets_the_file_but_may_not_keep_it() {
        let response = ask("/static/0123456789abcdef/app.css", None).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(header(&response, CACHE_CONTROL), "no-cache");
    }

    #[tokio::test]
    async fn nothing_outside_the_set_can_be_named() {
        for name in ["/static/x/none.css", "/static/x/..%2fCargo.toml", "/static/x/%2e%2e", "/static/-/missing"] {
            assert_eq!(ask(name, None).await.status(), StatusCode::NOT_FOUND, "{name}");
        }
        assert_eq!(asset("none.css"), "/static/-/missing");
    }
}
