//! One act on the accounts that were ticked in the list.

use super::asked::Asked;
use super::{buckets, sentence};
use crate::accounts::Buckets;
use crate::admin::bulk::{self, Act};
use crate::cx::Cx;
use crate::http::extract::{AdminPage, Pairs};
use crate::http::failure::Failure;
use crate::http::page::{onward, shell, show};
use crate::id::{AccountId, GroupId};
use crate::pages::{BulkPage, Nav, href};
use axum::response::Response;
use http::StatusCode;
use std::collections::BTreeSet;

/// Does it, and says who was passed over.
pub async fn run(AdminPage(cx): AdminPage, form: Pairs) -> Result<Response, Failure> {
    match Asked::or_page(cx, &form, "/admin/accounts/bulk").await? {
        Ok(asked) => {
            let done = run_now(&asked.cx, &form).await;
            asked.answer(&form, done)
        }
        Err(page) => Ok(page),
    }
}

async fn run_now(cx: &Cx, form: &Pairs) -> Result<Response, Failure> {
    let ids: Result<BTreeSet<AccountId>, _> = form.all("ids").into_iter().map(str::parse).collect();
    let ids = ids.map_err(|_| Failure::invalid("There is no such account."))?;
    if ids.len() > bulk::MOST {
        return Err(Failure::invalid("Those are more accounts than one page holds."));
    }
    let group = || form.first("group").parse::<GroupId>().map_err(|_| Failure::invalid("Choose a group."));
    let act = match form.first("act") {
        "disable" => Act::Disable,
        "enable" => Act::Enable,
        "join" => Act::Join(group()?),
        "leave" => Act::Leave(group()?),
        "buckets" => Act::Buckets(buckets(cx, form.all("buckets"), &Buckets::None)?),
        _ => return Err(Failure::invalid("Choose what to do.")),
    };
    let all = bulk::run(cx, &ids, &act).await?;
    if all.refused.is_empty() {
        return Ok(onward(&href::query("/admin/accounts", &[("q", form.first("q")), ("done", "bulk")])));
    }
    let mut refused = Vec::with_capacity(all.refused.len());
    for (id, error) in all.refused {
        let name = crate::accounts::find(&cx.app.db, id).await?.map_or_else(|| id.to_string(), |found| found.username);
        let why = match error {
            crate::admin::AdminError::NotFound => "There is no such account, or no such group.".to_owned(),
            other => sentence(other)?,
        };
        refused.push((name, why));
    }
    let page = BulkPage { shell: shell(cx, Nav::Admin), done: all.done, refused };
    Ok(show(StatusCode::CONFLICT, &page))
}
