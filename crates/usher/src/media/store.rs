//! The statements of buckets' numbers.

use usher_db::{Db, Error, Tx, args, statements};

statements! {
    NUMBERS: Scan = "SELECT name, number FROM buckets ORDER BY number";
    // The largest number is read in the insert itself, so that two nodes that start at once cannot take the same one:
    // the second meets the unique number, and tries again.
    GIVE_NUMBER: Write = "INSERT INTO buckets (name, number) SELECT $1, COALESCE(MAX(number), 0) + 1 FROM buckets WHERE TRUE \
        ON CONFLICT (name) DO NOTHING";
}

/// The numbers of all buckets that were ever configured.
pub async fn numbers(db: &Db) -> Result<Vec<(String, u32)>, Error> {
    let rows = db.all(&NUMBERS, args![]).await?;
    rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
}

/// Gives a bucket the next number, unless it has one.
pub async fn give_number(tx: &mut Tx, name: &str) -> Result<(), Error> {
    tx.execute(&GIVE_NUMBER, args![name]).await.map(|_| ())
}
