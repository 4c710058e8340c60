//! A small schema of fruits.
use std::path::Path;
use usher_db::{DatabaseUrl, Db, Error, Migration, Tx, args};

pub static SCHEMA: [Migration; 1] = [Migration {
    number: 1,
    name: "fruits",
    sql: "CREATE TABLE fruits (id TEXT PRIMARY KEY, color TEXT, eaten_at BIGINT, taste BYTEA);
          CREATE TABLE peels (fruit TEXT NOT NULL REFERENCES fruits (id));
          CREATE INDEX fruits_color ON fruits (color);",
}];

usher_db::statements! {
    FIND: Point = "SELECT color, eaten_at, taste FROM fruits WHERE id = $1";
    LIST: Scan = "SELECT id FROM fruits ORDER BY id";
    GROW: Write = "INSERT INTO fruits (id, color) VALUES ($1, $2)";
    PEEL: Write = "INSERT INTO peels (fruit) VALUES ($1) RETURNING fruit";
    EAT: Write = "UPDATE fruits SET eaten_at = $2 WHERE id = $1 AND eaten_at IS NULL RETURNING color";
    COUNT: Scan = "SELECT CAST(count(*) AS BIGINT) FROM fruits";
    SLOW: Write = "INSERT INTO fruits (id, color) WITH RECURSIVE n(i) AS
        (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) SELECT CAST(i AS TEXT), 'grey' FROM n";
}

pub async fn open(path: &Path, migrations: &'static [Migration]) -> Result<Db, usher_db::OpenError> {
    Db::open(&DatabaseUrl::Sqlite(path.to_owned()), migrations).await
}

pub async fn grow(db: &Db, id: String) -> Result<(), Error> {
    db.write("grow", async move |tx: &mut Tx| {
        tx.execute(&GROW, args![&id, "red"]).await?;
        tx.announce("grown", &id, "red", 1_000);
        Ok(())
    })
    .await
}
