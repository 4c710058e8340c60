//! One act on many accounts.

use super::{Closed, Unread, buckets, group};
use crate::accounts::Buckets;
use crate::admin::bulk::{self, Act};
use crate::cx::Cx;
use crate::http::extract::{Admin, Json};
use crate::http::failure::Failure;
use crate::id::AccountId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What is done to each of the accounts.
#[derive(Clone, Copy, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// Shut out, with an end to everything it holds.
    Disable,
    /// Let in again.
    Enable,
    /// Put into `group`.
    Join,
    /// Taken out of `group`.
    Leave,
    /// Given `buckets` of its own, and no others.
    Buckets,
}

/// One act on many accounts.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Bulk {
    /// The ids of the accounts, at most 200.
    #[schema(value_type = Vec<String>)]
    pub users: BTreeSet<AccountId>,
    /// `disable`, `enable`, `join`, `leave` or `buckets`.
    pub act: What,
    /// The name of the group, for `join` and `leave`.
    pub group: Option<String>,
    /// The names of the buckets, `all` for every one, for `buckets`.
    #[serde(default)]
    pub buckets: Vec<String>,
}

/// An account that was passed over.
#[derive(Serialize, utoipa::ToSchema)]
pub struct PassedOver {
    /// Which.
    pub id: String,
    /// Why, in a word that programs know.
    pub code: &'static str,
    /// Why, in a sentence.
    pub detail: String,
}

/// How it went.
#[derive(Serialize, utoipa::ToSchema)]
pub struct BulkDone {
    /// To how many it was done, or was so already.
    pub done: usize,
    /// Who was passed over.
    pub refused: Vec<PassedOver>,
}

/// Do one thing to many accounts. Each is done by itself: one that is refused holds up no other.
#[utoipa::path(post, path = "/api/v1/users/bulk", tag = "admin", request_body = Bulk, responses(
    (status = 200, description = "How it went", body = BulkDone), Unread, Closed))]
pub async fn run(Admin(cx): Admin, Json(body): Json<Bulk>) -> Result<axum::Json<BulkDone>, Failure> {
    if body.users.len() > bulk::MOST {
        return Err(Failure::invalid("That is more than 200 accounts. Send them in parts."));
    }
    let act = match body.act {
        What::Disable => Act::Disable,
        What::Enable => Act::Enable,
        What::Join => Act::Join(named(&cx, body.group.as_deref()).await?),
        What::Leave => Act::Leave(named(&cx, body.group.as_deref()).await?),
        What::Buckets => Act::Buckets(buckets(&cx, body.buckets, &Buckets::None)?),
    };
    let all = bulk::run(&cx, &body.users, &act).await?;
    let refused = all.refused.into_iter().map(|(id, error)| {
        let failure = Failure::from(error);
        PassedOver { id: id.to_string(), code: failure.code, detail: failure.public }
    });
    Ok(axum::Json(BulkDone { done: all.done, refused: refused.collect() }))
}

async fn named(cx: &Cx, name: Option<&str>) -> Result<crate::id::GroupId, Failure> {
    group(cx, name.ok_or_else(|| Failure::invalid("Name the `group`."))?).await
}
