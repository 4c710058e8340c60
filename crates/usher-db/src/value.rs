//! What goes into a statement and comes out of a row: the four kinds of the house dialect.
use std::fmt;

/// One argument or column. Floats and booleans are not in the dialect.
#[derive(Clone, PartialEq, Eq, Default)]
pub enum Value {
    /// SQL `NULL`.
    #[default]
    Null,
    /// `BIGINT`.
    Int(i64),
    /// `TEXT`.
    Text(String),
    /// `BYTEA`, the name that both engines take; SQLite keeps bytes as they are whatever a column is called.
    Bytes(Vec<u8>),
}

impl fmt::Debug for Value {
    /// Kind and length only: arguments are often secrets or their digests, and must not reach a log by accident.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("Null"),
            Value::Int(n) => write!(f, "Int({n})"),
            Value::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Value::Bytes(bytes) => write!(f, "Bytes({} bytes)", bytes.len()),
        }
    }
}

/// Makes `impl From<T> for Value` for each type, by the given expression.
macro_rules! into_value {
    ($($from:ty => |$it:ident| $value:expr;)*) => {
        $(impl From<$from> for Value {
            fn from($it: $from) -> Value { $value }
        })*
    };
}

into_value! {
    i64 => |n| Value::Int(n);
    i32 => |n| Value::Int(n.into());
    u32 => |n| Value::Int(n.into());
    u16 => |n| Value::Int(n.into());
    &i64 => |n| Value::Int(*n);
    &str => |text| Value::Text(text.to_owned());
    String => |text| Value::Text(text);
    &String => |text| Value::Text(text.clone());
    &&str => |text| Value::Text((*text).to_owned());
    Vec<u8> => |bytes| Value::Bytes(bytes);
    &Vec<u8> => |bytes| Value::Bytes(bytes.clone());
    &[u8] => |bytes| Value::Bytes(bytes.to_vec());
    &Value => |value| value.clone();
}

impl<const N: usize> From<[u8; N]> for Value {
    fn from(bytes: [u8; N]) -> Value {
        Value::Bytes(bytes.to_vec())
    }
}

impl<const N: usize> From<&[u8; N]> for Value {
    fn from(bytes: &[u8; N]) -> Value {
        Value::Bytes(bytes.to_vec())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(it: Option<T>) -> Value {
        it.map_or(Value::Null, Into::into)
    }
}

/// A type that a column can be read as.
pub trait FromValue: Sized {
    /// `None` when the value is of another kind or out of range. `NULL` is only ever read as an `Option`.
    fn from_value(value: Value) -> Option<Self>;
}

impl FromValue for Value {
    fn from_value(value: Value) -> Option<Value> {
        Some(value)
    }
}

impl FromValue for i64 {
    fn from_value(value: Value) -> Option<i64> {
        match value {
            Value::Int(n) => Some(n),
            _ => None,
        }
    }
}

impl FromValue for u32 {
    fn from_value(value: Value) -> Option<u32> {
        i64::from_value(value)?.try_into().ok()
    }
}

impl FromValue for i32 {
    fn from_value(value: Value) -> Option<i32> {
        i64::from_value(value)?.try_into().ok()
    }
}

impl FromValue for String {
    fn from_value(value: Value) -> Option<String> {
        match value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl FromValue for Vec<u8> {
    fn from_value(value: Value) -> Option<Vec<u8>> {
        match value {
            Value::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }
}

impl<const N: usize> FromValue for [u8; N] {
    fn from_value(value: Value) -> Option<[u8; N]> {
        Vec::from_value(value)?.try_into().ok()
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: Value) -> Option<Option<T>> {
        match value {
            Value::Null => Some(None),
            value => T::from_value(value).map(Some),
        }
    }
}

/// The arguments of a statement, in the order of their numbers: `args![id, name]` fills `$1` and `$2`.
#[macro_export]
macro_rules! args {
    ($($value:expr),* $(,)?) => {
        ::std::vec::Vec::<$crate::Value>::from([$($crate::Value::from($value)),*])
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_never_holds_the_contents() {
        let shown = format!("{:?}", args!["hunter2", b"hunter2".to_vec(), 7_i64, None::<i64>]);
        assert_eq!(shown, "[Text(7 bytes), Bytes(7 bytes), Int(7), Null]");
    }

    #[test]
    fn a_value_is_read_only_as_what_it_is() {
        assert_eq!(i64::from_value(Value::Int(-1)), Some(-1));
        assert_eq!(u32::from_value(Value::Int(-1)), None);
        assert_eq!(String::from_value(Value::Null), None);
        assert_eq!(Option::<String>::from_value(Value::Null), Some(None));
        assert_eq!(<[u8; 2]>::from_value(Value::Bytes(vec![1, 2])), Some([1, 2]));
        assert_eq!(<[u8; 3]>::from_value(Value::Bytes(vec![1, 2])), None);
        assert_eq!(i64::from_value(Value::Text("1".into())), None);
    }
}
