//! What the server answers, endpoint by endpoint, through its front door.

mod login;
mod logout;
mod refresh;
