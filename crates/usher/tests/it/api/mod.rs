//! What the server answers, endpoint by endpoint, through its front door.

mod doors;
mod entries;
mod library;
mod login;
mod logout;
mod media;
mod refresh;
mod transfers;
