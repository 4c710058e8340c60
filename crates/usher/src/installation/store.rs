//! The statements of settings.

use usher_db::{Db, Error, Tx, args, statements};

statements! {
    FIND: Point = "SELECT value FROM settings WHERE name = $1";
    KEEP: Write = "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    PUT: Write = "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
}

pub(super) async fn find(db: &Db, name: &str) -> Result<Option<String>, Error> {
    db.one(&FIND, args![name]).await?.map(|row| row.get(0)).transpose()
}

pub(super) async fn keep(tx: &mut Tx, name: &str, value: &str) -> Result<(), Error> {
    tx.execute(&KEEP, args![name, value]).await.map(|_| ())
}

pub(super) async fn put(tx: &mut Tx, name: &str, value: &str) -> Result<(), Error> {
    tx.execute(&PUT, args![name, value]).await.map(|_| ())
}
