//! What the server answers, endpoint by endpoint, through its front door.

mod account_pages;
mod doors;
mod login;
mod logout;
mod me;
mod personal_tokens;
mod refresh;
mod session_data;
mod sessions;
