//! An authenticator app, by a program that is none of ours: `oathtool`.

use super::app::{Actor, TestApp};
use http::StatusCode;
use serde_json::{Value, json};
use std::process::Command;
use std::time::Duration;
use usher::time::Time;

/// What the app was told.
#[derive(Clone)]
pub struct Authenticator {
    /// Base32.
    pub secret: String,
    algorithm: String,
    digits: u64,
}

impl Authenticator {
    /// An app that read the answer of `POST /api/v1/me/totp`.
    pub fn told(answer: &Value) -> Authenticator {
        Authenticator::read(answer["otpauth_url"].as_str().unwrap())
    }

    /// An app that read an address.
    pub fn read(url: &str) -> Authenticator {
        let field = |name: &str| {
            let from = url.find(&format!("{name}=")).unwrap() + name.len() + 1;
            url[from..].split('&').next().unwrap().to_owned()
        };
        Authenticator {
            secret: field("secret"),
            algorithm: field("algorithm"),
            digits: field("digits").parse().unwrap(),
        }
    }

    /// What it shows at an instant.
    pub fn code(&self, at: Time) -> String {
        let mut oathtool = Command::new("oathtool");
        oathtool.arg(format!("--totp={}", self.algorithm)).arg("--base32");
        oathtool.arg(format!("--digits={}", self.digits)).arg(format!("--now=@{}", at.seconds())).arg(&self.secret);
        let output = oathtool.output().expect("oathtool, which scripts/test installs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// What it shows `seconds` from now.
    pub fn code_in(&self, app: &TestApp, seconds: i64) -> String {
        self.code(Time(app.clock.now().0 + seconds * 1000))
    }
}

/// Sets an app up for whoever `owner` is, who logged in a moment ago, and waits until it shows a fresh code. Also the
/// recovery codes that came with it.
pub async fn enrol(app: &TestApp, owner: &Actor) -> (Authenticator, Vec<String>) {
    enrol_as(app, owner, json!({})).await
}

/// The same, with codes of another shape.
pub async fn enrol_as(app: &TestApp, owner: &Actor, shape: Value) -> (Authenticator, Vec<String>) {
    let begun = owner.post("/api/v1/me/totp", shape).await;
    assert_eq!(begun.status, StatusCode::CREATED, "{}", begun.text());
    let authenticator = Authenticator::told(&begun.json());
    let code = authenticator.code_in(app, 0);
    let confirmed = owner.post("/api/v1/me/totp/confirm", json!({"passcode": code})).await;
    assert_eq!(confirmed.status, StatusCode::OK, "{}", confirmed.text());
    let codes = confirmed.json()["recovery_codes"].as_array().unwrap().clone();
    app.advance(Duration::from_secs(60));
    (authenticator, codes.iter().map(|code| code.as_str().unwrap().to_owned()).collect())
}
