//! `usher config …`

use super::place::Place;
use super::stop::Stop;
use super::{Common, print_line};
use crate::config::{Overrides, Strings};
use clap::Subcommand;
use serde_json::json;

#[derive(Debug, Subcommand)]
pub enum Act {
    /// Judge the configuration without starting
    Check,
    /// Print what is in effect, secrets as ***
    Show,
}

/// Reads the configuration as `serve` would. Makes nothing, opens nothing.
pub fn run(common: &Common, act: Act, env: &Strings) -> Result<(), Stop> {
    let place = Place::find(common, Overrides::default(), env)?;
    let file = place.file.as_ref().map_or_else(|| "no file".to_owned(), |file| file.display().to_string());
    let toml = place.config.effective_toml();
    let remark = place.config.accounts.hash.remark();
    let text = match (act, common.json) {
        (Act::Check, true) => {
            json!({ "ok": true, "file": place.file, "data": place.data, "remarks": Vec::from_iter(remark) }).to_string()
        }
        (Act::Check, false) => {
            let remark = remark.map(|remark| format!("\nnote  {remark}")).unwrap_or_default();
            format!("the configuration is in order\nfile  {file}\ndata  {}{remark}", place.data.display())
        }
        (Act::Show, true) => {
            let tables: toml::Table = toml.parse().map_err(Stop::refused)?;
            json!(tables).to_string()
        }
        (Act::Show, false) => format!("# from {file}, the environment and the defaults\n{}", toml.trim_end()),
    };
    print_line(&text);
    Ok(())
}
