//! `/library`: buckets, folders, and one file with whatever shows it best.

use super::{Link, Notice, Shell, When};
use askama::Template;

/// `/library`: the buckets this account may see.
#[derive(Template)]
#[template(path = "library.html")]
pub struct LibraryPage {
    pub shell: Shell,
    pub notice: Option<Notice>,
    pub buckets: Vec<BucketCard>,
}

/// One bucket.
pub struct BucketCard {
    pub name: String,
    pub href: String,
    /// A line under the name: "Local folder", "Not reachable at the moment".
    pub detail: String,
}

/// `/library/{bucket}/{path}` of a folder, or of a search beneath it (GET `q`).
#[derive(Template)]
#[template(path = "folder.html")]
pub struct FolderPage {
    pub shell: Shell,
    pub name: String,
    /// From the library down to the folder above this one.
    pub crumbs: Vec<Link>,
    /// This folder's own address: where the search form goes.
    pub href: String,
    /// What was searched for; empty when this is the folder itself.
    pub query: String,
    /// Folders first, in natural order; the handler sorts.
    pub entries: Vec<EntryLine>,
    /// The next page, with its cursor.
    pub next: Option<String>,
    /// The first page, when this is not it.
    pub first: Option<String>,
    /// Something to know: "Only the first 1,000 matches are shown."
    pub notice: Option<Notice>,
}

/// One folder or file in a list.
pub struct EntryLine {
    pub kind: EntryKind,
    pub name: String,
    pub href: String,
    pub size: Option<String>,
    pub modified: Option<When>,
    /// In search results: the folder it is in.
    pub place: Option<String>,
}

/// What something is, as far as a picture beside its name needs to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    Folder,
    Video,
    Audio,
    Picture,
    Text,
    Other,
}

impl EntryKind {
    fn icon(self) -> &'static str {
        match self {
            EntryKind::Folder => "folder",
            EntryKind::Video => "film",
            EntryKind::Audio => "music",
            EntryKind::Picture => "picture",
            EntryKind::Text => "text",
            EntryKind::Other => "file",
        }
    }

    /// The word for it, read out where the picture is not seen.
    pub fn word(self) -> &'static str {
        match self {
            EntryKind::Folder => "Folder",
            EntryKind::Video => "Video",
            EntryKind::Audio => "Audio",
            EntryKind::Picture => "Picture",
            EntryKind::Text => "Text",
            EntryKind::Other => "File",
        }
    }
}

/// `/library/{bucket}/{path}` of a file.
#[derive(Template)]
#[template(path = "file.html")]
pub struct FilePage {
    pub shell: Shell,
    pub name: String,
    pub kind: EntryKind,
    pub crumbs: Vec<Link>,
    pub size: String,
    pub modified: When,
    pub viewer: Viewer,
    /// The absolute media URL, for other players. Dies with the session.
    pub url: String,
    /// The address of a list of one entry, which another player on the device opens.
    pub playlist: String,
    /// The address that sends the file as a download.
    pub download: String,
    /// The neighbors in the folder.
    pub previous: Option<Link>,
    pub next: Option<Link>,
}

impl FilePage {
    fn playback(&self) -> Option<&Playback> {
        match &self.viewer {
            Viewer::Play(playback) => Some(playback),
            _ => None,
        }
    }

    fn trouble(&self) -> Option<&Trouble> {
        match &self.viewer {
            Viewer::Play(playback) => playback.trouble.as_ref(),
            Viewer::CannotPlay(trouble) => Some(trouble),
            _ => None,
        }
    }
}

/// How the file is shown.
pub enum Viewer {
    /// In the browser's own player.
    Play(Playback),
    /// Film or music that no browser plays: the panel only.
    CannotPlay(Trouble),
    Picture {
        src: String,
    },
    /// Plain text, never markup. `cut` when only the beginning is here.
    Text {
        text: String,
        cut: bool,
    },
    /// Nothing to look at; it can be downloaded.
    Nothing,
}

/// What the player needs.
pub struct Playback {
    /// A picture to see, or only sound.
    pub video: bool,
    /// The media URL, on this origin.
    pub src: String,
    /// With `codecs` where known, so that the browser can be asked whether it plays it.
    pub mime: String,
    /// Answers `{"url": "…"}`, a fresh media URL, to a GET with the session cookie.
    pub renew: String,
    /// The name under which the browser remembers the position. It should be of this account and this
    /// file, and say nothing about either.
    pub key: String,
    /// Some browsers cannot play this: the panel stands beside the player, until the player proves otherwise.
    pub trouble: Option<Trouble>,
}

/// What a browser cannot play.
pub struct Trouble {
    /// The container or codec, after "This file is": "a Matroska (.mkv) file with HEVC video".
    pub what: String,
}
