//! A declaration from a terminal.

use super::table::plain;
use super::users::{address, short};
use super::{CommandError, Output};
use crate::config::File;
use crate::cx::Cx;
use crate::declared::{self, Applied, ApplyError, Mode};
use serde_json::{Value, json};
use std::path::PathBuf;

/// The code of a declaration that cannot be meant so.
pub const INVALID: &str = "declaration_invalid";

impl From<ApplyError> for CommandError {
    fn from(error: ApplyError) -> CommandError {
        match error {
            ApplyError::Problems(problems) => {
                let what = format!("nothing was changed, because this cannot be applied:\n{problems}");
                CommandError::new(INVALID, what)
            }
            ApplyError::Restless => CommandError::new(CommandError::UNAVAILABLE, error),
            ApplyError::Storage(error) => error.into(),
        }
    }
}

/// Makes everything as the file declares it, or says what that would change.
pub async fn apply(cx: &Cx, file: PathBuf, text: String, plan: bool) -> Result<Output, CommandError> {
    let mode = if plan { Mode::Plan } else { Mode::Apply };
    let Applied { owner, steps, notes, links } = declared::apply(cx, &File { path: file, text }, mode).await?;
    let told: Vec<_> = steps.iter().map(|step| step.told()).collect();
    let mut lines: Vec<String> = told.iter().map(|told| plain(&told.line())).collect();
    lines.extend(notes.iter().map(|note| plain(&format!("note: {note}"))));
    let count = match told.len() {
        0 => "everything is as declared".to_owned(),
        1 if plan => "1 change would be made; nothing was changed".to_owned(),
        many if plan => format!("{many} changes would be made; nothing was changed"),
        1 => "1 change was made".to_owned(),
        many => format!("{many} changes were made"),
    };
    lines.push(count);
    let links: Vec<Value> = links
        .iter()
        .map(|(key, made)| {
            let (url, until) = (address(cx, made), made.link.expires_at);
            lines.push(format!("invite {key}: {url}\nIt makes one account, once, until {}.", short(until)));
            json!({ "key": key, "id": made.link.id, "url": url, "expires_at": until })
        })
        .collect();
    let value = json!({ "name": owner, "applied": !plan, "changes": told, "notes": notes, "links": links });
    Ok(Output { text: lines.join("\n"), value })
}
