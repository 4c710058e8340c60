//! A line through what was seen, and whether it may lie as it does.

use super::watch::{ACTS, DESCRIPTORS, LOG, MEMORY, ROWS, Sample, THREADS};
use serde::Serialize;

/// One thing that was watched, after the warm-up.
#[derive(Debug, Serialize)]
pub struct Line {
    pub what: String,
    pub from: f64,
    pub to: f64,
    pub highest: f64,
    /// What it gains in an hour, by least squares.
    pub slope: f64,
    pub verdict: String,
    pub good: bool,
}

/// Tables that hold what was done for a while, the most rows that one request of a visit adds to each, and what
/// removes them.
const KEPT: [(&str, f64, &str); 4] = [
    ("sessions", 0.2, "ended ones go after 30 days"),
    ("audit_events", 0.5, "go after the retention"),
    ("changes", 0.5, "go after a day"),
    ("session_data", 0.2, "go with the sweep after the session's end"),
];

/// A line for everything that was watched. The first half is the warm-up: caches fill, tombstones of the first ten
/// minutes are not dropped yet.
pub fn lines(samples: &[Sample]) -> Vec<Line> {
    let warm = samples.get(samples.len() / 2..).unwrap_or_default();
    let Some(first) = warm.first() else { return Vec::new() };
    let series = |what: &str| warm.iter().filter_map(|one| Some((one.at, *one.seen.get(what)?))).collect::<Vec<_>>();
    let acts = series(ACTS);
    first.seen.keys().filter(|what| *what != ACTS).map(|what| line(what, &series(what), &acts)).collect()
}

fn line(what: &str, points: &[(f64, f64)], acts: &[(f64, f64)]) -> Line {
    let values = || points.iter().map(|(_, value)| *value);
    let gained = |points: &[(f64, f64)]| slope(points) * length(points);
    let (gain, mean) = (gained(points), values().sum::<f64>() / points.len().max(1) as f64);
    let may = match what {
        MEMORY => (mean * 0.05).max(2.0),
        DESCRIPTORS | THREADS => (mean * 0.05).max(4.0),
        LOG => (mean * 0.25).max(4.0),
        _ => (mean * 0.02).max(20.0),
    };
    let kept = what.strip_prefix(ROWS).and_then(|table| KEPT.iter().find(|(name, ..)| *name == table));
    let (verdict, good) = match kept {
        _ if gain <= may => ("flat".to_owned(), true),
        Some((_, most, why)) if gain <= most * gained(acts).max(1.0) => {
            (format!("{:.2} for each request of a visit; {why}", gain / gained(acts).max(1.0)), true)
        }
        _ => (format!("**grows** by {gain:.1}; {may:.1} would be flat"), false),
    };
    Line {
        what: what.to_owned(),
        from: values().next().unwrap_or_default(),
        to: values().next_back().unwrap_or_default(),
        highest: values().fold(0.0, f64::max),
        slope: slope(points) * 3600.0,
        verdict,
        good,
    }
}

fn length(points: &[(f64, f64)]) -> f64 {
    match (points.first(), points.last()) {
        (Some((first, _)), Some((last, _))) => last - first,
        _ => 0.0,
    }
}

/// By least squares, per second.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len().max(1) as f64;
    let (x, y) = points.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0 / count, y + point.1 / count));
    let (above, below) = points.iter().fold((0.0, 0.0), |(above, below), point| {
        (above + (point.0 - x) * (point.1 - y), below + (point.0 - x).powi(2))
    });
    if below > 0.0 { above / below } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn seen(of: impl Fn(f64) -> [(&'static str, f64); 4]) -> Vec<Sample> {
        let sample = |second| {
            let at = f64::from(second);
            Sample { at, seen: of(at).into_iter().map(|(what, value)| (what.to_owned(), value)).collect() }
        };
        (0..600).map(sample).collect()
    }

    #[test]
    fn what_grows_by_itself_is_found_and_what_grows_by_what_is_done_is_not() {
        let samples = seen(|at| {
            [(ACTS, at * 10.0), (MEMORY, 50.0 + at / 60.0), ("rows: sessions", 1_000.0 + at), ("rows: links", 5.0 + at)]
        });
        let found: BTreeMap<String, bool> = lines(&samples).into_iter().map(|line| (line.what, line.good)).collect();
        assert_eq!(
            found,
            BTreeMap::from(
                [MEMORY, "rows: sessions", "rows: links"].map(|what| (what.to_owned(), what == "rows: sessions"))
            )
        );
        let memory = lines(&samples).into_iter().find(|line| line.what == MEMORY);
        assert!(memory.is_some_and(|line| (line.slope - 60.0).abs() < 0.01));
    }

    #[test]
    fn what_rises_in_the_warm_up_or_swings_is_flat() {
        let samples = seen(|at| {
            let warm = at.min(200.0);
            let swing = if at % 20.0 < 10.0 { 3.0 } else { -3.0 };
            [(ACTS, at), (MEMORY, 20.0 + warm), (DESCRIPTORS, 30.0 + swing), (LOG, 4.0 + swing)]
        });
        assert!(lines(&samples).iter().all(|line| line.good));
    }
}
