//! Acts on groups, each with its event.

use super::AdminError;
use crate::accounts::groups::{self, GroupError, GroupName};
use crate::accounts::{self, Buckets};
use crate::audit::{Entry, Event, Outcome};
use crate::cx::Cx;
use crate::id::{AccountId, GroupId};

impl From<GroupError> for AdminError {
    fn from(error: GroupError) -> AdminError {
        match error {
            GroupError::NotFound | GroupError::NoSuchAccount => AdminError::NotFound,
            GroupError::NameTaken => AdminError::GroupNameTaken,
        }
    }
}

/// Makes a group.
pub async fn create(cx: &Cx, name: GroupName, buckets: Buckets) -> Result<GroupId, AdminError> {
    if buckets == Buckets::Every {
        super::proven(cx)?;
    }
    let id = GroupId::new(cx.now, &cx.app.rng);
    let entry =
        Entry::new(cx, Event::GroupCreated, Outcome::Done).target(name.display()).detail(super::named(&buckets));
    let now = cx.now;
    cx.write("admin.create_group", async move |tx| {
        if let Err(error) = groups::create(tx, id, &name, &buckets, now).await? {
            return Ok(Err(error.into()));
        }
        entry.record(tx).await?;
        Ok(Ok(id))
    })
    .await?
}

/// Changes a group's name, its buckets, or both. What is `None` stays.
pub async fn change(cx: &Cx, id: GroupId, name: Option<GroupName>, buckets: Option<Buckets>) -> Result<(), AdminError> {
    if buckets == Some(Buckets::Every) && groups::find(&cx.app.db, id).await?.is_some_and(|group| !group.every_bucket) {
        super::proven(cx)?;
    }
    let entry = Entry::new(cx, Event::GroupChanged, Outcome::Done).target(id);
    let now = cx.now;
    cx.write("admin.change_group", async move |tx| {
        let mut done = Vec::new();
        if let Some(name) = &name {
            if let Err(error) = groups::rename(tx, id, name, now).await? {
                return Ok(tx.undo(Err(error.into())));
            }
            done.push(format!("name {}", name.display()));
        }
        if let Some(buckets) = &buckets {
            if let Err(error) = groups::set_buckets(tx, id, buckets, now).await? {
                return Ok(tx.undo(Err(error.into())));
            }
            done.push(format!("buckets {}", super::named(buckets)));
        }
        if !done.is_empty() {
            entry.clone().detail(done.join("; ")).record(tx).await?;
        }
        Ok(Ok(()))
    })
    .await?
}

/// Removes a group. Its members stay.
pub async fn delete(cx: &Cx, id: GroupId) -> Result<(), AdminError> {
    let entry = Entry::new(cx, Event::GroupDeleted, Outcome::Done);
    let now = cx.now;
    cx.write("admin.delete_group", async move |tx| match groups::delete(tx, id, now).await? {
        Ok(name) => {
            entry.clone().target(name).record(tx).await?;
            Ok(Ok(()))
        }
        Err(error) => Ok(Err(error.into())),
    })
    .await?
}

/// Puts an account into a group. Doing it again is no error.
pub async fn add_member(cx: &Cx, id: GroupId, account: AccountId) -> Result<(), AdminError> {
    let entry = Entry::new(cx, Event::GroupChanged, Outcome::Done).of(account).target(id).detail("member added");
    let now = cx.now;
    cx.write("admin.add_member", async move |tx| match groups::add_member(tx, id, account, now).await? {
        Ok(added) => {
            if added {
                entry.record(tx).await?;
            }
            Ok(Ok(()))
        }
        Err(error) => Ok(Err(error.into())),
    })
    .await?
}

/// Takes an account out of a group. Doing it again is no error.
pub async fn remove_member(cx: &Cx, id: GroupId, account: AccountId) -> Result<(), AdminError> {
    if groups::find(&cx.app.db, id).await?.is_none() || accounts::find(&cx.app.db, account).await?.is_none() {
        return Err(AdminError::NotFound);
    }
    let entry = Entry::new(cx, Event::GroupChanged, Outcome::Done).of(account).target(id).detail("member removed");
    let now = cx.now;
    cx.write("admin.remove_member", async move |tx| {
        if groups::remove_member(tx, id, account, now).await? {
            entry.record(tx).await?;
        }
        Ok(())
    })
    .await?;
    Ok(())
}
