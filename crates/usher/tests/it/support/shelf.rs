//! A server with a bucket called `films`: a folder of its own, with things in it and things beside it.

use super::app::{Actor, PASSWORD, TestApp};
use std::path::PathBuf;
use tempfile::TempDir;
use usher::accounts::{self, Buckets, Role};
use usher::config;
use usher::id::{AccountId, PersonalTokenId};
use usher::tokens::personal::{NewPersonalToken, Scope};

/// The bytes of `k.bin`: a thousand, none like its neighbour.
pub fn thousand() -> Vec<u8> {
    (0..1000_u32).map(|n| u8::try_from(n % 251).unwrap()).collect()
}

/// The server and its folders.
pub struct Shelf {
    /// The server.
    pub app: TestApp,
    /// Holds `films`, `music` and what is in no bucket.
    place: TempDir,
}

impl Shelf {
    /// `films` with `k.bin` and `a/k.bin`, and an empty bucket `music`; a file `secret.txt` beside both.
    pub async fn new() -> Shelf {
        Shelf::with(|_| {}).await
    }

    /// The same, with another configuration.
    pub async fn with(change: impl FnOnce(&mut config::Config)) -> Shelf {
        let place = TempDir::with_prefix("usher-shelf-").unwrap();
        for folder in ["films", "films/a", "films/ab", "music"] {
            std::fs::create_dir(place.path().join(folder)).unwrap();
        }
        std::fs::write(place.path().join("secret.txt"), "out of reach").unwrap();
        for file in ["films/k.bin", "films/a/k.bin", "films/ab/k.bin"] {
            std::fs::write(place.path().join(file), thousand()).unwrap();
        }
        let bucket =
            |name: &str| config::Bucket { name: name.to_owned(), path: place.path().join(name), ..Default::default() };
        let buckets = vec![bucket("films"), bucket("music")];
        let app = TestApp::with(|config| {
            config.buckets = buckets;
            change(config);
        })
        .await;
        Shelf { app, place }
    }

    /// A path in `films`.
    pub fn path(&self, name: &str) -> PathBuf {
        self.place.path().join("films").join(name)
    }

    /// Puts a file in `films`, with the folders above it.
    pub fn put(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    /// A new account that may open `films`, logged in with a browser.
    pub async fn viewer(&self, name: &str) -> (AccountId, Actor) {
        let id = self.app.account_with(name, Role::User, Buckets::from_names(["films"]), PASSWORD).await;
        (id, self.app.logged_in(name).await)
    }

    /// Changes the buckets of an account, as an admin would.
    pub async fn give(&self, account: AccountId, buckets: Buckets) {
        let cx = self.app.cx();
        let now = cx.now;
        cx.write("test.give", async move |tx| accounts::set_buckets(tx, account, &buckets, now).await)
            .await
            .unwrap()
            .unwrap();
    }
}

/// The media URL of a file, as `actor` is given it: the target of a request.
pub async fn url(actor: &Actor, path: &str) -> String {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let answer = actor.get(&format!("/api/v1/buckets/films/entries?limit=1000&path={folder}")).await;
    let list = answer.json();
    let found = list["entries"].as_array().unwrap().iter().find(|entry| entry["name"] == name);
    let url = found.unwrap_or_else(|| panic!("no {path} in {list}"))["url"].as_str().unwrap();
    url.strip_prefix("http://localhost").unwrap().to_owned()
}

/// The URL's token, and the path after it.
pub fn parts(url: &str) -> (&str, &str) {
    url.strip_prefix("/m/").unwrap().split_once('/').unwrap()
}

/// A personal token of an account with the scope `media`: its id and its text.
pub async fn personal_token(app: &TestApp, account: AccountId) -> (PersonalTokenId, String) {
    let cx = app.cx();
    let new = NewPersonalToken::draw(&cx, account, "script", vec![Scope::Media], None);
    let (id, text) = (new.token.id, new.plain.expose().to_owned());
    let row = new.row();
    cx.write("test.personal_token", async move |tx| row.insert(tx).await).await.unwrap();
    (id, text)
}
