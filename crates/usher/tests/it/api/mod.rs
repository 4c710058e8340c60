//! What the server answers, endpoint by endpoint, through its front door.

mod admin_pages;
mod audit;
mod doors;
mod groups;
mod invites;
mod keys;
mod login;
mod logout;
mod refresh;
mod users;
