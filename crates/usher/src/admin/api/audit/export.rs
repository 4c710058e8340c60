//! The lines of an export, read page by page while they are sent: its size is nobody's memory.

use super::Form;
use crate::audit::{self, Filter, Recorded};
use crate::cx::Cx;
use crate::id::EventId;
use bytes::Bytes;
use futures_util::stream::{self, Stream};
use usher_db::Error;

/// Events that are read at once.
const PAGE: u32 = 500;
/// The names of the columns.
const HEAD: &str = "id,at,event,result,account,actor,session,target,address,request,detail\r\n";

enum Next {
    Head,
    After(Option<EventId>),
    Nothing,
}

/// The export as a stream of whole lines. A page that cannot be read breaks it off, so that half of it never looks whole.
pub fn lines(cx: Cx, filter: Filter, form: Form) -> impl Stream<Item = Result<Bytes, Error>> + Send {
    let begin = if matches!(form, Form::Csv) { Next::Head } else { Next::After(None) };
    stream::try_unfold((cx, filter, begin), move |(cx, filter, next)| async move {
        let before = match next {
            Next::Head => return Ok(Some((Bytes::from_static(HEAD.as_bytes()), (cx, filter, Next::After(None))))),
            Next::After(before) => before,
            Next::Nothing => return Ok(None),
        };
        let events = audit::list(&cx.app.db, &Filter { before, ..filter.clone() }, PAGE).await?;
        let next = match events.last() {
            Some(last) if events.len() >= PAGE as usize => Next::After(Some(last.id)),
            _ => Next::Nothing,
        };
        let text: String = events.iter().map(|event| line(event, form)).collect();
        Ok(Some((Bytes::from(text), (cx, filter, next))))
    })
}

fn line(event: &Recorded, form: Form) -> String {
    match form {
        Form::Jsonl => serde_json::to_string(event).unwrap_or_default() + "\n",
        Form::Csv => {
            let id = |id: Option<String>| id.unwrap_or_default();
            let cells = [
                event.id.to_string(),
                event.at.rfc3339(),
                event.event.clone(),
                event.result.clone(),
                id(event.account.map(|id| id.to_string())),
                id(event.actor.map(|id| id.to_string())),
                id(event.session.map(|id| id.to_string())),
                event.target.clone(),
                event.address.clone(),
                event.request.clone(),
                event.detail.clone(),
            ];
            cells.map(|text| cell(&text)).join(",") + "\r\n"
        }
    }
}

/// One cell. A spreadsheet takes what begins like a formula for one, so that a quotation mark goes before it.
fn cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\r', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_one_cell_and_no_formula() {
        assert_eq!(cell("alice"), "alice");
        assert_eq!(cell("a,b \"c\"\n"), "\"a,b \"\"c\"\"\n\"");
        assert_eq!(cell("=cmd()"), "'=cmd()");
        assert_eq!(cell("-1,2"), "\"'-1,2\"");
    }
}
