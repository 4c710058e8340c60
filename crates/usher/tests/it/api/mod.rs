//! What the server answers, endpoint by endpoint, through its front door.

mod doors;
mod login;
mod logout;
mod refresh;
