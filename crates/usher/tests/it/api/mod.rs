//! What the server answers, endpoint by endpoint, through its front door.

mod account_pages;
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
mod me;
mod media;
mod personal_tokens;
mod refresh;
mod session_data;
mod sessions;
mod transfers;
mod users;
