//! Groups: the list with its form for a new one, and the page of one group.

use super::asked::Asked;
use super::{Done, bucket_choices, bucket_words, buckets, sentence};
use crate::accounts::groups::{self as rules, GroupName};
use crate::accounts::{self, Buckets, username};
use crate::admin::{self, AdminError};
use crate::cx::Cx;
use crate::declared::{self, Keeper};
use crate::http::extract::{AdminPage, Id, Pairs, Query};
use crate::http::failure::Failure;
use crate::http::page::{onward, shell, show};
use crate::id::{AccountId, GroupId};
use crate::pages::{DeclaredBy, GroupLine, GroupPage, GroupsPage, Member, Nav, Notice, Problems};
use axum::extract::Path;
use axum::response::Response;
use http::StatusCode;

/// Groups, and members of a group, that a page shows at most. The API pages through more.
const MOST: u32 = 1_000;

/// The list of groups.
pub async fn list(AdminPage(cx): AdminPage, Query(done): Query<Done>) -> Result<Response, Failure> {
    list_page(&cx, StatusCode::OK, done.notice(), (String::new(), Buckets::None), Problems::default()).await
}

async fn list_page(
    cx: &Cx,
    status: StatusCode,
    notice: Option<Notice>,
    (name, chosen): (String, Buckets),
    problems: Problems,
) -> Result<Response, Failure> {
    let mut lines = Vec::new();
    let keepers = declared::groups(&cx.app.db).await?;
    for (group, members) in rules::list(&cx.app.db, MOST).await? {
        let opened = rules::buckets_of(&cx.app.db, &group).await?;
        let buckets = bucket_words(&opened);
        let declared = match keepers.get(&group.id.to_string()) {
            Some(Keeper::Made(file)) => Some(file.clone()),
            Some(Keeper::Uses(_)) | None => None,
        };
        lines.push(GroupLine { id: group.id.to_string(), name: group.name, members, buckets, declared });
    }
    let buckets = bucket_choices(cx, &chosen);
    Ok(show(status, &GroupsPage { shell: shell(cx, Nav::Admin), notice, lines, name, buckets, problems }))
}

/// Makes a group.
pub async fn create(AdminPage(cx): AdminPage, form: Pairs) -> Result<Response, Failure> {
    match Asked::or_page(cx, &form, "/admin/groups").await? {
        Ok(asked) => {
            let made = create_now(&asked.cx, &form).await;
            asked.answer(&form, made)
        }
        Err(page) => Ok(page),
    }
}

async fn create_now(cx: &Cx, form: &Pairs) -> Result<Response, Failure> {
    let wanted = buckets(cx, form.all("buckets"), &Buckets::None)?;
    let problems = match GroupName::parse(form.first("name")) {
        Err(error) => Problems::one("name", error.to_string()),
        Ok(name) => match admin::groups::create(cx, name, wanted.clone()).await {
            Ok(id) => return Ok(onward(&format!("/admin/groups/{id}?done=group-created"))),
            Err(error) => Problems::one("name", sentence(error)?),
        },
    };
    let again = (form.first("name").to_owned(), wanted);
    list_page(cx, StatusCode::UNPROCESSABLE_ENTITY, None, again, problems).await
}

/// The page of one group.
pub async fn edit(
    AdminPage(cx): AdminPage,
    Id(id): Id<GroupId>,
    Query(done): Query<Done>,
) -> Result<Response, Failure> {
    edit_page(&cx, StatusCode::OK, id, done.notice(), None, Problems::default()).await
}

async fn edit_page(
    cx: &Cx,
    status: StatusCode,
    id: GroupId,
    notice: Option<Notice>,
    typed: Option<&str>,
    problems: Problems,
) -> Result<Response, Failure> {
    let group = rules::find(&cx.app.db, id).await?.ok_or_else(Failure::not_found)?;
    let members = rules::members(&cx.app.db, id, "", MOST).await?;
    let put_in = declared::members(&cx.app.db, id).await?;
    let member = |(account, username): (AccountId, String)| {
        let id = account.to_string();
        Member { declared: put_in.contains_key(&id), id, username }
    };
    let declared = declared::groups(&cx.app.db).await?.remove(&id.to_string()).map(|keeper| match keeper {
        Keeper::Made(owner) => DeclaredBy { owner, made: true },
        Keeper::Uses(owner) => DeclaredBy { owner, made: false },
    });
    let page = GroupPage {
        shell: shell(cx, Nav::Admin),
        notice,
        id: id.to_string(),
        name: typed.unwrap_or(&group.name).to_owned(),
        buckets: bucket_choices(cx, &rules::buckets_of(&cx.app.db, &group).await?),
        members: members.into_iter().map(member).collect(),
        declared,
        factor_required: accounts::factor_demanded(&cx.app.db, &id.to_string()).await?.is_some(),
        title: group.name,
        problems,
    };
    Ok(show(status, &page))
}

/// Saves a group's name and buckets.
pub async fn save(AdminPage(cx): AdminPage, Id(id): Id<GroupId>, form: Pairs) -> Result<Response, Failure> {
    match Asked::or_page(cx, &form, &format!("/admin/groups/{id}")).await? {
        Ok(asked) => {
            let saved = save_now(&asked.cx, id, &form).await;
            asked.answer(&form, saved)
        }
        Err(page) => Ok(page),
    }
}

async fn save_now(cx: &Cx, id: GroupId, form: &Pairs) -> Result<Response, Failure> {
    let group = rules::find(&cx.app.db, id).await?.ok_or_else(Failure::not_found)?;
    let held = rules::buckets_of(&cx.app.db, &group).await?;
    let wanted = buckets(cx, form.all("buckets"), &held)?;
    let typed = form.first("name");
    let problems = match GroupName::parse(typed) {
        Err(error) => Problems::one("name", error.to_string()),
        Ok(name) => match admin::groups::change(cx, id, Some(name), Some(wanted)).await {
            Ok(()) => return Ok(onward(&format!("/admin/groups/{id}?done=saved"))),
            Err(error) => Problems::one("name", sentence(error)?),
        },
    };
    edit_page(cx, StatusCode::UNPROCESSABLE_ENTITY, id, None, Some(typed), problems).await
}

/// Puts an account into the group, by its name.
pub async fn add_member(AdminPage(cx): AdminPage, Id(id): Id<GroupId>, form: Pairs) -> Result<Response, Failure> {
    let found = match username::lookup_key(form.first("username")) {
        Some(key) => accounts::find_by_key(&cx.app.db, &key).await?,
        None => None,
    };
    let Some(account) = found else {
        let problems = Problems::one("username", "There is no account of this name.");
        return edit_page(&cx, StatusCode::UNPROCESSABLE_ENTITY, id, None, None, problems).await;
    };
    admin::groups::add_member(&cx, id, account.id).await?;
    Ok(onward(&format!("/admin/groups/{id}?done=added")))
}

/// Takes an account out of the group.
pub async fn remove_member(
    AdminPage(cx): AdminPage,
    Path((id, account)): Path<(String, String)>,
) -> Result<Response, Failure> {
    let id: GroupId = id.parse().map_err(|_| Failure::not_found())?;
    let account: AccountId = account.parse().map_err(|_| Failure::not_found())?;
    admin::groups::remove_member(&cx, id, account).await?;
    Ok(onward(&format!("/admin/groups/{id}?done=removed")))
}

/// Demands a second factor of everybody in the group, or no more.
pub async fn demand_factor(AdminPage(cx): AdminPage, Id(id): Id<GroupId>, form: Pairs) -> Result<Response, Failure> {
    match Asked::or_page(cx, &form, &format!("/admin/groups/{id}/factors/demand")).await? {
        Ok(asked) => {
            let done = admin::factors::demand_of_group(&asked.cx, id, form.first("required") == "yes").await;
            let done = done.map(|()| onward(&format!("/admin/groups/{id}?done=saved"))).map_err(Failure::from);
            asked.answer(&form, done)
        }
        Err(page) => Ok(page),
    }
}

/// Removes the group, when its name was typed to confirm.
pub async fn delete(AdminPage(cx): AdminPage, Id(id): Id<GroupId>, form: Pairs) -> Result<Response, Failure> {
    let group = rules::find(&cx.app.db, id).await?.ok_or_else(Failure::not_found)?;
    if form.first("confirm") != group.name {
        let problems = Problems::one("confirm", "Type the name exactly as it stands here.");
        return edit_page(&cx, StatusCode::UNPROCESSABLE_ENTITY, id, None, None, problems).await;
    }
    match admin::groups::delete(&cx, id).await {
        // Somebody else removed it a moment before: what was wanted is so.
        Ok(()) | Err(AdminError::NotFound) => Ok(onward("/admin/groups?done=group-deleted")),
        Err(error) => Err(error.into()),
    }
}
