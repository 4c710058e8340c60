//! Operations: is it alive, is it ready, how is it doing. On a listener of its own, loopback by default.
//!
//! Health answers say yes or no and nothing else: what is broken stands in the log. Metrics carry no names of people,
//! files or addresses: labels are drawn from small closed sets.

pub mod history;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::sync::Arc;

/// How a login ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum LoginResult {
    /// With a session.
    Success,
    /// With a wrong name or password.
    Refused,
    /// With a right password, and a passcode still to come.
    Halfway,
    /// Before it was looked at: too many attempts.
    Throttled,
    /// Before it was looked at: too many hashes waiting.
    Overloaded,
    /// By a fault of ours.
    Error,
}

/// Labels of `usher_logins_total`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct LoginLabels {
    /// How it ended.
    pub result: LoginResult,
}

/// Labels of `usher_requests_total`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RequestLabels {
    /// The route's pattern, never the path: paths hold names and credentials.
    pub route: String,
    /// `1xx` to `5xx`.
    pub status: &'static str,
}

/// Labels of `usher_job_items_total`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct JobLabels {
    /// The job's name.
    pub job: &'static str,
}

/// Typed handles; clones count together.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    /// Logins by result.
    pub logins: Family<LoginLabels, Counter>,
    /// Requests by route and class of status.
    pub requests: Family<RequestLabels, Counter>,
    /// What jobs dealt with: rows removed, sessions ended, keys replaced.
    pub job_items: Family<JobLabels, Counter>,
    /// Sessions that are live.
    pub sessions_live: Gauge,
    /// Sessions ended.
    pub sessions_ended: Counter,
    /// Password hashes waiting for a thread.
    pub hash_queue: Gauge,
    /// Password hashes computed.
    pub hashes: Counter,
    /// Bytes of media sent.
    pub media_bytes: Counter,
    /// Transfers of media under way.
    pub transfers: Gauge,
}

impl Metrics {
    /// Counts one login.
    pub fn login(&self, result: LoginResult) {
        self.logins.get_or_create(&LoginLabels { result }).inc();
    }

    /// Counts one answered request.
    pub fn request(&self, route: &str, status: StatusCode) {
        let status = match status.as_u16() / 100 {
            1 => "1xx",
            2 => "2xx",
            3 => "3xx",
            4 => "4xx",
            _ => "5xx",
        };
        self.requests.get_or_create(&RequestLabels { route: route.to_owned(), status }).inc();
    }

    fn registry(&self) -> Registry {
        let mut all = Registry::with_prefix("usher");
        all.register("logins", "Logins by result", self.logins.clone());
        all.register("requests", "Requests by route and class of status", self.requests.clone());
        all.register("job_items", "Things that jobs dealt with, by job", self.job_items.clone());
        all.register("sessions_live", "Sessions that are live", self.sessions_live.clone());
        all.register("sessions_ended", "Sessions ended", self.sessions_ended.clone());
        all.register("hash_queue", "Password hashes waiting for a thread", self.hash_queue.clone());
        all.register("hashes", "Password hashes computed", self.hashes.clone());
        all.register("media_bytes", "Bytes of media sent", self.media_bytes.clone());
        all.register("transfers", "Transfers of media under way", self.transfers.clone());
        all
    }
}

/// `/health/live` answers while the process does, `/health/ready` while `ready` says so, `/metrics` in OpenMetrics text.
pub fn router(metrics: &Metrics, ready: impl Fn() -> bool + Clone + Send + Sync + 'static) -> Router {
    let registry = Arc::new(metrics.registry());
    Router::new()
        .route("/health/live", get(|| async { (StatusCode::OK, "live\n") }))
        .route(
            "/health/ready",
            get(move || {
                let ready = ready();
                async move {
                    if ready { (StatusCode::OK, "ready\n") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready\n") }
                }
            }),
        )
        .route("/metrics", get(move || std::future::ready(metrics_text(&registry))))
}

fn metrics_text(registry: &Registry) -> impl IntoResponse + use<> {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let mut text = String::new();
    match encode(&mut text, registry) {
        Ok(()) => (StatusCode::OK, [(header::CONTENT_TYPE, OPEN_METRICS)], text),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, [(header::CONTENT_TYPE, "text/plain")], String::new()),
    }
}

#[cfg(test)]
mod tests;
