//! `usher group …`

use super::commands::Command;
use super::user::{YesNo, names};
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub enum Act {
    /// Make a group
    Add { name: String },
    /// List groups
    List,
    /// Show one group with its members
    Show { name: String },
    /// Remove a group; its members stay
    Delete { name: String },
    /// Take an account into a group
    Join {
        /// The group
        name: String,
        /// The account
        user: String,
    },
    /// Take an account out of a group
    Leave {
        /// The group
        name: String,
        /// The account
        user: String,
    },
    /// Make everybody in a group have a second factor, or no longer
    RequireFactor {
        name: String,
        /// yes or no
        required: YesNo,
    },
    /// Set the buckets that a group's members may open
    Buckets {
        name: String,
        /// Names separated by commas; `all` for every bucket, `none` for none
        buckets: String,
    },
}

pub fn command(act: Act) -> Command {
    match act {
        Act::Add { name } => Command::GroupAdd { name },
        Act::List => Command::GroupList {},
        Act::Show { name } => Command::GroupShow { name },
        Act::Delete { name } => Command::GroupDelete { name },
        Act::Join { name, user } => Command::GroupJoin { name, user },
        Act::Leave { name, user } => Command::GroupLeave { name, user },
        Act::RequireFactor { name, required } => Command::GroupRequireFactor { name, required: required.is_yes() },
        Act::Buckets { name, buckets } => Command::GroupBuckets { name, buckets: names(&buckets) },
    }
}
