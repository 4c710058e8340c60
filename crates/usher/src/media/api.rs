//! Buckets and their entries, for programs.

use super::buckets::Bucket;
use super::listing::{self, Cursor, Entry};
use super::path::{CanonicalPath, PathError};
use super::{disk, library, urls};
use crate::cx::Cx;
use crate::gate::Caller;
use crate::http::extract::{self, Library, Query};
use crate::http::failure::{Failure, Problem};
use axum::Json;
use axum::extract::{Path, RawQuery};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The most entries of one answer.
const MOST: u32 = 1000;
/// The longest search, in characters.
const LONGEST_SEARCH: usize = 200;

/// A bucket that the caller may open.
#[derive(Serialize, utoipa::ToSchema)]
pub struct BucketBrief {
    /// Its name.
    #[schema(example = "films")]
    pub name: String,
    /// The list of its root.
    #[schema(example = "/api/v1/buckets/films/entries?path=")]
    pub entries: String,
}

/// The buckets that the caller may open.
#[derive(Serialize, utoipa::ToSchema)]
pub struct BucketList {
    /// In the order of the configuration.
    pub buckets: Vec<BucketBrief>,
}

/// A file or a folder.
#[derive(Serialize, utoipa::ToSchema)]
pub struct EntryBrief {
    /// Its name. Where the name is not UTF-8, what can be shown of it.
    #[schema(example = "Night train.webm")]
    pub name: String,
    /// Its path in the bucket, under the same condition. The links below are exact in every case.
    #[schema(example = "Restored/Night train.webm")]
    pub path: String,
    /// `folder`, `video`, `audio`, `picture`, `text`, `pdf` or `other`, by its name.
    #[schema(example = "video")]
    pub kind: &'static str,
    /// Bytes. Absent for a folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// When it last changed.
    #[schema(format = DateTime)]
    pub changed_at: String,
    /// A fresh media URL of a file, for any player. It needs no other credential, and dies with the session or token that asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The list of a folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entries: Option<String>,
}

/// A page of a folder, or what a search beneath it found.
#[derive(Serialize, utoipa::ToSchema)]
pub struct EntryList {
    /// Folders first, in natural order.
    pub entries: Vec<EntryBrief>,
    /// What to send as `after` for the next page. Absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// There is more than is looked at: the folder or the search is too large.
    pub cut: bool,
}

/// What of a folder is wanted.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct EntriesQuery {
    /// The folder below the bucket's root; the root when absent.
    #[serde(default, rename = "path")]
    #[param(example = "Restored")]
    _path: String,
    /// Where the page before ended.
    #[serde(default)]
    after: String,
    /// Searches names beneath the folder instead: every word must be in the name. Takes no `after`.
    #[serde(default)]
    q: String,
    /// How many entries at most, 1 to 1000; 100 when absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// List the buckets you may open.
#[utoipa::path(get, path = "/api/v1/buckets", tag = "media", responses(
    (status = 200, description = "The buckets", body = BucketList),
    (status = 401, description = "Not logged in", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "The token has not the scope `media`, or a new password must be chosen first", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "No storage", body = Problem, content_type = "application/problem+json")))]
pub async fn buckets(Library(cx): Library) -> Result<Json<BucketList>, Failure> {
    let granted = cx.app.media.buckets.granted(&extract::caller(&cx)?.rights.buckets);
    let brief = |bucket: &Arc<Bucket>| BucketBrief {
        name: bucket.name.clone(),
        entries: library::entries(&bucket.name, &CanonicalPath::root()),
    };
    Ok(Json(BucketList { buckets: granted.iter().map(brief).collect() }))
}

/// List a folder, or search beneath it.
#[utoipa::path(get, path = "/api/v1/buckets/{bucket}/entries", tag = "media",
    params(("bucket" = String, Path, description = "The bucket's name"), EntriesQuery), responses(
    (status = 200, description = "The entries", body = EntryList),
    (status = 401, description = "Not logged in", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "The token has not the scope `media`, or a new password must be chosen first", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "No such bucket or folder, or none that you may open", body = Problem, content_type = "application/problem+json"),
    (status = 422, description = "A parameter is not what it should be", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "Too busy, or no storage", body = Problem, content_type = "application/problem+json")))]
pub async fn entries(
    Library(cx): Library,
    bucket: Result<Path<String>, axum::extract::rejection::PathRejection>,
    Query(query): Query<EntriesQuery>,
    RawQuery(raw): RawQuery,
) -> Result<Json<EntryList>, Failure> {
    let caller = extract::caller(&cx)?;
    let Path(name) = bucket.map_err(|_| Failure::not_found())?;
    let bucket = cx.app.media.buckets.find(&name, &caller.rights.buckets).ok_or_else(Failure::not_found)?;
    let folder = library::path_field(raw.as_deref().unwrap_or_default()).map_err(|error| match error {
        PathError::Bad => {
            Failure::invalid("`path` is a path below the bucket's root, without `.`, `..` or empty parts.")
        }
        PathError::TooLong => Failure::not_found(),
    })?;
    let limit = query.limit.unwrap_or(100);
    if !(1..=MOST).contains(&limit) {
        return Err(Failure::invalid("`limit` is a number from 1 to 1000."));
    }
    let limit = usize::try_from(limit).unwrap_or(100);
    let (bucket, root) = (&*bucket, bucket.root()?);
    if !query.q.trim().is_empty() {
        if query.q.chars().count() > LONGEST_SEARCH {
            return Err(Failure::invalid("`q` has at most 200 characters."));
        }
        let (at, wanted) = (folder.clone(), query.q);
        let found = disk::browsing(move || listing::search(&root, &at, &wanted, limit)).await?;
        let line = |(path, entry): &(CanonicalPath, Entry)| {
            folder.join(path).ok().map(|path| brief(&cx, caller, bucket, &path, entry))
        };
        let entries = found.hits.iter().filter_map(line).collect::<Result<_, _>>()?;
        return Ok(Json(EntryList { entries, next: None, cut: found.cut }));
    }
    let after = match query.after.as_str() {
        "" => None,
        text => Some(Cursor::parse(text).ok_or_else(|| Failure::invalid("`after` is the `next` of another answer."))?),
    };
    let at = folder.clone();
    let page = disk::browsing(move || listing::list(&root, &at, after.as_ref(), limit)).await?;
    let line = |entry: &Entry| {
        let path = folder.child(&entry.name).ok()?;
        Some(brief(&cx, caller, bucket, &path.as_folder(entry.folder), entry))
    };
    let entries = page.entries.iter().filter_map(line).collect::<Result<_, _>>()?;
    Ok(Json(EntryList { entries, next: page.next.map(|cursor| cursor.encode()), cut: page.cut }))
}

fn brief(
    cx: &Cx,
    caller: &Caller,
    bucket: &Bucket,
    path: &CanonicalPath,
    entry: &Entry,
) -> Result<EntryBrief, Failure> {
    let url = if entry.folder { None } else { Some(fresh(cx, caller, bucket, path, entry.kind)?) };
    Ok(EntryBrief {
        name: entry.shown(),
        path: path.shown(),
        kind: if entry.folder { "folder" } else { library::word(entry.kind) },
        size: (!entry.folder).then_some(entry.size),
        changed_at: entry.changed_at.rfc3339(),
        url: url.map(|url| cx.absolute(&url)),
        entries: entry.folder.then(|| library::entries(&bucket.name, path)),
    })
}

/// A fresh media URL, or the failure that has been logged.
pub(super) fn fresh(
    cx: &Cx,
    caller: &Caller,
    bucket: &Bucket,
    path: &CanonicalPath,
    kind: super::kind::Kind,
) -> Result<String, Failure> {
    urls::mint(cx, caller, bucket, path, kind).ok_or_else(|| {
        Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "No media URL could be made. The log tells why.")
    })
}
