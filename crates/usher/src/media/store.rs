//! The statements of buckets' numbers.

use usher_db::{Db, Error, Tx, args, statements};

statements! {
    NUMBERS: Scan = "SELECT name, number FROM buckets ORDER BY number";
    HAS_NUMBER: Point = "SELECT number FROM buckets WHERE name = $1";
    // Locks until the commit, so that two nodes that start at once cannot take the same number.
    HOLD_NUMBERS: Write = "INSERT INTO guards (name, v) VALUES ('buckets', 1) ON CONFLICT (name) DO UPDATE SET v = guards.v + 1";
    GIVE_NUMBER: Write = "INSERT INTO buckets (name, number) SELECT $1, COALESCE(MAX(number), 0) + 1 FROM buckets WHERE TRUE \
        ON CONFLICT (name) DO NOTHING";
}

/// The numbers of all buckets that were ever configured.
pub async fn numbers(db: &Db) -> Result<Vec<(String, u32)>, Error> {
    let rows = db.all(&NUMBERS, args![]).await?;
    rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
}

/// Whether a bucket of this name was ever configured or declared.
pub async fn has_number(tx: &mut Tx, name: &str) -> Result<bool, Error> {
    Ok(tx.one(&HAS_NUMBER, args![name]).await?.is_some())
}

/// Keeps others from giving numbers until the commit.
pub async fn hold_numbers(tx: &mut Tx) -> Result<(), Error> {
    tx.execute(&HOLD_NUMBERS, args![]).await.map(|_| ())
}

/// Gives a bucket the next number, unless it has one.
pub async fn give_number(tx: &mut Tx, name: &str) -> Result<(), Error> {
    tx.execute(&GIVE_NUMBER, args![name]).await.map(|_| ())
}
