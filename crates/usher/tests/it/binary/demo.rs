//! The demonstration.

use crate::support::program::{Home, Server};

#[test]
fn the_demonstration_lets_its_two_people_in_and_leaves_nothing_behind() {
    let home = Home::new();
    let server = Server::start(home.usher(&["demo", "--listen", "127.0.0.1:0"]));
    let accounts: Vec<(&str, &str)> = server
        .said
        .lines()
        .filter_map(|line| line.strip_prefix("account")?.trim().split_once("  "))
        .map(|(name, rest)| (name, rest.split(' ').next().unwrap()))
        .collect();
    assert_eq!(accounts.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["alice", "bob"]);
    for (name, password) in &accounts {
        assert_eq!(server.login(name, password).status, 200, "{name}");
    }
    assert_eq!(server.login("alice", accounts[1].1).status, 401);
    assert_eq!(server.setup(), None);
    assert!(!home.data().exists(), "the data of the real thing is not touched");
    let folders = || {
        let entries = std::fs::read_dir(home.path("")).unwrap();
        entries.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("usher-demo-")).count()
    };
    assert_eq!(folders(), 1);
    server.stop();
    assert_eq!(folders(), 0);
}
