//! Second factors from a terminal.

use super::users::{address, find};
use super::{CommandError, Output, Password};
use crate::accounts::groups;
use crate::admin::{AdminError, factors as admin};
use crate::cx::Cx;
use crate::login::factors::{self, FactorError};
use crate::login::qr;
use crate::login::totp::Shape;
use serde_json::json;

type Said = Result<Output, CommandError>;

fn refused(error: FactorError) -> CommandError {
    match error {
        FactorError::Storage(error) => error.into(),
        FactorError::NotFound => AdminError::NoFactor.into(),
        FactorError::NothingWaits => {
            CommandError::new("nothing_waits", "no set-up waits for a code; begin with `usher user totp NAME`")
        }
        FactorError::WrongCode => {
            CommandError::new("passcode_invalid", "that is not what the app shows at this moment; nothing was changed")
        }
        other => CommandError::new("refused", other),
    }
}

/// Makes a secret and shows it, this once.
pub async fn begin(cx: &Cx, name: &str) -> Said {
    let account = find(cx, name).await?;
    let waiting =
        factors::begin_totp(cx, account.id, &account.username, Shape::default(), None).await.map_err(refused)?;
    let (url, secret) = (waiting.told.address(), waiting.told.secret_text());
    let picture = qr::terminal(&url).unwrap_or_default();
    Ok(Output {
        text: format!(
            "Read this with the authenticator app of {}, or type the key {} into it.\n{picture}\nIt is asked for once the \
             app's first code was confirmed, within an hour.",
            account.username, *secret
        ),
        value: json!({ "username": account.username, "secret": *secret, "otpauth_url": *url, "expires_at": waiting.until }),
    })
}

/// Switches the app on by its first code.
pub async fn confirm(cx: &Cx, name: &str, code: &Password) -> Said {
    let account = find(cx, name).await?;
    let confirmed = factors::confirm_totp(cx, account.id, &code.0, false).await.map_err(refused)?;
    let codes: Vec<String> = confirmed.codes.iter().map(|code| code.expose().to_string()).collect();
    let more = if codes.is_empty() {
        String::new()
    } else {
        format!("\nRecovery codes, each good once, shown only now:\n  {}", codes.join("\n  "))
    };
    Ok(Output {
        text: format!("{} is asked for a code at every login from now on{more}", account.username),
        value: json!({ "username": account.username, "recovery_codes": codes }),
    })
}

/// Takes the app away.
pub async fn remove(cx: &Cx, name: &str) -> Said {
    let account = find(cx, name).await?;
    admin::remove(cx, account.id).await?;
    Ok(Output {
        text: format!("{} is asked for no code any more", account.username),
        value: json!({ "username": account.username, "totp": false }),
    })
}

/// Makes a link that stands in for a lost factor.
pub async fn recover(cx: &Cx, name: &str) -> Said {
    let account = find(cx, name).await?;
    let made = admin::make_recovery_link(cx, account.id).await?;
    let url = address(cx, &made);
    Ok(Output {
        text: format!(
            "With this link and the password, {} logs in without the lost factor, once, within an hour:\n{url}",
            account.username
        ),
        value: json!({ "username": account.username, "url": url, "expires_at": made.link.expires_at }),
    })
}

fn said(who: &str, required: bool) -> String {
    if required { format!("{who} must have a second factor") } else { format!("{who} need not have a second factor") }
}

/// Demands a factor of an account, or no more.
pub async fn require(cx: &Cx, name: &str, required: bool) -> Said {
    let account = find(cx, name).await?;
    admin::demand(cx, account.id, required).await?;
    Ok(Output {
        text: said(&account.username, required),
        value: json!({ "username": account.username, "required": required }),
    })
}

/// Demands a factor of everybody in a group, or no more.
pub async fn require_of_group(cx: &Cx, name: &str, required: bool) -> Said {
    let group = groups::find_by_name(&cx.app.db, name).await?;
    let group =
        group.ok_or_else(|| CommandError::new("not_found", "there is no such group; see `usher group list`"))?;
    admin::demand_of_group(cx, group.id, required).await?;
    let who = format!("everybody in {}", group.name);
    Ok(Output { text: said(&who, required), value: json!({ "group": group.name, "required": required }) })
}
