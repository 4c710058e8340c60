//! A slice of an import: some rows, each in a commit of its own that shares the disk's time with the others.

use super::users::unknown_buckets_of;
use super::{CommandError, Output};
use crate::accounts::import::Candidate;
use crate::admin::import::{self, Taken};
use crate::cx::Cx;
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// What became of one row.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    /// Where it stood.
    pub row: u64,
    /// Its name as it stood there.
    pub username: String,
    /// What became of it.
    #[serde(flatten)]
    pub taken: Taken,
}

/// Takes over rows. When one of them fails for want of the database, the others may be done; it is safe to ask again.
pub async fn take(cx: &Cx, from: &str, trial: bool, rows: Vec<Candidate>) -> Result<Output, CommandError> {
    let mut asked: Vec<String> = rows.iter().flat_map(|row| row.buckets.iter().cloned()).collect();
    asked.sort();
    asked.dedup();
    let each = rows.into_iter().map(async |row| {
        let (at, username) = (row.row, row.username.clone());
        let taken = import::take(cx, row, from, trial).await?;
        Ok::<Row, CommandError>(Row { row: at, username, taken })
    });
    let done: Vec<Row> = join_all(each).await.into_iter().collect::<Result<_, _>>()?;
    Ok(Output {
        text: format!("{} rows", done.len()),
        value: json!({ "rows": done, "unknown_buckets": unknown_buckets_of(cx, &asked) }),
    })
}
