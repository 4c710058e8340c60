//! Making media URLs for somebody who was admitted.
//!
//! A URL stands on its caller's media grant, opens one file, and is over when the grant is, whatever its own
//! end says. How long a file plays is not looked up: film and music get the longest life, since a URL has to
//! outlive its playback, and everything else the shortest.

use super::buckets::Bucket;
use super::kind::Kind;
use super::path::CanonicalPath;
use super::token::{self, Fields, Scope};
use crate::cx::Cx;
use crate::gate::Caller;

/// The only generation of a grant so far; a token of another one was made for a grant that has changed.
pub const GENERATION: u32 = 0;

/// The media URL of a file, as a path of this origin. None when the signing key is gone, which is logged.
pub fn mint(cx: &Cx, caller: &Caller, bucket: &Bucket, path: &CanonicalPath, kind: Kind) -> Option<String> {
    let app = &cx.app;
    let life = (app.config.media.url_life_min, app.config.media.url_life_max);
    let parent = caller.live().map(|live| live.expires_at);
    let fields = Fields {
        exp: token::expiry(kind, None, life, parent, cx.now),
        gid: caller.grant(),
        generation: GENERATION,
        bucket: bucket.number,
        download: true,
        hls: false,
    };
    let Some(token) = token::mint(&app.media.keys, &fields, Scope::File(path), None, cx.now, &app.rng) else {
        tracing::error!(bucket = bucket.name, "a media URL could not be made: there is no signing key");
        return None;
    };
    Some(format!("/m/{token}/{}", path.encode()))
}
