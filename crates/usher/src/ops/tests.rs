//! Through the router, as a probe asks.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt;
use std::sync::atomic::{AtomicBool, Ordering};
use tower::ServiceExt;

async fn get_text(router: &Router, path: &str) -> (StatusCode, String) {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(bytes.to_vec()).unwrap())
}

#[tokio::test]
async fn readiness_follows_the_server_and_liveness_does_not() {
    let ready = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&ready);
    let router = router(&Metrics::default(), move || asked.load(Ordering::Relaxed));
    assert_eq!(get_text(&router, "/health/ready").await, (StatusCode::SERVICE_UNAVAILABLE, "not ready\n".to_owned()));
    assert_eq!(get_text(&router, "/health/live").await.0, StatusCode::OK);
    ready.store(true, Ordering::Relaxed);
    assert_eq!(get_text(&router, "/health/ready").await, (StatusCode::OK, "ready\n".to_owned()));
}

#[tokio::test]
async fn what_is_counted_is_shown() {
    let metrics = Metrics::default();
    let router = router(&metrics, || true);
    metrics.login(LoginResult::Refused);
    metrics.request("/m/{token}/{*path}", StatusCode::PARTIAL_CONTENT);
    metrics.sessions_live.set(3);
    let (status, text) = get_text(&router, "/metrics").await;
    assert_eq!(status, StatusCode::OK);
    for line in [
        "usher_logins_total{result=\"Refused\"} 1",
        "usher_requests_total{route=\"/m/{token}/{*path}\",status=\"2xx\"} 1",
        "usher_sessions_live 3",
        "# EOF",
    ] {
        assert!(text.lines().any(|l| l == line), "{line}\n{text}");
    }
}
