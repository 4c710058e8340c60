//! The pages on which an admin sees the whole: sessions, tokens, keys, refusals, the server.

use super::*;

pub(super) fn all() -> Vec<Sample> {
    let refusal = |why: &str| RefusalLine {
        request: "0123456789abcdef".to_owned(),
        when: when("a minute ago"),
        route: "POST /login".to_owned(),
        status: 401,
        code: "invalid_credentials".to_owned(),
        told: "The username or the password is wrong.".to_owned(),
        why: why.to_owned(),
        address: "2001:db8:85a3:8d3:1319:8a2e:370:7348".to_owned(),
    };
    let server = |used: bool| ServerPage {
        shell: admin_at(Nav::Admin),
        charts: [("logins", "Logins"), ("failures", "Refused logins"), ("live", "Live sessions")]
            .into_iter()
            .map(|(id, title)| Chart {
                id,
                title,
                unit: "in twenty minutes",
                most: if used { 1_234 } else { 0 },
                last: used.then_some(17),
                bars: if used {
                    (0..72).map(|at| Bar { x: at * 4, y: 60 - at as u64 % 60, height: at as u64 % 60 }).collect()
                } else {
                    Vec::new()
                },
            })
            .collect(),
        apps: if used {
            vec![AppLine {
                name: HOSTILE.to_owned(),
                origins: vec!["https://app.example.org".to_owned()],
                audience: "app".to_owned(),
                declared: Some(HOSTILE.to_owned()),
            }]
        } else {
            Vec::new()
        },
        buckets: if used {
            vec![
                BucketLine { name: "films".to_owned(), path: "/srv/films".to_owned(), declared: None, missing: None },
                BucketLine {
                    name: HOSTILE.to_owned(),
                    path: HOSTILE.to_owned(),
                    declared: Some(HOSTILE.to_owned()),
                    missing: Some(HOSTILE.to_owned()),
                },
            ]
        } else {
            Vec::new()
        },
        configuration: "[server]\nlisten = \"127.0.0.1:8080\"\n".to_owned(),
    };
    let refusals = |unknown: bool| RefusalsPage {
        shell: admin_at(Nav::Admin),
        request: HOSTILE.to_owned(),
        unknown,
        refused: (!unknown).then(|| refusal("The password is wrong.")),
        events: if unknown {
            Vec::new()
        } else {
            vec![EventLine {
                when: when("a minute ago"),
                what: "login".to_owned(),
                result: "refused".to_owned(),
                target: HOSTILE.to_owned(),
                detail: "pwd".to_owned(),
            }]
        },
        lines: if unknown { Vec::new() } else { vec![refusal(HOSTILE), refusal("the account is disabled")] },
    };
    vec![
        sample(
            "admin_bulk",
            &BulkPage {
                shell: admin_at(Nav::Admin),
                done: 3,
                refused: vec![(HOSTILE.to_owned(), "This is the last admin who can log in.".to_owned())],
            },
        ),
        sample(
            "admin_keys",
            &KeysPage {
                shell: admin_at(Nav::Admin),
                notice: None,
                keys: ["Signs", "Waits", "Verifies"]
                    .into_iter()
                    .map(|state| KeyLine {
                        kid: "cV8xU0pQ2wE".to_owned(),
                        algorithm: "ES256",
                        state,
                        since: when("yesterday"),
                        until: (state == "Verifies").then(|| when("in 10 minutes")),
                    })
                    .collect(),
                ready: Some(when("Nov 24, 2026, 09:30 UTC")),
            },
        ),
        sample(
            "admin_sessions",
            &AdminSessionsPage {
                shell: admin_at(Nav::Admin),
                notice: None,
                lines: [true, false]
                    .into_iter()
                    .map(|this| AdminSessionLine {
                        id: format!("s{this}"),
                        account: "a1".to_owned(),
                        username: if this { "alice".to_owned() } else { HOSTILE.to_owned() },
                        label: HOSTILE.to_owned(),
                        kind: "browser",
                        place: "2001:db8:85a3:8d3:1319:8a2e:370:7348".to_owned(),
                        last_used: when("just now"),
                        started: when("3 days ago"),
                        this,
                    })
                    .collect(),
                next: Some("/admin/sessions?before=x".to_owned()),
                first: None,
            },
        ),
        sample(
            "admin_tokens",
            &AdminTokensPage {
                shell: admin_at(Nav::Admin),
                notice: None,
                lines: vec![AdminTokenLine {
                    id: "t1".to_owned(),
                    account: "a1".to_owned(),
                    username: HOSTILE.to_owned(),
                    name: HOSTILE.to_owned(),
                    scopes: vec!["media", "profile"],
                    made: when("3 days ago"),
                    expires: Some(when("Nov 24, 2026, 09:30 UTC")),
                    last_used: None,
                }],
                next: None,
                first: Some("/admin/tokens".to_owned()),
            },
        ),
        sample("admin_server", &server(true)),
        sample("admin_server_new", &server(false)),
        sample("admin_refusals", &refusals(false)),
        sample("admin_refusals_unknown", &refusals(true)),
    ]
}
