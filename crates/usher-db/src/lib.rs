//! Stand-in until the real crate is merged.
#![expect(clippy::unwrap_used, reason = "stand-in")]
use rusqlite::Connection;
use std::fmt::{self, Display};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll, Waker};

#[derive(Clone, PartialEq)]
pub enum Value {
    Null,
    Int(i64),
    Text(String),
    Bytes(Vec<u8>),
}
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Value")
    }
}
impl From<i64> for Value {
    fn from(v: i64) -> Self {
        Value::Int(v)
    }
}
impl From<u32> for Value {
    fn from(v: u32) -> Self {
        Value::Int(v.into())
    }
}
impl From<i32> for Value {
    fn from(v: i32) -> Self {
        Value::Int(v.into())
    }
}
impl From<&str> for Value {
    fn from(v: &str) -> Self {
        Value::Text(v.into())
    }
}
impl From<String> for Value {
    fn from(v: String) -> Self {
        Value::Text(v)
    }
}
impl From<Vec<u8>> for Value {
    fn from(v: Vec<u8>) -> Self {
        Value::Bytes(v)
    }
}
impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(v: Option<T>) -> Self {
        v.map_or(Value::Null, Into::into)
    }
}
pub trait FromValue: Sized {
    fn from_value(v: Value) -> Option<Self>;
}
impl FromValue for i64 {
    fn from_value(v: Value) -> Option<Self> {
        if let Value::Int(i) = v { Some(i) } else { None }
    }
}
impl FromValue for u32 {
    fn from_value(v: Value) -> Option<Self> {
        if let Value::Int(i) = v { i.try_into().ok() } else { None }
    }
}
impl FromValue for String {
    fn from_value(v: Value) -> Option<Self> {
        if let Value::Text(i) = v { Some(i) } else { None }
    }
}
impl<T: FromValue> FromValue for Option<T> {
    fn from_value(v: Value) -> Option<Self> {
        if v == Value::Null { Some(None) } else { T::from_value(v).map(Some) }
    }
}
#[macro_export]
macro_rules! args { ($($e:expr),* $(,)?) => { vec![$($crate::Value::from($e)),*] }; }
pub struct Row {
    values: Vec<Value>,
    statement: &'static str,
}
impl Row {
    pub fn get<T: FromValue>(&self, column: usize) -> Result<T, Error> {
        self.values.get(column).cloned().and_then(T::from_value).ok_or_else(|| self.impossible(column))
    }
    pub fn impossible(&self, column: usize) -> Error {
        Error(format!("{}: column {column}", self.statement))
    }
}
#[derive(Clone, Copy)]
pub enum Kind {
    Point,
    Scan,
    Write,
}
pub struct Statement {
    pub name: &'static str,
    pub text: &'static str,
    pub kind: Kind,
}
pub struct Point(pub Statement);
pub struct Scan(pub Statement);
pub struct Write(pub Statement);
pub trait Any {
    fn s(&'static self) -> &'static Statement;
}
impl Any for Point {
    fn s(&'static self) -> &'static Statement {
        &self.0
    }
}
impl Any for Scan {
    fn s(&'static self) -> &'static Statement {
        &self.0
    }
}
impl Any for Write {
    fn s(&'static self) -> &'static Statement {
        &self.0
    }
}
#[macro_export]
macro_rules! statements {
    ($($(#[$m:meta])* $name:ident: $kind:ident = $text:expr;)*) => {
        $($(#[$m])* static $name: $crate::$kind = $crate::$kind($crate::Statement { name: concat!(module_path!(), "::", stringify!($name)), text: $text, kind: $crate::Kind::$kind });)*
        /// The statements of this module.
        pub static STATEMENTS: &[&$crate::Statement] = &[$(&$name.0),*];
    };
}
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Error(String);
impl Error {
    pub fn is_unavailable(&self) -> bool {
        false
    }
}
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct OpenError(String);
pub struct Migration {
    pub number: u32,
    pub name: &'static str,
    pub sql: &'static str,
}
pub enum DatabaseUrl {
    Sqlite(PathBuf),
}
#[derive(Clone, Debug)]
pub struct Change {
    pub seq: i64,
    pub topic: String,
    pub key: String,
    pub body: String,
    pub at: i64,
}
type Follower = Box<dyn Fn(&[Change]) + Send + Sync>;
#[derive(Clone)]
pub struct Db {
    c: Arc<Mutex<Option<Connection>>>,
    f: Arc<OnceLock<Follower>>,
}
fn run(c: &Connection, s: &'static Statement, args: Vec<Value>) -> Result<Vec<Row>, Error> {
    let e = |e: rusqlite::Error| Error(format!("{}: {e}", s.name));
    let text = regex(s.text);
    let mut st = c.prepare_cached(&text).map_err(e)?;
    let n = st.column_count();
    let params = rusqlite::params_from_iter(args.into_iter().map(|v| match v {
        Value::Null => rusqlite::types::Value::Null,
        Value::Int(i) => i.into(),
        Value::Text(t) => t.into(),
        Value::Bytes(b) => b.into(),
    }));
    let mut rows = st.query(params).map_err(e)?;
    let mut out = vec![];
    while let Some(r) = rows.next().map_err(e)? {
        let values = (0..n)
            .map(|i| match r.get_unwrap::<_, rusqlite::types::Value>(i) {
                rusqlite::types::Value::Null => Value::Null,
                rusqlite::types::Value::Integer(i) => Value::Int(i),
                rusqlite::types::Value::Text(t) => Value::Text(t),
                rusqlite::types::Value::Blob(b) => Value::Bytes(b),
                _ => Value::Null,
            })
            .collect();
        out.push(Row { values, statement: s.name });
    }
    Ok(out)
}
fn regex(t: &str) -> String {
    t.replace('$', "?")
}
impl Db {
    pub async fn open(url: &DatabaseUrl, m: &'static [Migration]) -> Result<Db, OpenError> {
        let DatabaseUrl::Sqlite(p) = url;
        let c = Connection::open(p).map_err(|e| OpenError(e.to_string()))?;
        for m in m {
            c.execute_batch(m.sql).map_err(|e| OpenError(format!("{}: {e}", m.name)))?;
        }
        Ok(Db { c: Arc::new(Mutex::new(Some(c))), f: Arc::default() })
    }
    pub fn follow(&self, f: impl Fn(&[Change]) + Send + Sync + 'static) {
        let _ = self.f.set(Box::new(f));
    }
    pub async fn one(&self, s: &'static Point, args: Vec<Value>) -> Result<Option<Row>, Error> {
        let g = self.c.lock().unwrap();
        Ok(run(g.as_ref().unwrap(), &s.0, args)?.into_iter().next())
    }
    pub async fn all(&self, s: &'static Scan, args: Vec<Value>) -> Result<Vec<Row>, Error> {
        let g = self.c.lock().unwrap();
        run(g.as_ref().unwrap(), &s.0, args)
    }
    pub async fn write<T, F>(&self, _name: &'static str, f: F) -> Result<T, Error>
    where
        F: AsyncFn(&mut Tx) -> Result<T, Error> + Send + 'static,
        T: Send + 'static,
    {
        let job: Box<dyn FnOnce(&mut Tx) -> Result<T, Error> + Send> = Box::new(move |tx| {
            let mut fut = pin!(f(tx));
            match fut.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(r) => r,
                Poll::Pending => Err(Error("pending".into())),
            }
        });
        let mut g = self.c.lock().unwrap();
        let c = g.take().unwrap();
        c.execute_batch("BEGIN IMMEDIATE").unwrap();
        let mut tx = Tx { c, undone: false, ch: vec![] };
        let r = job(&mut tx);
        let ok = r.is_ok() && !tx.undone;
        tx.c.execute_batch(if ok { "COMMIT" } else { "ROLLBACK" }).unwrap();
        *g = Some(tx.c);
        drop(g);
        if ok && let Some(f) = self.f.get() {
            f(&tx.ch);
        }
        r
    }
    pub async fn backup(&self, _to: &Path) -> Result<(), Error> {
        Ok(())
    }
}
pub struct Tx {
    c: Connection,
    undone: bool,
    ch: Vec<Change>,
}
impl Tx {
    pub async fn one(&mut self, s: &'static impl Any, args: Vec<Value>) -> Result<Option<Row>, Error> {
        Ok(run(&self.c, s.s(), args)?.into_iter().next())
    }
    pub async fn all(&mut self, s: &'static impl Any, args: Vec<Value>) -> Result<Vec<Row>, Error> {
        run(&self.c, s.s(), args)
    }
    pub async fn execute(&mut self, s: &'static Write, args: Vec<Value>) -> Result<u64, Error> {
        run(&self.c, s.s(), args)?;
        Ok(self.c.changes())
    }
    pub fn announce(&mut self, topic: &'static str, key: impl Display, body: impl Into<String>, at: i64) {
        self.ch.push(Change { seq: 0, topic: topic.into(), key: key.to_string(), body: body.into(), at });
    }
    pub fn undo<T>(&mut self, v: T) -> T {
        self.undone = true;
        v
    }
}
