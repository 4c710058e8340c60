//! One row of a result.
use crate::{Error, FromValue, Value};

/// A row, detached from the engine.
#[derive(Debug, Clone)]
pub struct Row {
    pub(crate) statement: &'static str,
    pub(crate) values: Vec<Value>,
}

impl Row {
    /// The column at this position, counted from 0.
    ///
    /// # Errors
    /// [`Error::Other`] naming statement and column, when there is no such column or it holds another kind of value.
    pub fn get<T: FromValue>(&self, column: usize) -> Result<T, Error> {
        let Some(value) = self.values.get(column) else {
            let message = format!("column {column} was asked of a row of {}", self.values.len());
            return Err(Error::other(self.statement, message));
        };
        T::from_value(value.clone()).ok_or_else(|| {
            let message = format!("column {column} holds {value:?}, not {}", std::any::type_name::<T>());
            Error::other(self.statement, message)
        })
    }

    /// The fault of a column whose value the caller cannot make sense of: a word that names no state, a number out of range.
    pub fn impossible(&self, column: usize) -> Error {
        Error::other(self.statement, format!("column {column} holds a value that has no meaning here"))
    }
}
