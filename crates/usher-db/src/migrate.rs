//! Which migrations to run, and whether the ones that ran are ours. Pure; the engines do the running.
use crate::OpenError;

/// One step of the schema: portable text, compiled in. Published ones are never edited.
#[derive(Debug)]
pub struct Migration {
    /// Ascending from 1.
    pub number: u32,
    /// For people.
    pub name: &'static str,
    /// One or more statements, without `BEGIN` and `COMMIT`.
    pub sql: &'static str,
}

/// This crate's own tables. Number 0, so that it is recorded and checked like the others.
pub(crate) static OWN: Migration = Migration {
    number: 0,
    name: "own",
    sql: "
        CREATE TABLE migrations (
            number BIGINT PRIMARY KEY,
            name TEXT NOT NULL,
            digest TEXT NOT NULL
        );
        CREATE TABLE feed (
            id BIGINT PRIMARY KEY CHECK (id = 1),
            head BIGINT NOT NULL,
            floor BIGINT NOT NULL
        );
        INSERT INTO feed (id, head, floor) VALUES (1, 0, 0);
        CREATE TABLE changes (
            seq BIGINT PRIMARY KEY,
            topic TEXT NOT NULL,
            key TEXT NOT NULL,
            body TEXT NOT NULL,
            at BIGINT NOT NULL
        );
    ",
};

/// A migration that the database says it has.
pub(crate) struct Applied {
    pub number: u32,
    pub digest: String,
}

/// Lower-case hex SHA-256 of the text.
pub(crate) fn digest(migration: &Migration) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, migration.sql.as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The migrations still to run, in order.
pub(crate) fn pending(applied: &[Applied], known: &'static [Migration]) -> Result<Vec<&'static Migration>, OpenError> {
    let all: Vec<&'static Migration> = std::iter::once(&OWN).chain(known).collect();
    if let Some(pair) = all.windows(2).find(|pair| pair[1].number <= pair[0].number) {
        return Err(OpenError::Disordered { number: pair[1].number });
    }
    let newest_known = all.last().map_or(0, |migration| migration.number);
    let newest_applied = applied.iter().map(|it| it.number).max();
    if let Some(found) = newest_applied.filter(|found| *found > newest_known) {
        return Err(OpenError::Newer { found, known: newest_known });
    }
    for it in applied {
        let same = all.iter().any(|migration| migration.number == it.number && digest(migration) == it.digest);
        if !same {
            return Err(OpenError::Changed { number: it.number });
        }
    }
    let pending: Vec<_> = all.into_iter().filter(|m| applied.iter().all(|it| it.number != m.number)).collect();
    // A step slipped in beneath one that already ran was never tested in that order.
    match pending.first() {
        Some(first) if newest_applied.is_some_and(|newest| first.number < newest) => {
            Err(OpenError::Changed { number: first.number })
        }
        _ => Ok(pending),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static TWO: [Migration; 2] =
        [Migration { number: 1, name: "a", sql: "A" }, Migration { number: 2, name: "b", sql: "B" }];
    static DISORDERED: [Migration; 2] =
        [Migration { number: 2, name: "b", sql: "B" }, Migration { number: 2, name: "a", sql: "A" }];

    fn applied(migrations: &[&Migration]) -> Vec<Applied> {
        migrations.iter().map(|m| Applied { number: m.number, digest: digest(m) }).collect()
    }

    fn numbers(pending: Result<Vec<&'static Migration>, OpenError>) -> Option<Vec<u32>> {
        pending.ok().map(|list| list.iter().map(|m| m.number).collect())
    }

    #[test]
    fn only_what_is_missing_runs() {
        assert_eq!(numbers(pending(&[], &TWO)), Some(vec![0, 1, 2]));
        assert_eq!(numbers(pending(&applied(&[&OWN, &TWO[0]]), &TWO)), Some(vec![2]));
        assert_eq!(numbers(pending(&applied(&[&OWN, &TWO[0], &TWO[1]]), &TWO)), Some(vec![]));
    }

    #[test]
    fn a_history_that_is_not_ours_is_refused() {
        let later = Migration { number: 9, name: "z", sql: "Z" };
        let edited = Migration { number: 1, name: "a", sql: "A, edited" };
        assert!(matches!(pending(&applied(&[&OWN, &later]), &TWO), Err(OpenError::Newer { found: 9, known: 2 })));
        assert!(matches!(pending(&applied(&[&OWN, &edited]), &TWO), Err(OpenError::Changed { number: 1 })));
        assert!(matches!(pending(&applied(&[&OWN, &TWO[1]]), &TWO), Err(OpenError::Changed { number: 1 })));
        assert!(matches!(pending(&[], &DISORDERED), Err(OpenError::Disordered { number: 2 })));
    }
}
