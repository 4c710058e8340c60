//! The change feed: rows that others (other nodes, following apps, our own memory) must hear of, in commit order.
//!
//! `feed` holds one row: `head`, the number of the last change, and `floor`, the number of the last one pruned. Numbers
//! are taken by updating that row as the last act of a transaction; its lock makes their order the order of commits, and
//! a rollback takes none. A reader whose cursor is below `floor` has missed something and must take a snapshot.

/// One row of the feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Gapless, ascending, in commit order, from 1.
    pub seq: i64,
    /// What kind of change.
    pub topic: String,
    /// Which thing changed.
    pub key: String,
    /// What a follower needs to know; its form belongs to the topic.
    pub body: String,
    /// When, in milliseconds since 1970, as the announcing write said.
    pub at: i64,
}

/// A stretch of the feed, read in one snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feed {
    /// Changes after the asked cursor, in order.
    pub changes: Vec<Change>,
    /// The number of the last change there is.
    pub head: i64,
    /// The number of the last change pruned. A cursor below it has lost changes.
    pub floor: i64,
}

/// A change that has no number yet.
#[derive(Debug)]
pub(crate) struct Announcement {
    pub topic: &'static str,
    pub key: String,
    pub body: String,
    pub at: i64,
}

crate::statements! {
    TAKE: Write = "UPDATE feed SET head = head + $1 WHERE id = 1 RETURNING head";
    APPEND: Write = "INSERT INTO changes (seq, topic, key, body, at) VALUES ($1, $2, $3, $4, $5)";
    AFTER: Scan = "SELECT seq, topic, key, body, at FROM changes WHERE seq > $1 ORDER BY seq LIMIT $2";
    ENDS: Point = "SELECT head, floor FROM feed WHERE id = 1";
    KEEP_FROM: Scan = "SELECT seq FROM changes WHERE at >= $1 ORDER BY seq LIMIT 1";
    RAISE_FLOOR: Write = "UPDATE feed SET floor = $1 WHERE id = 1 AND floor < $1";
    PRUNE: Write = "DELETE FROM changes WHERE seq <= $1";
}
