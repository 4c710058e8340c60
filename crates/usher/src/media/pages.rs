//! The library's pages: buckets, folders, files.

use super::buckets::Bucket;
use super::kind::Kind;
use super::listing::{self, Cursor, Entry};
use super::look::{self, Found, Looked};
use super::path::{CanonicalPath, PathError, shown};
use super::probe::Playability;
use super::{api, disk, library as addresses};
use crate::cx::Cx;
use crate::gate::Caller;
use crate::http::extract::{self, Page, Query};
use crate::http::failure::Failure;
use crate::http::page::{shell, show, when};
use crate::pages::{
    BucketCard, EntryKind, EntryLine, FilePage, FolderPage, LibraryPage, Link, Nav, Notice, Playback, Trouble, Viewer,
    When, href,
};
use crate::secret::MacKey;
use crate::time::Time;
use axum::Json;
use axum::extract::OriginalUri;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, LOCATION};
use http::{HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// Entries on one page.
const PER_PAGE: usize = 200;
/// The most a search shows.
const HITS: usize = 500;

/// The buckets that are open to this account.
pub async fn library(Page(cx): Page) -> Result<Response, Failure> {
    let granted = cx.app.media.buckets.granted(&extract::caller(&cx)?.rights.buckets);
    let card = |bucket: &Arc<Bucket>| BucketCard {
        name: bucket.name.clone(),
        href: addresses::page(&bucket.name, &CanonicalPath::root()),
        detail: bucket.missing().map_or("Local folder", |_| "Not reachable at the moment").to_owned(),
    };
    let page =
        LibraryPage { shell: shell(&cx, Nav::Library), notice: None, buckets: granted.iter().map(card).collect() };
    Ok(show(StatusCode::OK, &page))
}

/// What of a folder is shown.
#[derive(Deserialize)]
pub struct FolderQuery {
    #[serde(default)]
    after: String,
    #[serde(default)]
    q: String,
}

/// A folder or a file of a bucket.
pub async fn entry(
    Page(cx): Page,
    OriginalUri(uri): OriginalUri,
    Query(query): Query<FolderQuery>,
) -> Result<Response, Failure> {
    let caller = extract::caller(&cx)?;
    let (bucket, path) = find(&cx, caller, uri.path(), "/library/")?;
    let bucket = &*bucket;
    let Some(path) = path else { return moved(bucket, CanonicalPath::root(), uri.query()) };
    if path.is_folder() {
        let page = folder(&cx, bucket, &path, query).await?;
        return Ok(show(StatusCode::OK, &page));
    }
    let (root, at) = (bucket.root()?, path.clone());
    match disk::browsing(move || look::look(&root, &at)).await? {
        Found::Folder => moved(bucket, path.as_folder(true), uri.query()),
        Found::File(looked) => Ok(show(StatusCode::OK, &file(&cx, caller, bucket, &path, *looked)?)),
    }
}

/// A fresh media URL.
#[derive(Serialize)]
pub struct Renewed {
    url: String,
}

/// A fresh media URL for a player whose own has ended. The file itself is asked for with it, not here.
pub async fn renew(Page(cx): Page, OriginalUri(uri): OriginalUri) -> Result<Json<Renewed>, Failure> {
    let caller = extract::caller(&cx)?;
    let (bucket, path) = find(&cx, caller, uri.path(), "/renew/")?;
    let path = path.filter(|path| !path.is_folder()).ok_or_else(Failure::not_found)?;
    let kind = super::kind::of_name(path.name().unwrap_or_default()).kind;
    Ok(Json(Renewed { url: api::fresh(&cx, caller, &bucket, &path, kind)? }))
}

/// A list of one entry (M3U) with a fresh media URL: what a browser hands to the player that this device opens such
/// lists with. Browsers no longer take a player's own scheme in a link.
pub async fn playlist(Page(cx): Page, OriginalUri(uri): OriginalUri) -> Result<Response, Failure> {
    let caller = extract::caller(&cx)?;
    let (bucket, path) = find(&cx, caller, uri.path(), "/playlist/")?;
    let path = path.filter(|path| !path.is_folder()).ok_or_else(Failure::not_found)?;
    let kind = super::kind::of_name(path.name().unwrap_or_default()).kind;
    let url = cx.absolute(&api::fresh(&cx, caller, &bucket, &path, kind)?);
    // A line break in a name would be a second entry.
    let name: String = path.name().map(shown).unwrap_or_default().chars().filter(|c| !c.is_control()).collect();
    let headers =
        [(CONTENT_TYPE, "audio/x-mpegurl; charset=utf-8"), (CONTENT_DISPOSITION, "attachment; filename=\"play.m3u\"")];
    Ok((headers, format!("#EXTM3U\n#EXTINF:-1,{name}\n{url}\n")).into_response())
}

fn find(cx: &Cx, caller: &Caller, target: &str, prefix: &str) -> Result<(Arc<Bucket>, Option<CanonicalPath>), Failure> {
    let (name, path) = addresses::target(target, prefix).map_err(|error| match error {
        PathError::Bad => Failure::new(StatusCode::BAD_REQUEST, "bad_path", "The address is malformed."),
        PathError::TooLong => Failure::not_found(),
    })?;
    let bucket = cx.app.media.buckets.find(name, &caller.rights.buckets).ok_or_else(Failure::not_found)?;
    Ok((bucket, path))
}

/// To the folder's own address, which ends in a slash.
fn moved(bucket: &Bucket, folder: CanonicalPath, query: Option<&str>) -> Result<Response, Failure> {
    let mut to = addresses::page(&bucket.name, &folder);
    if let Some(query) = query {
        to.push('?');
        to.push_str(query);
    }
    let to = HeaderValue::try_from(to).map_err(|_| Failure::not_found())?;
    Ok((StatusCode::MOVED_PERMANENTLY, [(LOCATION, to)]).into_response())
}

async fn folder(cx: &Cx, bucket: &Bucket, path: &CanonicalPath, query: FolderQuery) -> Result<FolderPage, Failure> {
    let href = addresses::page(&bucket.name, path);
    let wanted: String = query.q.trim().chars().take(200).collect();
    let mut page = FolderPage {
        shell: shell(cx, Nav::Library),
        name: path.name().map_or_else(|| bucket.name.clone(), shown),
        crumbs: crumbs(bucket, path),
        href: href.clone(),
        query: wanted.clone(),
        entries: Vec::new(),
        next: None,
        first: None,
        notice: None,
    };
    let (root, at) = (bucket.root()?, path.clone());
    if !wanted.is_empty() {
        let found = disk::browsing(move || listing::search(&root, &at, &wanted, HITS)).await?;
        page.entries = found
            .hits
            .iter()
            .filter_map(|(below, entry)| {
                let path = path.join(below).ok()?;
                let place = place(bucket, &path.parent()?);
                Some(EntryLine { place: Some(place), ..line(bucket, &path, entry, cx.now) })
            })
            .collect();
        page.notice = found.cut.then(|| {
            Notice::info("This is not everything: there are too many matches or too many files. Search further down, or for more of the name.")
        });
        return Ok(page);
    }
    // A cursor that is none begins at the beginning, as an old bookmark should.
    let after = Cursor::parse(&query.after).filter(|_| !query.after.is_empty());
    page.first = after.as_ref().map(|_| href.clone());
    let list = disk::browsing(move || listing::list(&root, &at, after.as_ref(), PER_PAGE)).await?;
    page.entries = list
        .entries
        .iter()
        .filter_map(|entry| Some(line(bucket, &path.child(&entry.name).ok()?.as_folder(entry.folder), entry, cx.now)))
        .collect();
    page.next = list.next.map(|cursor| href::query(&href, &[("after", &cursor.encode())]));
    page.notice = list.cut.then(|| Notice::info("This folder is too large to show all of it. Search finds the rest."));
    Ok(page)
}

fn line(bucket: &Bucket, path: &CanonicalPath, entry: &Entry, now: Time) -> EntryLine {
    EntryLine {
        kind: if entry.folder { EntryKind::Folder } else { picture_of(entry.kind) },
        name: entry.shown(),
        href: addresses::page(&bucket.name, path),
        size: (!entry.folder).then(|| size(entry.size)),
        modified: Some(modified(entry.changed_at, now)),
        place: None,
    }
}

/// When an entry changed, as short as a list needs it: the day, once it is a week ago.
fn modified(at: Time, now: Time) -> When {
    let told = when(at, now);
    let recent = at <= now && now.since(at) < Duration::from_secs(7 * 24 * 3600);
    match jiff::Timestamp::from_millisecond(at.0) {
        Ok(day) if !recent => When { text: day.strftime("%b %-d, %Y").to_string(), iso: told.iso },
        _ => told,
    }
}

fn picture_of(kind: Kind) -> EntryKind {
    match kind {
        Kind::Video => EntryKind::Video,
        Kind::Audio => EntryKind::Audio,
        Kind::Picture => EntryKind::Picture,
        Kind::Text => EntryKind::Text,
        Kind::Pdf | Kind::Other => EntryKind::Other,
    }
}

/// From the library down to the folder that holds `path`.
fn crumbs(bucket: &Bucket, path: &CanonicalPath) -> Vec<Link> {
    let mut above = Vec::new();
    let mut at = path.parent();
    while let Some(folder) = at {
        let name = folder.name().map_or_else(|| bucket.name.clone(), shown);
        above.push(Link::new(name, addresses::page(&bucket.name, &folder)));
        at = folder.parent();
    }
    above.push(Link::new("Library", "/library"));
    above.reverse();
    above
}

fn place(bucket: &Bucket, folder: &CanonicalPath) -> String {
    let names = folder.segments().map(shown);
    std::iter::once(bucket.name.clone()).chain(names).collect::<Vec<_>>().join(" / ")
}

fn file(cx: &Cx, caller: &Caller, bucket: &Bucket, path: &CanonicalPath, looked: Looked) -> Result<FilePage, Failure> {
    let url = api::fresh(cx, caller, bucket, path, looked.content.kind)?;
    let beside = |path: Option<CanonicalPath>| {
        path.map(|path| Link::new(shown(path.name().unwrap_or_default()), addresses::page(&bucket.name, &path)))
    };
    let changed = Time(i64::try_from(looked.meta.mtime_ns.div_euclid(1_000_000)).unwrap_or(0));
    Ok(FilePage {
        shell: shell(cx, Nav::Library),
        name: path.name().map(shown).unwrap_or_default(),
        kind: picture_of(looked.content.kind),
        crumbs: crumbs(bucket, path),
        size: size(looked.meta.size),
        modified: when(changed, cx.now),
        playlist: addresses::playlist(&bucket.name, path),
        download: format!("{url}?dl=1"),
        previous: beside(looked.neighbours.previous),
        next: beside(looked.neighbours.next),
        url: cx.absolute(&url),
        viewer: match (looked.text, looked.playability, looked.content.kind) {
            (Some(text), ..) => Viewer::Text { text: text.text, cut: text.cut },
            (None, Some(verdict), Kind::Picture) if verdict.plays => Viewer::Picture { src: url },
            (None, Some(verdict), Kind::Video | Kind::Audio) if verdict.plays || hopeful(&verdict) => {
                Viewer::Play(Playback {
                    video: looked.content.kind == Kind::Video,
                    src: url,
                    mime: looked.content.mime.to_owned(),
                    renew: addresses::renewal(&bucket.name, path),
                    key: position_key(cx, caller, bucket, path),
                    trouble: (!verdict.plays).then(|| Trouble { what: in_words(&verdict) }),
                })
            }
            (None, Some(verdict), Kind::Video | Kind::Audio) => {
                Viewer::CannotPlay(Trouble { what: in_words(&verdict) })
            }
            _ => Viewer::Nothing,
        },
    })
}

/// Whether some browser may play it although not all do: it is in a container that browsers open, and a codec
/// in it may have come with the machine.
fn hopeful(verdict: &Playability) -> bool {
    let opened = matches!(verdict.container, "MP4" | "QuickTime (MOV)" | "Matroska (MKV)" | "WebM" | "Ogg");
    opened && !verdict.codecs.is_empty()
}

/// What the file is, after "It is": "a Matroska (MKV) file with HEVC and AC-3".
fn in_words(verdict: &Playability) -> String {
    let container = verdict.container;
    if container == "unknown" {
        return "a file of a kind we do not know".to_owned();
    }
    // Letters that are spelled out begin as they are spoken: "an MP4", "an AVI", but "a Matroska".
    let vowel = container.starts_with(['A', 'E', 'H', 'I', 'O']) || container.starts_with("MP");
    let article = if vowel && !container.starts_with("HE") { "an" } else { "a" };
    let with = match verdict.codecs.as_slice() {
        [] => String::new(),
        [one] => format!(" with {one}"),
        [first @ .., last] => format!(" with {} and {last}", first.join(", ")),
    };
    let broken = if verdict.codecs.is_empty() && matches!(container, "MP4" | "QuickTime (MOV)") {
        " without a readable index"
    } else {
        ""
    };
    format!("{article} {container} file{with}{broken}")
}

/// The name under which a browser remembers the position in a file: of this account and this file alone, and
/// without the master key it says nothing about either.
fn position_key(cx: &Cx, caller: &Caller, bucket: &Bucket, path: &CanonicalPath) -> String {
    let key = MacKey::new(&cx.app.vault.derive("media.position"));
    let account = caller.account().bytes();
    let tag = key.tag(&[&account, bucket.name.as_bytes(), path.as_bytes()]);
    URL_SAFE_NO_PAD.encode(tag.get(..16).unwrap_or_default())
}

/// A size as people say it, in powers of a thousand as shops and disks do.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KB", "MB", "GB", "TB", "PB"];
    if bytes < 1000 {
        return format!("{bytes} byte{}", if bytes == 1 { "" } else { "s" });
    }
    // Tenths of a unit, so that no float is needed.
    let mut tenths = bytes / 100;
    let mut unit = 0;
    while tenths >= 10_000 && unit + 1 < UNITS.len() {
        tenths /= 1000;
        unit += 1;
    }
    match tenths {
        0..100 => format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit]),
        _ => format!("{} {}", tenths / 10, UNITS[unit]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_as_people_tell_them() {
        let told = [0, 1, 999, 1000, 1_500, 99_999, 812_345_678, 4_200_000_000].map(size);
        assert_eq!(told, ["0 bytes", "1 byte", "999 bytes", "1.0 KB", "1.5 KB", "99 KB", "812 MB", "4.2 GB"]);
        assert_eq!(size(u64::MAX), "18446 PB");
    }

    #[test]
    fn a_list_tells_the_day_of_what_is_long_past() {
        let now = Time(1_700_000_000_000);
        assert_eq!(modified(now - Duration::from_secs(7200), now).text, "2 hours ago");
        assert_eq!(modified(now - Duration::from_secs(10 * 86_400), now).text, "Nov 4, 2023");
        assert_eq!(modified(now + Duration::from_secs(86_400), now).text, "Nov 15, 2023");
    }

    #[test]
    fn what_cannot_be_played_is_named() {
        let told = |container, codecs: &[&str]| {
            let codecs = codecs.iter().map(ToString::to_string).collect();
            in_words(&Playability { plays: false, container, codecs, why_not: None })
        };
        assert_eq!(told("Matroska (MKV)", &["HEVC", "AC-3"]), "a Matroska (MKV) file with HEVC and AC-3");
        assert_eq!(told("AVI", &[]), "an AVI file");
        assert_eq!(told("MP4", &[]), "an MP4 file without a readable index");
        assert_eq!(told("unknown", &[]), "a file of a kind we do not know");
    }
}
