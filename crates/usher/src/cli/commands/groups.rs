//! Groups from a terminal.

use super::table::{plain, table};
use super::users::{find as find_account, unknown_buckets};
use super::{CommandError, Output};
use crate::accounts::groups::{self, GroupError, GroupName};
use crate::accounts::{Buckets, Group};
use crate::audit::{Entry, Event, Outcome};
use crate::cx::Cx;
use crate::id::GroupId;
use serde_json::{Value, json};

type Said = Result<Output, CommandError>;

/// Lines of one list.
const MOST: u32 = 10_000;

impl From<GroupError> for CommandError {
    fn from(error: GroupError) -> Self {
        let code = match error {
            GroupError::NotFound | GroupError::NoSuchAccount => "not_found",
            GroupError::NameTaken => "group_name_taken",
        };
        CommandError::new(code, error)
    }
}

async fn find(cx: &Cx, name: &str) -> Result<Group, CommandError> {
    groups::find_by_name(&cx.app.db, name).await?.ok_or_else(|| {
        CommandError::new("not_found", format!("there is no group called {}; see `usher group list`", plain(name)))
    })
}

/// Makes a group.
pub async fn add(cx: &Cx, name: &str) -> Said {
    let name = GroupName::parse(name).map_err(|error| CommandError::new("group_name_invalid", error))?;
    let shown = name.display().to_owned();
    let id = GroupId::new(cx.now, &cx.app.rng);
    let entry = Entry::new(cx, Event::GroupCreated, Outcome::Done).target(&shown).detail("command line");
    let now = cx.now;
    let made = cx.write("command.group_add", async move |tx| {
        if let Err(error) = groups::create(tx, id, &name, &Buckets::None, now).await? {
            return Ok(Err(error));
        }
        entry.record(tx).await?;
        Ok(Ok(()))
    });
    made.await??;
    Ok(Output { text: format!("group {shown} was made"), value: json!({ "id": id, "name": shown }) })
}

/// Lists groups.
pub async fn list(cx: &Cx) -> Said {
    let all = groups::list(&cx.app.db, MOST).await?;
    let mut rows = Vec::new();
    let mut value = Vec::new();
    for (group, members) in &all {
        let buckets = groups::buckets_of(&cx.app.db, group).await?.names();
        rows.push(vec![group.name.clone(), members.to_string(), buckets.join(", ")]);
        value.push(json!({ "id": group.id, "name": group.name, "members": members, "buckets": buckets }));
    }
    Ok(Output { text: table(&["GROUP", "MEMBERS", "BUCKETS"], &rows), value: Value::Array(value) })
}

/// Shows one group with its members.
pub async fn show(cx: &Cx, name: &str) -> Said {
    let group = find(cx, name).await?;
    let buckets = groups::buckets_of(&cx.app.db, &group).await?.names();
    let members = groups::members(&cx.app.db, group.id, "", MOST).await?;
    let members: Vec<String> = members.into_iter().map(|(_, username)| username).collect();
    let or_none = |names: &[String]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    Ok(Output {
        text: format!(
            "group    {}\nid       {}\nbuckets  {}\nmembers  {}",
            plain(&group.name),
            group.id,
            or_none(&buckets),
            plain(&or_none(&members))
        ),
        value: json!({ "id": group.id, "name": group.name, "buckets": buckets, "members": members }),
    })
}

/// Removes a group. Its members stay.
pub async fn delete(cx: &Cx, name: &str) -> Said {
    let group = find(cx, name).await?;
    let entry = Entry::new(cx, Event::GroupDeleted, Outcome::Done).target(&group.name).detail("command line");
    let (id, now) = (group.id, cx.now);
    let gone = cx.write("command.group_delete", async move |tx| {
        if let Err(error) = groups::delete(tx, id, now).await? {
            return Ok(Err(error));
        }
        entry.record(tx).await?;
        Ok(Ok(()))
    });
    gone.await??;
    Ok(Output {
        text: format!("group {} is gone; its members stay", plain(&group.name)),
        value: json!({ "name": group.name }),
    })
}

/// Takes an account into a group. Doing it again is no error.
pub async fn join(cx: &Cx, name: &str, user: &str) -> Said {
    let (group, account) = (find(cx, name).await?, find_account(cx, user).await?);
    let entry =
        Entry::new(cx, Event::GroupChanged, Outcome::Done).of(account.id).target(&group.name).detail("member added");
    let (id, who, now) = (group.id, account.id, cx.now);
    let joined = cx.write("command.group_join", async move |tx| {
        match groups::add_member(tx, id, who, now).await? {
            Ok(true) => entry.record(tx).await?,
            Ok(false) => {}
            Err(error) => return Ok(Err(error)),
        }
        Ok(Ok(()))
    });
    joined.await??;
    member(&group, &account.username, "is in")
}

/// Takes an account out of a group. Doing it again is no error.
pub async fn leave(cx: &Cx, name: &str, user: &str) -> Said {
    let (group, account) = (find(cx, name).await?, find_account(cx, user).await?);
    let entry =
        Entry::new(cx, Event::GroupChanged, Outcome::Done).of(account.id).target(&group.name).detail("member removed");
    let (id, who, now) = (group.id, account.id, cx.now);
    let left = cx.write("command.group_leave", async move |tx| {
        if groups::remove_member(tx, id, who, now).await? {
            entry.record(tx).await?;
        }
        Ok(())
    });
    left.await?;
    member(&group, &account.username, "is not in")
}

fn member(group: &Group, username: &str, how: &str) -> Said {
    Ok(Output {
        text: format!("{username} {how} {}", plain(&group.name)),
        value: json!({ "group": group.name, "username": username, "member": how == "is in" }),
    })
}

/// Replaces a group's buckets.
pub async fn buckets(cx: &Cx, name: &str, asked: Vec<String>) -> Said {
    let group = find(cx, name).await?;
    let note = unknown_buckets(cx, &asked);
    let buckets = Buckets::from_names(asked);
    let names = buckets.names();
    let shown = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let entry =
        Entry::new(cx, Event::GroupChanged, Outcome::Done).target(&group.name).detail(format!("buckets {shown}"));
    let (id, now) = (group.id, cx.now);
    let done = cx.write("command.group_buckets", async move |tx| {
        if let Err(error) = groups::set_buckets(tx, id, &buckets, now).await? {
            return Ok(Err(error));
        }
        entry.record(tx).await?;
        Ok(Ok(()))
    });
    done.await??;
    Ok(Output {
        text: format!("buckets of {}: {}{note}", plain(&group.name), plain(&shown)),
        value: json!({ "name": group.name, "buckets": names }),
    })
}
