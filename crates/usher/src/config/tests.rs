//! The order of the sources, the refusals, and the example file.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use std::path::PathBuf;
use std::time::Duration;

fn file(text: &str) -> File {
    File { path: PathBuf::from("/etc/usher/usher.toml"), text: text.to_owned() }
}

fn env(list: &[(&str, &str)]) -> Strings {
    list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn loaded(text: &str) -> Result<Config, String> {
    Config::load(Some(&file(text)), &Strings::new(), &Overrides::default()).map_err(|problems| problems.to_string())
}

fn refused(text: &str) -> String {
    loaded(text).unwrap_err()
}

#[test]
fn nothing_said_is_the_default() {
    let config = Config::load(None, &Strings::new(), &Overrides::default()).unwrap();
    assert_eq!(config, Config::default());
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.sessions.browser_idle, Duration::from_secs(30 * 86_400));
}

#[test]
fn the_environment_overrules_the_file_and_flags_overrule_both() {
    let text = "[server]\nlisten = \"127.0.0.1:1\"\nservice_name = \"File\"\n[sessions]\nbrowser_idle = \"1d\"\n";
    let env = env(&[("USHER_LISTEN", "127.0.0.1:2"), ("USHER_SESSIONS_BROWSER_IDLE", "2d"), ("HOME", "/root")]);
    let flags = Overrides { listen: Some("127.0.0.1:3".to_owned()), ..Overrides::default() };
    let config = Config::load(Some(&file(text)), &env, &flags).unwrap();
    assert_eq!(config.server.listen.port(), 3);
    assert_eq!(config.sessions.browser_idle, Duration::from_secs(2 * 86_400));
    assert_eq!(config.server.service_name, "File");
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_one_and_its_line() {
    assert_eq!(
        refused("[sessions]\n\nbrowser_idel = \"30d\"\n"),
        "/etc/usher/usher.toml:3: sessions.browser_idel: no such setting. Did you mean `sessions.browser_idle`?"
    );
    let cases = [
        ("[sesions]\nbrowser_idle = \"30d\"", "Did you mean `sessions.browser_idle`?"),
        ("[sesions]", "Did you mean `sessions`?"),
        ("[server]\ndata = \"/srv\"", "Did you mean `storage.data`?"),
        ("listen = \"127.0.0.1:1\"", "Did you mean `server.listen`?"),
        ("[[bucket]]\nname = \"a\"\npath = \"/a\"\nhiden = true", "Did you mean `bucket.hidden`?"),
        ("[bucket]\nname = \"a\"", "Write it under [[bucket]]."),
        ("[[server]]\nlan = true", "Write it under [server]."),
        ("[server.wholly.elsewhere]", "Remove it"),
        ("[sessions.roles.amdin]\nidle = \"1d\"", "Did you mean `sessions.roles.admin.idle`?"),
    ];
    for (text, remedy) in cases {
        let message = refused(text);
        assert!(message.contains("no such setting") && message.contains(remedy), "{text}\n{message}");
    }
}

#[test]
fn an_unknown_variable_is_refused_with_the_nearest_one() {
    let load = |name| Config::load(None, &env(&[(name, "x")]), &Overrides::default()).map_err(|p| p.to_string());
    let message = load("USHER_SESIONS_BROWSER_IDLE").unwrap_err();
    assert!(message.contains("Did you mean `USHER_SESSIONS_BROWSER_IDLE`?"), "{message}");
    assert!(load("USHER_CONFIG").is_ok());
    assert!(load("USHERETTE").is_ok());
}

#[test]
fn a_value_of_another_form_is_refused_with_key_place_value_and_form() {
    assert_eq!(
        refused("[sessions]\nbrowser_idle = 30"),
        "/etc/usher/usher.toml:2: sessions.browser_idle = 30: expected a length of time such as `30d`, `12h`, `10m` or \
         `90s`. Write it in that form, or leave it out for the default."
    );
    let bad = env(&[("USHER_MAX_CONNECTIONS", "many")]);
    let message = Config::load(None, &bad, &Overrides::default()).unwrap_err().to_string();
    assert!(
        message.starts_with("variable USHER_MAX_CONNECTIONS: server.max_connections = many: expected"),
        "{message}"
    );
    let flags = Overrides { listen: Some("8080".to_owned()), ..Overrides::default() };
    let message = Config::load(None, &Strings::new(), &flags).unwrap_err().to_string();
    assert!(message.starts_with("flag --listen: server.listen = 8080: expected an address and port"), "{message}");
}

#[test]
fn all_mistakes_are_named_at_once() {
    let problems = Config::load(
        Some(&file("[server]\nlan = \"yes\"\nlisten = 1\n[log]\nformat = \"xml\"\ncolour = true")),
        &Strings::new(),
        &Overrides::default(),
    )
    .unwrap_err();
    assert_eq!(problems.0.len(), 4, "{problems}");
}

#[test]
fn a_file_that_is_not_toml_is_refused_with_its_line_but_without_its_text() {
    let message = refused("[storage]\ndatabase = postgres://usher:hunter2@db/usher\n");
    assert!(message.starts_with("/etc/usher/usher.toml:2: not TOML"), "{message}");
    assert!(!message.contains("hunter2"), "{message}");
}

#[test]
fn no_error_and_no_listing_shows_a_secret() {
    for text in ["[storage]\ndatabase = [\"hunter2\"]", "[storage]\ndatabase = \"mysql://usher:hunter2@db/usher\""] {
        let message = refused(text);
        assert!(message.contains("storage.database") && !message.contains("hunter2"), "{message}");
    }
    let config = loaded("[storage]\ndatabase = \"postgres://usher:hunter2@db/usher\"").unwrap();
    let shown = config.effective_toml();
    assert!(shown.contains("postgres://usher:***@db/usher") && !shown.contains("hunter2"), "{shown}");
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn combinations_that_cannot_be_meant_are_refused() {
    let bucket = "[[bucket]]\nname = \"a\"\npath = \"/a\"\n";
    let app = "[[app]]\nname = \"a\"\norigins = [\"https://a.example\"]\n";
    let tls = "[tls]\ncert = \"c\"\nkey = \"k\"\n";
    let cases = [
        (format!("{bucket}{bucket}"), "bucket[1].name", "already"),
        (format!("{app}{app}"), "app[1].name", "already"),
        (format!("{app}[[app]]\nname = \"b\"\naudience = \"a\""), "app[1].audience", "another app"),
        ("[[app]]\nname = \"a\"\norigins = [\"https://*.example\"]".to_owned(), "app[0].origins", "exact origin"),
        ("[[app]]\nname = \"a\"\norigins = [\"http://a.example\"]".to_owned(), "app[0].origins", "plain HTTP"),
        ("[[bucket]]\nname = \"all\"\npath = \"/a\"".to_owned(), "bucket[0].name", "`all`"),
        ("[[bucket]]\nname = \"a\"".to_owned(), "bucket[0].path", "needs a folder"),
        (format!("[server]\nlan = true\n{tls}"), "server.lan", "exclude each other"),
        ("[server]\nlan = true\nlisten = \"8.8.8.8:80\"".to_owned(), "server.listen", "private"),
        ("[server]\npublic_url = \"https://a.example/usher\"".to_owned(), "server.public_url", "no path"),
        ("[server]\npublic_url = \"http://a.example\"".to_owned(), "server.public_url", "in clear"),
        (format!("[server]\npublic_url = \"http://localhost\"\n{tls}"), "server.public_url", "plain HTTP"),
        ("[server]\nlisten = \"0.0.0.0:8080\"".to_owned(), "server.listen", "other machines"),
        ("[server]\nops_listen = \"127.0.0.1:8080\"".to_owned(), "server.ops_listen", "listener of their own"),
        ("[server]\ntrusted_proxies = [\"0.0.0.0/0\"]".to_owned(), "server.trusted_proxies", "everybody"),
        ("[server]\nhosts = [\"https://a.example\"]".to_owned(), "server.hosts", "host names"),
        ("[mail]\nfrom = \"a@b.example\"".to_owned(), "mail.server", "hand them to"),
        ("[mail]\nserver = \"mail.example\"".to_owned(), "mail.from", "a sender"),
        ("[mail]\nserver = \"mail.example\"".to_owned(), "server.public_url", "lead to"),
        ("[mail]\nserver = \"mail.example\"\nsecurity = \"none\"".to_owned(), "mail.security", "in clear"),
        ("[mail]\nserver = \"mail.example\"\nusername = \"u\"".to_owned(), "mail.password_file", "needs a password"),
        ("[tls]\ncert = \"c\"".to_owned(), "tls.key", "both"),
        ("[accounts]\npassword_min_length = 4".to_owned(), "accounts.password_min_length", "8 to 128"),
        ("[accounts.hash]\nmemory_kib = 8".to_owned(), "accounts.hash.memory_kib", "12288"),
        ("[accounts.hash]\nmemory_kib = 12288\npasses = 2".to_owned(), "accounts.hash.passes", "3 below 19 MiB"),
        ("[accounts.hash]\nmemory_kib = 19456\npasses = 1".to_owned(), "accounts.hash.passes", "2 below 46 MiB"),
        ("[sessions]\nabsolute = \"7d\"".to_owned(), "sessions.browser_idle", "from 60s to 604800s"),
        ("[sessions.roles.admin]\nabsolute = \"1h\"\nidle = \"2h\"".to_owned(), "sessions.roles.admin.idle", "3600s"),
        ("[tokens]\naccess_life = \"2d\"".to_owned(), "tokens.access_life", "3600s"),
        ("[tokens]\nrotate_every = \"1h\"".to_owned(), "tokens.rotate_every", "publish_ahead"),
        ("[media]\nurl_life_min = \"12h\"\nurl_life_max = \"6h\"".to_owned(), "media.url_life_min", "21600s"),
        ("[throttle]\nmax_failures = 3".to_owned(), "throttle.max_failures", "free_attempts"),
        ("[log]\nlevel = \"usher=loud\"".to_owned(), "log.level", "debug"),
        (
            "[[sessions.data]]\nprefix = \"a\"\n[[sessions.data]]\nprefix = \"a\"".to_owned(),
            "sessions.data[1].prefix",
            "already",
        ),
    ];
    for (text, key, expected) in cases {
        let message = refused(&text);
        assert!(message.contains(key) && message.contains(expected), "{text}\n{message}");
    }
}

#[test]
fn combinations_that_are_meant_are_accepted() {
    let cases = [
        "[server]\nlan = true\npublic_url = \"http://nas.local:8080\"",
        "[server]\nlisten = \"0.0.0.0:8443\"\n[tls]\ncert = \"c\"\nkey = \"k\"",
        "[server]\nlisten = \"0.0.0.0:8080\"\ntrusted_proxies = [\"172.18.0.0/16\"]\npublic_url = \"https://a.example/\"",
        "[[app]]\nname = \"a\"\norigins = [\"http://localhost:5173\", \"https://a.example\"]",
        "[sessions.roles.admin]\nidle = \"12h\"\nabsolute = \"7d\"",
        "[accounts.hash]\nmemory_kib = 12288\npasses = 3",
        "[accounts.hash]\nmemory_kib = 19456\npasses = 2",
        "[accounts.hash]\nmemory_kib = 47104\npasses = 1",
        "app = []",
    ];
    for text in cases {
        assert!(loaded(text).is_ok(), "{text}\n{}", refused(text));
    }
}

#[test]
fn hashes_that_cost_less_than_the_standard_are_remarked_on() {
    assert_eq!(loaded("").unwrap().accounts.hash.remark(), None);
    assert_eq!(loaded("[accounts.hash]\nmemory_kib = 131072\npasses = 2").unwrap().accounts.hash.remark(), None);
    let cheap = loaded("[accounts.hash]\nmemory_kib = 19456\npasses = 2").unwrap().accounts.hash.remark();
    assert!(cheap.is_some_and(|remark| remark.contains("19456") && remark.contains("65536")));
}

#[test]
fn lan_listens_on_every_address_unless_told_otherwise() {
    assert_eq!(loaded("[server]\nlan = true").unwrap().server.listen.to_string(), "0.0.0.0:8080");
    let told = loaded("[server]\nlan = true\nlisten = \"192.168.1.4:80\"").unwrap();
    assert_eq!(told.server.listen.to_string(), "192.168.1.4:80");
}

#[test]
fn paths_in_the_file_are_relative_to_the_file_and_others_are_not() {
    let text = "[storage]\ndata = \"data\"\n[[bucket]]\nname = \"a\"\npath = \"../films\"";
    let config = loaded(text).unwrap();
    assert_eq!(config.storage.data, Some(PathBuf::from("/etc/usher/data")));
    assert_eq!(config.buckets[0].path, PathBuf::from("/etc/usher/../films"));
    let config = Config::load(Some(&file(text)), &env(&[("USHER_DATA", "here")]), &Overrides::default()).unwrap();
    assert_eq!(config.storage.data, Some(PathBuf::from("here")));
}

#[test]
fn folders_on_the_command_line_are_named_after_themselves() {
    let buckets = ["/srv/My Films", "tv=/srv/x", "/other/My Films", "/"].map(str::to_owned).to_vec();
    let config = Config::load(None, &Strings::new(), &Overrides { buckets, ..Overrides::default() }).unwrap();
    let names: Vec<_> = config.buckets.iter().map(|bucket| bucket.name.as_str()).collect();
    assert_eq!(names, ["my-films", "tv", "my-films-2", "media"]);
    assert_eq!(config.buckets[1].path, PathBuf::from("/srv/x"));
}

#[test]
fn the_effective_configuration_reads_back_the_same() {
    let text = "[server]\nops_listen = \"off\"\nhosts = [\"nas.local\"]\ntrusted_proxies = [\"10.0.0.1\"]\n\
                [sessions.roles.admin]\nidle = \"12h\"\n[[sessions.data]]\nprefix = \"draft\"\nretain = \"days 30\"\n\
                [[app]]\nname = \"a\"\norigins = [\"https://a.example\"]\n\
                [[bucket]]\nname = \"b\"\npath = \"/b\"\nsymlinks = \"never\"\n[tls]\ncert = \"/c\"\nkey = \"/k\"\n";
    let config = loaded(text).unwrap();
    assert_eq!(loaded(&config.effective_toml()).unwrap(), config);
    assert_eq!(loaded(&Config::default().effective_toml()).unwrap(), Config::default());
}

/// Every line of the example that sets something is commented out; with the marks taken away it must say what is
/// the default anyway, and it must say everything.
#[test]
fn the_example_lists_every_setting_with_its_default() {
    let example = include_str!("../../../../usher.example.toml");
    assert_eq!(loaded(example).unwrap(), Config::default());
    let spelled_out: String = example
        .lines()
        .take_while(|line| !line.starts_with("## Tables"))
        .map(|line| line.strip_prefix("#:").unwrap_or(line).to_owned() + "\n")
        .collect();
    assert_eq!(loaded(&spelled_out).unwrap(), Config::default());
    let printed = Config::default().effective_toml();
    for line in printed.lines().filter(|line| !line.is_empty()) {
        assert!(spelled_out.lines().any(|l| l == line), "the example lacks `{line}`");
    }
    let tables: String = example
        .lines()
        .skip_while(|line| !line.starts_with("## Tables"))
        .map(|line| line.strip_prefix("#:").unwrap_or(line).to_owned() + "\n")
        .collect();
    let config = loaded(&tables).unwrap();
    assert_eq!((config.apps.len(), config.buckets.len(), config.sessions.data.len()), (1, 1, 2));
}

#[test]
fn every_key_stands_in_the_example_and_has_a_variable_of_its_own() {
    struct Names(String, Vec<String>);
    impl visit::Visit for Names {
        fn setting(&mut self, key: &str, _value: &mut dyn visit::Setting) {
            self.1.push(format!("{}{key}", self.0));
        }
        fn secret(&mut self, key: &str, value: &mut dyn visit::Setting, _shown: Option<String>) {
            self.setting(key, value);
        }
        fn section(&mut self, key: &str, keys: &mut dyn Keys) {
            let outer = self.0.clone();
            self.0 = format!("{outer}{key}.");
            keys.visit(self);
            self.0 = outer;
        }
        fn count(&mut self, _key: &str, have: usize) -> usize {
            have
        }
        fn element(&mut self, _key: &str, _index: usize, _keys: &mut dyn Keys) {}
        fn shape(&mut self, key: &str, keys: &mut dyn Keys) {
            self.section(key, keys);
        }
    }
    let mut names = Names(String::new(), Vec::new());
    Config::default().visit(&mut names);
    let example = include_str!("../../../../usher.example.toml");
    for key in &names.1 {
        let last = key.rsplit('.').next().unwrap();
        let listed = example
            .lines()
            .any(|line| line.starts_with(&format!("#:{last} =")) || line.starts_with(&format!("# {last} =")));
        assert!(listed, "the example lacks `{key}`");
    }
    let variables: std::collections::BTreeSet<_> = names.1.iter().map(|key| variable_of(key)).collect();
    assert_eq!(variables.len(), names.1.len());
}
