//! Groups: list, make, change, remove, and who is in them.

use super::{Closed, Unread, buckets, page};
use crate::accounts::groups::{self as rules, GroupName};
use crate::accounts::{self, Buckets, Group};
use crate::admin;
use crate::cx::Cx;
use crate::declared::{self, Keeper};
use crate::http::extract::{Admin, Id, Json, Query};
use crate::http::failure::{Failure, Problem};
use crate::id::{AccountId, GroupId};
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::LOCATION;
use serde::{Deserialize, Serialize};

/// Groups that a list holds at most.
const MOST_GROUPS: u32 = 1_000;

/// Which file of `usher apply` declares a group; at most one of the two is there.
#[derive(Default, Serialize, utoipa::ToSchema)]
pub struct GroupKeeper {
    /// The file that made it, and takes it away when it names it no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub declared_by: Option<String>,
    /// The file that gives something to this group, which people made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used_by: Option<String>,
}

impl From<Option<Keeper>> for GroupKeeper {
    fn from(keeper: Option<Keeper>) -> GroupKeeper {
        let none = GroupKeeper::default();
        match keeper {
            Some(Keeper::Made(file)) => GroupKeeper { declared_by: Some(file), ..none },
            Some(Keeper::Uses(file)) => GroupKeeper { used_by: Some(file), ..none },
            None => none,
        }
    }
}

/// A group in a list.
#[derive(Serialize, utoipa::ToSchema)]
pub struct GroupBrief {
    /// The group's id.
    pub id: String,
    /// The name, which appears in the `groups` claim of tokens.
    pub name: String,
    /// The buckets it opens, `all` for every one.
    pub buckets: Vec<String>,
    /// How many accounts are in it.
    pub members: u64,
    /// When it was made.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// The file that declares it, if one does.
    #[serde(flatten)]
    pub keeper: GroupKeeper,
}

/// Every group.
#[derive(Serialize, utoipa::ToSchema)]
pub struct GroupList {
    /// In the order of their names.
    pub groups: Vec<GroupBrief>,
}

async fn brief(cx: &Cx, group: Group, members: u64, keeper: Option<Keeper>) -> Result<GroupBrief, Failure> {
    Ok(GroupBrief {
        keeper: keeper.into(),
        id: group.id.to_string(),
        buckets: rules::buckets_of(&cx.app.db, &group).await?.names(),
        members,
        created_at: group.created_at.rfc3339(),
        name: group.name,
    })
}

/// List groups in the order of their names.
#[utoipa::path(get, path = "/api/v1/groups", tag = "admin", responses(
    (status = 200, description = "The groups", body = GroupList), Closed))]
pub async fn list(Admin(cx): Admin) -> Result<axum::Json<GroupList>, Failure> {
    let mut groups = Vec::new();
    let mut keepers = declared::groups(&cx.app.db).await?;
    for (group, members) in rules::list(&cx.app.db, MOST_GROUPS).await? {
        let keeper = keepers.remove(&group.id.to_string());
        groups.push(brief(&cx, group, members, keeper).await?);
    }
    Ok(axum::Json(GroupList { groups }))
}

/// A group to be made.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewGroup {
    /// The name.
    #[schema(example = "family")]
    pub name: String,
    /// The buckets it opens, `all` for every one.
    #[serde(default)]
    pub buckets: Vec<String>,
}

fn name(text: &str) -> Result<GroupName, Failure> {
    GroupName::parse(text).map_err(|error| Failure::invalid(error.to_string()))
}

/// Make a group.
#[utoipa::path(post, path = "/api/v1/groups", tag = "admin", request_body = NewGroup, responses(
    (status = 201, description = "The group was made", body = GroupBrief),
    (status = 409, description = "Another group has the name", body = Problem, content_type = "application/problem+json"),
    Unread, Closed))]
pub async fn create(Admin(cx): Admin, Json(body): Json<NewGroup>) -> Result<Response, Failure> {
    let buckets = buckets(&cx, body.buckets, &Buckets::None)?;
    let id = admin::groups::create(&cx, name(&body.name)?, buckets).await?;
    let group = find(&cx, id).await?;
    let location = [(LOCATION, format!("/api/v1/groups/{id}"))];
    Ok((StatusCode::CREATED, location, axum::Json(brief(&cx, group, 0, None).await?)).into_response())
}

async fn find(cx: &Cx, id: GroupId) -> Result<Group, Failure> {
    rules::find(&cx.app.db, id).await?.ok_or_else(Failure::not_found)
}

/// Which members to show.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct MemberQuery {
    /// `next` of the page before.
    #[param(value_type = Option<String>)]
    pub after: Option<AccountId>,
    /// How many at most: 50, unless given; never more than 200.
    pub limit: Option<u32>,
}

/// An account in a group.
#[derive(Serialize, utoipa::ToSchema)]
pub struct GroupMember {
    /// The account's id.
    pub id: String,
    /// Its name.
    pub username: String,
    /// The file of `usher apply` that put it in; absent when people did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub declared_by: Option<String>,
}

/// A group with a page of its members.
#[derive(Serialize, utoipa::ToSchema)]
pub struct GroupDetails {
    /// The group's id.
    pub id: String,
    /// The name.
    pub name: String,
    /// The buckets it opens, `all` for every one.
    pub buckets: Vec<String>,
    /// When it was made.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// The file that declares it, if one does.
    #[serde(flatten)]
    pub keeper: GroupKeeper,
    /// Its members in the order of their names.
    pub members: Vec<GroupMember>,
    /// What to send as `after` for the next members; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

async fn load(cx: &Cx, id: GroupId, query: MemberQuery) -> Result<GroupDetails, Failure> {
    let group = find(cx, id).await?;
    let after = match query.after {
        None => String::new(),
        Some(account) => accounts::key_of(&cx.app.db, account)
            .await?
            .ok_or_else(|| Failure::invalid("The account to go on after is gone; begin again."))?,
    };
    let limit = page(query.limit);
    let members = rules::members(&cx.app.db, id, &after, limit + 1).await?;
    let (members, next) = admin::one_page(members, limit, |(id, _)| id.to_string());
    let mut put_in = declared::members(&cx.app.db, id).await?;
    let mut member = |(id, username): (AccountId, String)| {
        let id = id.to_string();
        GroupMember { declared_by: put_in.remove(&id), id, username }
    };
    Ok(GroupDetails {
        id: id.to_string(),
        buckets: rules::buckets_of(&cx.app.db, &group).await?.names(),
        created_at: group.created_at.rfc3339(),
        name: group.name,
        next,
        members: members.into_iter().map(&mut member).collect(),
        keeper: declared::groups(&cx.app.db).await?.remove(&id.to_string()).into(),
    })
}

/// One group and its members.
#[utoipa::path(get, path = "/api/v1/groups/{id}", tag = "admin",
    params(("id" = String, Path, description = "The group's id"), MemberQuery), responses(
    (status = 200, description = "The group", body = GroupDetails),
    (status = 404, description = "There is no such group", body = Problem, content_type = "application/problem+json"),
    (status = 422, description = "A parameter cannot be read, or the account to go on after is gone", body = Problem, content_type = "application/problem+json"),
    Closed))]
pub async fn show(
    Admin(cx): Admin,
    Id(id): Id<GroupId>,
    Query(query): Query<MemberQuery>,
) -> Result<axum::Json<GroupDetails>, Failure> {
    Ok(axum::Json(load(&cx, id, query).await?))
}

/// What to change of a group. What is absent stays.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupChange {
    /// The name.
    pub name: Option<String>,
    /// The buckets it opens, `all` for every one.
    pub buckets: Option<Vec<String>>,
}

/// Change a group. Its members' access tokens are out of date when the answer arrives.
#[utoipa::path(patch, path = "/api/v1/groups/{id}", tag = "admin", request_body = GroupChange,
    params(("id" = String, Path, description = "The group's id")), responses(
    (status = 200, description = "The group as it is now", body = GroupDetails),
    (status = 404, description = "There is no such group", body = Problem, content_type = "application/problem+json"),
    (status = 409, description = "Another group has the name", body = Problem, content_type = "application/problem+json"),
    Unread, Closed))]
pub async fn change(
    Admin(cx): Admin,
    Id(id): Id<GroupId>,
    Json(body): Json<GroupChange>,
) -> Result<axum::Json<GroupDetails>, Failure> {
    let held = rules::buckets_of(&cx.app.db, &find(&cx, id).await?).await?;
    let name = body.name.as_deref().map(name).transpose()?;
    let buckets = body.buckets.map(|names| buckets(&cx, names, &held)).transpose()?;
    admin::groups::change(&cx, id, name, buckets).await?;
    Ok(axum::Json(load(&cx, id, MemberQuery { after: None, limit: None }).await?))
}

/// Remove a group. Its members stay, and lose what only this group gave them.
#[utoipa::path(delete, path = "/api/v1/groups/{id}", tag = "admin", params(("id" = String, Path, description = "The group's id")), responses(
    (status = 204, description = "The group is gone"),
    (status = 404, description = "There is no such group", body = Problem, content_type = "application/problem+json"),
    Closed))]
pub async fn remove(Admin(cx): Admin, Id(id): Id<GroupId>) -> Result<StatusCode, Failure> {
    admin::groups::delete(&cx, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The group and the account of a path.
fn both(path: (String, String)) -> Result<(GroupId, AccountId), Failure> {
    let group = path.0.parse().map_err(|_| Failure::not_found())?;
    Ok((group, path.1.parse().map_err(|_| Failure::not_found())?))
}

/// Put an account into a group. Idempotent.
#[utoipa::path(put, path = "/api/v1/groups/{id}/members/{account}", tag = "admin",
    params(("id" = String, Path, description = "The group's id"), ("account" = String, Path, description = "The account's id")), responses(
    (status = 204, description = "The account is in the group"),
    (status = 404, description = "There is no such group or account", body = Problem, content_type = "application/problem+json"),
    Closed))]
pub async fn add_member(Admin(cx): Admin, Path(path): Path<(String, String)>) -> Result<StatusCode, Failure> {
    let (id, account) = both(path)?;
    admin::groups::add_member(&cx, id, account).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Take an account out of a group. Idempotent.
#[utoipa::path(delete, path = "/api/v1/groups/{id}/members/{account}", tag = "admin",
    params(("id" = String, Path, description = "The group's id"), ("account" = String, Path, description = "The account's id")), responses(
    (status = 204, description = "The account is not in the group"),
    (status = 404, description = "There is no such group or account", body = Problem, content_type = "application/problem+json"),
    Closed))]
pub async fn remove_member(Admin(cx): Admin, Path(path): Path<(String, String)>) -> Result<StatusCode, Failure> {
    let (id, account) = both(path)?;
    admin::groups::remove_member(&cx, id, account).await?;
    Ok(StatusCode::NO_CONTENT)
}
