//! Groups from a terminal.

use super::table::{plain, table};
use super::users::{find as find_account, unknown_buckets};
use super::{CommandError, Output};
use crate::accounts::groups::{self, GroupName};
use crate::accounts::{Buckets, Group};
use crate::admin;
use crate::cx::Cx;
use serde_json::{Value, json};

type Said = Result<Output, CommandError>;

/// Lines of one list.
const MOST: u32 = 10_000;

/// The group of this name, in any spelling.
pub async fn find(cx: &Cx, name: &str) -> Result<Group, CommandError> {
    groups::find_by_name(&cx.app.db, name).await?.ok_or_else(|| {
        CommandError::new("not_found", format!("there is no group called {}; see `usher group list`", plain(name)))
    })
}

/// Makes a group.
pub async fn add(cx: &Cx, name: &str) -> Said {
    let name = GroupName::parse(name).map_err(|error| CommandError::new("group_name_invalid", error))?;
    let shown = name.display().to_owned();
    let id = admin::groups::create(cx, name, Buckets::None).await?;
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
    admin::groups::delete(cx, group.id).await?;
    Ok(Output {
        text: format!("group {} is gone; its members stay", plain(&group.name)),
        value: json!({ "name": group.name }),
    })
}

/// Takes an account into a group. Doing it again is no error.
pub async fn join(cx: &Cx, name: &str, user: &str) -> Said {
    let (group, account) = (find(cx, name).await?, find_account(cx, user).await?);
    admin::groups::add_member(cx, group.id, account.id).await?;
    member(&group, &account.username, "is in")
}

/// Takes an account out of a group. Doing it again is no error.
pub async fn leave(cx: &Cx, name: &str, user: &str) -> Said {
    let (group, account) = (find(cx, name).await?, find_account(cx, user).await?);
    admin::groups::remove_member(cx, group.id, account.id).await?;
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
    admin::groups::change(cx, group.id, None, Some(buckets)).await?;
    Ok(Output {
        text: format!("buckets of {}: {}{note}", plain(&group.name), plain(&shown)),
        value: json!({ "name": group.name, "buckets": names }),
    })
}
