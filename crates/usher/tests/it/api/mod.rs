//! What the server answers, endpoint by endpoint, through its front door.

mod account_pages;
mod admin_pages;
mod apps;
mod audit;
mod doors;
mod entries;
mod groups;
mod guessing;
mod invites;
mod keys;
mod library;
mod lives;
mod login;
mod logout;
mod me;
mod media;
mod others;
mod passwords;
mod personal_tokens;
mod refresh;
mod session_data;
mod sessions;
mod settings;
mod transfers;
mod users;
