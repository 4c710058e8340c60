//! `usher key rotate --master`: another master key, and everything that was sealed under the old one resealed.
//!
//! With the server stopped. The new key is on the disk as `master.key.next` before one commit reseals everything and
//! renames the key in the database; only then does it take the old one's place. A start that finds the commit done and
//! the file not yet moved finishes the move (`place.rs`). The old key is kept: older copies of the database need it.

use super::place::Place;
use super::stop::Stop;
use super::{Common, print_line, sealed_key};
use crate::audit::{Entry, Event, Outcome};
use crate::config::{Overrides, Strings};
use crate::cx::Cx;
use crate::datadir::KeySource;
use crate::media::buckets::Folders;
use crate::seal::{MasterKey, Resealed, Vault};
use crate::secret::Rng;
use crate::time::Clock;
use crate::{App, Surroundings, installation, login, mail, tokens};
use serde_json::json;
use std::fs;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use usher_db::Db;

pub async fn run(common: &Common, env: &Strings) -> Result<(), Stop> {
    let place = Place::find(common, Overrides::default(), env)?;
    let files = place.existing_files()?;
    if files.key != KeySource::DataDirectory {
        return Err(Stop::refused(
            "the master key is kept outside the data directory, where Usher writes nothing. Move it to master.key in the \
             data directory, rotate, and move the new one back",
        ));
    }
    let rng = Arc::new(Rng::os());
    let (db, old) = files.open_with_key(&place.config.database.options(), &rng).await?;
    let others = others(&db).await?;
    if others > 0 {
        db.close().await;
        // They would go on sealing under the old key what nobody could open afterwards.
        return Err(Stop::refused(format!(
            "{others} more have this database open. Stop every node, rotate, and bring the new master.key to each"
        )));
    }
    let new = MasterKey::mint(&rng);
    let next = files.next_key_file();
    let failed =
        |error: io::Error| Stop::data(format!("the new key could not be written to {}: {error}", next.display()));
    match fs::remove_file(&next) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    sealed_key::write(&next, &format!("{}\n", *new.expose())).map_err(failed)?;
    fs::File::open(files.data.path()).and_then(|directory| directory.sync_all()).map_err(failed)?;

    let vault = Vault::new(&new).with_previous(&old);
    let around = Surroundings { db, vault, clock: Clock::System, rng, folders: Folders::default() };
    let app = App::build(place.config, around).await?;
    let cx = Cx::internal(&app, "command-line");
    let resealed = tokens::live::reseal(&cx).await.map_err(Stop::data)?;
    let others = [login::signed::reseal(&cx).await, login::factors::reseal(&cx).await, mail::reseal(&cx).await];
    let others = others.into_iter().collect::<Result<Vec<_>, _>>().map_err(Stop::data)?;
    let name = app.vault.check_value();
    let count = resealed.count() + others.iter().map(Resealed::count).sum::<usize>();
    let entry = Entry::new(&cx, Event::KeyRotated, Outcome::Done).target("master key");
    cx.write("rekey", async move |tx| {
        resealed.put(tx).await?;
        for secrets in &others {
            secrets.put(tx).await?;
        }
        installation::rename_master_key(tx, &name).await?;
        entry.record(tx).await
    })
    .await?;
    app.db.clone().close().await;
    let kept = files.promote_next_key()?;
    let text = format!(
        "the master key was replaced and {count} secrets were sealed again under it.\nThe old one is kept as {}: put it away with \
         the copies of the database that were made with it",
        kept.display()
    );
    print_line(&if common.json { json!({ "resealed": count, "old_key": kept }).to_string() } else { text });
    Ok(())
}

/// How many others have the database open. A server notices a moment late that somebody has closed it, so whoever is
/// counted is counted again for up to two seconds.
async fn others(db: &Db) -> Result<u32, Stop> {
    let mut others = db.others().await?;
    for _ in 0..20 {
        if others == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        others = db.others().await?;
    }
    Ok(others)
}
