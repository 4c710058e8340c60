//! How the server does and what it runs with: the last day in three small charts, the apps, the configuration.

use crate::cx::Cx;
use crate::declared::live::AppInUse;
use crate::http::extract::AdminPage;
use crate::http::page::{shell, show};
use crate::media::buckets::Bucket;
use crate::ops::history::{KEPT, Sample};
use crate::pages::{AppLine, Bar, BucketLine, Chart, Nav, ServerPage};
use axum::response::Response;
use http::StatusCode;
use std::sync::Arc;

/// Height of a chart's tallest bar, in the units of its drawing.
const HEIGHT: u64 = 60;
/// Bars in a chart: one for twenty minutes.
const BARS: usize = 72;
/// Samples that one bar sums up.
const PER_BAR: usize = KEPT / BARS;

/// The page.
pub async fn show_server(AdminPage(cx): AdminPage) -> Response {
    let samples = cx.app.history.samples();
    let sum = |of: fn(&Sample) -> u64| move |bar: &[Sample]| bar.iter().map(of).sum();
    let most = |of: fn(&Sample) -> u64| move |bar: &[Sample]| bar.iter().map(of).max().unwrap_or(0);
    let page = ServerPage {
        shell: shell(&cx, Nav::Admin),
        charts: vec![
            chart("logins", "Logins", "in twenty minutes", &samples, sum(|sample| sample.logins)),
            chart("failures", "Refused logins", "in twenty minutes", &samples, sum(|sample| sample.failures)),
            chart("live", "Live sessions", "at once", &samples, most(|sample| sample.live)),
        ],
        apps: apps(&cx),
        buckets: buckets(&cx),
        configuration: cx.app.config.effective_toml(),
    };
    show(StatusCode::OK, &page)
}

/// Draws bars from the samples, the newest at the right edge.
fn chart(
    id: &'static str,
    title: &'static str,
    unit: &'static str,
    samples: &[Sample],
    of: impl Fn(&[Sample]) -> u64,
) -> Chart {
    let mut values: Vec<u64> = samples.rchunks(PER_BAR).take(BARS).map(of).collect();
    values.reverse();
    let most = values.iter().copied().max().unwrap_or(0);
    let first = BARS - values.len();
    let bars = values.iter().enumerate().filter(|(_, value)| **value > 0).map(|(at, value)| {
        // Something is never drawn as nothing.
        let height = (value * HEIGHT / most.max(1)).max(1);
        Bar { x: (first + at) * 4, y: HEIGHT - height, height }
    });
    Chart { id, title, unit, most, last: values.last().copied(), bars: bars.collect() }
}

fn apps(cx: &Cx) -> Vec<AppLine> {
    let line = |known: &AppInUse| AppLine {
        name: known.app.name.clone(),
        origins: known.app.origins.iter().map(ToString::to_string).collect(),
        audience: known.audience().to_owned(),
        declared: known.owner.clone(),
    };
    cx.app.apps.all().iter().map(line).collect()
}

fn buckets(cx: &Cx) -> Vec<BucketLine> {
    let line = |bucket: &Arc<Bucket>| BucketLine {
        name: bucket.name.clone(),
        path: bucket.path.display().to_string(),
        declared: bucket.owner.clone(),
        missing: bucket.missing().map(str::to_owned),
    };
    cx.app.media.buckets.all().iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::expect_used, reason = "a test may stop at the first surprise")]

    use super::*;
    use crate::time::Time;

    fn samples(values: &[u64]) -> Vec<Sample> {
        let one = |value: &u64| Sample { at: Time(0), logins: *value, failures: 0, live: 0 };
        values.iter().map(one).collect()
    }

    fn drawn(values: &[u64]) -> Chart {
        chart("logins", "Logins", "", &samples(values), |bar| bar.iter().map(|sample| sample.logins).sum())
    }

    #[test]
    fn the_newest_bar_stands_at_the_right_edge_and_the_tallest_fills_the_height() {
        let chart = drawn(&[9, 1, 1, 1, 1, 2, 2, 2, 2]);
        assert_eq!((chart.most, chart.last), (9, Some(8)));
        let [first, second, third] = chart.bars.try_into().expect("three bars");
        assert_eq!((third.x, third.y + third.height), ((BARS - 1) * 4, HEIGHT));
        assert_eq!((second.x, first.x), ((BARS - 2) * 4, (BARS - 3) * 4));
        assert_eq!((first.y, first.height), (0, HEIGHT));
        assert!(second.height < third.height);
    }

    #[test]
    fn nothing_yet_is_an_empty_chart_and_little_is_still_seen() {
        let empty = drawn(&[]);
        assert_eq!((empty.most, empty.last, empty.bars.len()), (0, None, 0));
        let chart = drawn(&[10_000, 0, 0, 0, 1, 0, 0, 0]);
        assert_eq!(chart.bars.iter().map(|bar| bar.height).collect::<Vec<_>>(), [HEIGHT, 1]);
    }
}
