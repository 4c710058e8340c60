//! What the server answers, endpoint by endpoint, through its front door.

mod admin_pages;
mod audit;
mod doors;
mod entries;
mod groups;
mod invites;
mod keys;
mod library;
mod login;
mod logout;
mod media;
mod refresh;
mod transfers;
mod users;
