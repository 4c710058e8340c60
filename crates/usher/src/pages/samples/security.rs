//! The pages of factors, in every state.

use super::*;

/// A secret for an authenticator app.
pub(super) fn setup() -> TotpSetup {
    TotpSetup {
        secret: "JBSW Y3DP EHPK 3PXP JBSW Y3DP EHPK 3PXP".to_owned(),
        url: "otpauth://totp/Usher:a?secret=JBSWY3DPEHPK3PXP".to_owned(),
        picture: Picture { side: 41, path: "M4 4h7v1h-7z".to_owned() },
    }
}

/// Recovery codes.
pub(super) fn codes() -> Vec<String> {
    vec!["0000-0000-0000-0000-0000-0000".to_owned(); 10]
}

pub(super) fn all() -> Vec<Sample> {
    let page = || SecurityPage {
        shell: shell(Nav::Account, Some((HOSTILE, false))),
        username: HOSTILE.to_owned(),
        notice: None,
        must_enrol: false,
        demanded: false,
        ask: false,
        totp: None,
        setup: None,
        waiting: false,
        passkeys_here: true,
        passkeys: Vec::new(),
        codes_left: 0,
        problems: Problems::default(),
    };
    let on = || SecurityPage { totp: Some(when("3 days ago")), codes_left: 9, ..page() };
    let codes = |first| CodesPage {
        shell: shell(Nav::Account, Some(("alice", false))),
        username: HOSTILE.to_owned(),
        codes: self::codes(),
        first,
    };
    let line = |text: &str| NewsLine { text: text.to_owned(), when: when("just now"), address: "192.0.2.7".to_owned() };
    vec![
        sample("security", &page()),
        sample("security_no_passkeys", &SecurityPage { passkeys_here: false, ..page() }),
        sample(
            "security_passkeys",
            &SecurityPage {
                passkeys: [HOSTILE, "Phone"]
                    .map(|name| PasskeyLine {
                        id: "0190f5b0-0000-7000-8000-000000000000".to_owned(),
                        name: name.to_owned(),
                        made: when("3 days ago"),
                        last_used: (name == "Phone").then(|| when("just now")),
                    })
                    .into(),
                problems: Problems::one("answer", "The challenge has expired."),
                ..on()
            },
        ),
        sample("security_must", &SecurityPage { must_enrol: true, demanded: true, ..page() }),
        sample("security_setup", &SecurityPage { setup: Some(setup()), waiting: true, ..page() }),
        sample(
            "security_wrong",
            &SecurityPage { waiting: true, problems: Problems::one("passcode", "Try the next one."), ..on() },
        ),
        sample("security_on", &SecurityPage { notice: Some(Notice::done("It is on.")), ..on() }),
        sample(
            "security_ask",
            &SecurityPage {
                ask: true,
                problems: Problems(vec![
                    Problem { field: "", text: "Too many attempts.".to_owned() },
                    Problem { field: "confirm", text: "That is not your password.".to_owned() },
                    Problem { field: "confirm_code", text: "That code is wrong.".to_owned() },
                ]),
                ..on()
            },
        ),
        sample("codes", &codes(false)),
        sample("codes_first", &codes(true)),
        sample(
            "news",
            &NewsPage {
                shell: shell(Nav::Account, Some(("alice", false))),
                lines: vec![line("An authenticator app was set up"), line(HOSTILE)],
                last: "0190f5b0-0000-7000-8000-000000000000".to_owned(),
                return_to: "/library".to_owned(),
            },
        ),
    ]
}
