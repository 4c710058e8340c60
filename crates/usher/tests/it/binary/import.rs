//! People who move in: from Takeout, from PyStream, from tables, before the first start and beside a running server.

use crate::support::authenticator::Authenticator;
use crate::support::program::{Home, PASSWORD, Ran};
use serde_json::{Value, json};
use usher::accounts::hash::{Encoded, Memory, Params, Peppers};
use usher::login::totp;
use usher::time::Clock;

/// `scrypt(PASSWORD, SALT, 32768, 8, 1, 32)`, as Takeout keeps it.
const KEY: &str = "a83618426151075ff7113bf677c1ede7a201186ff22ec144cb61944daa9f6a06";
const SALT: &str = "0102030405060708";

/// [`PASSWORD`] as other programs hash it.
const HASHES: &[(&str, &str)] = &[
    ("scrypt", "$scrypt$ln=15,r=8,p=1$AQIDBAUGBwg$qDYYQmFRB1/3ETv2d8Ht56IBGG/yLsFEy2GUTaqfagY"),
    ("bcrypt", "$2b$06$abcdefghijklmnopqrstuu9Qo3COMLmZ0ztzYtbNOTy7.cKK8tzyW"),
    ("bcrypt-php", "$2y$05$abcdefghijklmnopqrstuuIXgRV6jYWhqjlpxWFYq3YX0ZsJ.frN2"),
    ("passlib-256", "$pbkdf2-sha256$29000$c2FsdHNhbHRzYWx0c2FsdA$zUNsNm7DZSsqrdC1uitzrwhHEAFi0UKqnMCDinVVs9Q"),
    (
        "passlib-512",
        "$pbkdf2-sha512$25000$c2FsdHNhbHRzYWx0c2FsdA$XfMceUd8wAax0hCZQNlo0fNMbo4KwjT4tMpaVyr6Vk05AcQTLBXXY3C5Q\
         .p7TSCjPi99U13tYuKb3VtzRrtm1A",
    ),
    ("django", "pbkdf2_sha256$60000$q1w2e3r4t5y6$600KSlkigVFgdt5G9+MmTAsRijT4Ok7OYBoRI4GTQxM="),
];

/// A file like the one that Takeout's own library makes.
fn auth_db(home: &Home, rows: impl IntoIterator<Item = String>) -> String {
    let path = home.path("auth.db");
    let mut database = rusqlite::Connection::open(&path).unwrap();
    let tables = "CREATE TABLE `users` (`id` integer PRIMARY KEY AUTOINCREMENT,`created_at` datetime,`updated_at` \
        datetime,`deleted_at` datetime,`name` text,`key` blob,`salt` blob,`media` text,`totp` text); \
        CREATE TABLE `sessions` (`id` integer PRIMARY KEY AUTOINCREMENT,`user` text,`token` text)";
    database.execute_batch(tables).unwrap();
    let insert = database.transaction().unwrap();
    for row in rows {
        let columns = "name, deleted_at, media, totp, key, salt";
        let text = format!("INSERT INTO users ({columns}) VALUES ({row}, x'{KEY}', x'{SALT}')");
        insert.execute_batch(&text).unwrap();
    }
    insert.commit().unwrap();
    path.to_str().unwrap().to_owned()
}

fn file(home: &Home, name: &str, text: &str) -> String {
    std::fs::write(home.path(name), text).unwrap();
    home.path(name).to_str().unwrap().to_owned()
}

/// The lines of a command with `--json`: what became of each row, and of all.
fn told(ran: &Ran) -> (Vec<Value>, Value) {
    let mut lines: Vec<Value> = ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let all = lines.pop().unwrap();
    (lines, all)
}

#[test]
fn people_of_takeout_log_in_as_before_with_the_media_that_they_had() {
    let home = Home::new();
    let gone = "'gone', '2024-05-01 10:00:00', 'movies', ''";
    let file =
        auth_db(&home, ["'anna', NULL, 'music, My Films', NULL", "'bert', NULL, '', ''", gone].map(str::to_owned));
    let renamed = ["--rename-bucket", "My Films=films"];
    let said = home.run(&[&["import", "takeout", &file][..], &renamed].concat()).good();
    assert_eq!(said, "row 1: anna made\nrow 2: bert made\n2 rows: 2 made, 0 there already, 0 refused\n");
    home.add_user("root", &["--admin"]);
    let server = home.serve();
    for name in ["anna", "bert"] {
        assert_eq!(server.login(name, PASSWORD).status, 200, "{name}");
        assert_eq!(server.login(name, "another-plum-anchor-38").status, 401, "{name}");
        assert_eq!(server.login(name, PASSWORD).status, 200, "after the hash was renewed: {name}");
    }
    assert_eq!(server.login("gone", PASSWORD).status, 401);
    let anna = home.run(&["--json", "user", "show", "anna"]).json();
    assert_eq!((&anna["buckets"], &anna["role"]), (&json!(["films", "music"]), &json!("user")));
}

#[test]
fn people_of_takeout_are_asked_for_the_passcodes_that_their_apps_show() {
    let home = Home::new();
    let url = "otpauth://totp/Takeout:anna?algorithm=SHA1&digits=6&issuer=Takeout&period=30&secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";
    let short = url.replace("period=30", "period=60");
    let file = auth_db(&home, [format!("'anna', NULL, 'music', '{url}'"), format!("'bert', NULL, '', '{short}'")]);
    for trial in [&["--dry-run"][..], &[]] {
        let ran = home.run(&[&["import", "takeout", &file][..], trial].concat());
        assert!(ran.code == Some(1) && ran.out.contains("row 2: bert refused: its passcode cannot"), "{ran:?}");
        assert!(!format!("{ran:?}").contains("JBSW"), "{ran:?}");
    }
    home.add_user("root", &["--admin"]);
    // What the app showed at the import may have been used elsewhere a moment before. Two steps later it is over.
    let step = totp::step_at(Clock::System.now());
    let told = home.sql("SELECT last_step FROM totp");
    let closed: i64 = told[0][0].as_deref().unwrap().parse().unwrap();
    assert!((step - 2..=step).contains(&closed), "{closed} at {step}");
    assert_eq!(home.sql("UPDATE totp SET last_step = last_step - 4 RETURNING id").len(), 1);
    let server = home.serve();
    assert_eq!(server.login("anna", PASSWORD).json()["code"], "passcode_required");
    let with = |passcode: &str| {
        server.post("/api/v1/login", &json!({"username": "anna", "password": PASSWORD, "passcode": passcode}))
    };
    assert_eq!(with("000000").json()["code"], "passcode_invalid");
    let answer = with(&Authenticator::read(url).code(Clock::System.now()));
    assert_eq!(answer.status, 200, "{answer:?}");
    let log = server.stop();
    assert!(!log.contains("JBSW"), "{log}");
}

#[test]
fn a_password_hashed_in_any_known_way_is_taken_over_beside_a_running_server() {
    let home = Home::new();
    home.add_user("root", &["--admin"]);
    let server = home.serve();
    let params = Params::new(19_456, 2, 1).unwrap();
    let own = Encoded::create(PASSWORD, [3; 16], params, &Peppers::none(), &mut Memory::new()).unwrap();
    let own = own.to_string();
    let hashes = || HASHES.iter().copied().chain([("argon2id", own.as_str())]);
    let rows: Vec<Value> = hashes().map(|(name, hash)| json!({"username": name, "password": hash})).collect();
    let list = file(&home, "users.json", &Value::from(rows).to_string());
    let lines: Vec<String> = hashes().map(|(name, hash)| format!("{name}@example.org,\"{hash}\"")).collect();
    let table = file(&home, "users.csv", &format!("email,pword\n{}\n", lines.join("\n")));
    for path in [&list, &table] {
        let (rows, all) = told(&home.run(&["--json", "import", "users", path]));
        assert_eq!((rows.len(), &all["made"]), (7, &json!(7)), "{rows:?}");
    }
    for (name, _) in hashes() {
        assert_eq!(server.login(name, PASSWORD).status, 200, "{name}");
        assert_eq!(server.login(&format!("{name}@example.org"), PASSWORD).status, 200, "{name}");
        assert_eq!(server.login(name, "another-plum-anchor-38").status, 401, "{name}");
    }
    let log = server.stop();
    assert!(log.contains("import") && !log.contains("$2b$") && !log.contains("example.org"), "{log}");
}

#[test]
fn people_of_pystream_log_in_with_passwords_that_the_rules_would_refuse() {
    let home = Home::new();
    let env = file(&home, ".env", "video_port=8000\nauthorization='{\"Alan Turing\": \"Pr0gRamM1ng\", \"ab\": 7}'\n");
    let ran = home.run(&["import", "pystream", &env, "--buckets", "music"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.out.contains("row 1: Alan Turing made\nrow 2: ab refused: its password is not text\n"), "{ran:?}");
    assert!(!format!("{ran:?}").contains("Pr0gRamM1ng"), "{ran:?}");
    home.add_user("root", &["--admin"]);
    let server = home.serve();
    let answer = server.login("alan turing", "Pr0gRamM1ng");
    assert_eq!(answer.status, 200, "{answer:?}");
    let listed = server.get_with("/api/v1/buckets", answer.json()["access_token"].as_str().unwrap());
    assert!(listed.body.contains("music"), "{listed:?}");
}

#[test]
fn a_trial_changes_nothing_and_begins_no_installation() {
    let home = Home::new();
    let table = file(
        &home,
        "users.csv",
        "username,password\nanna,$2b$06$abcdefghijklmnopqrstuu9Qo3COMLmZ0ztzYtbNOTy7.cKK8tzyW\nb\u{7}b,\n",
    );
    let trial = ["--json", "import", "users", &table, "--dry-run"];
    let (rows, all) = told(&home.run(&trial));
    assert_eq!((&rows[0]["result"], &rows[1]["result"]), (&json!("made"), &json!("refused")));
    assert_eq!((&all["made"], &all["refused"], &all["dry_run"]), (&json!(1), &json!(1), &json!(true)));
    // A database that is named is opened; the tables of an empty one are made then.
    assert!(home.database().is_some() || !home.data().exists(), "an installation was begun");

    home.add_user("root", &["--admin"]);
    let server = home.serve();
    assert_eq!(told(&home.run(&trial)).1["made"], 1);
    assert_eq!(server.login("anna", PASSWORD).status, 401);
    assert_eq!(home.run(&["--json", "user", "list"]).json().as_array().unwrap().len(), 1);
}

#[test]
fn an_import_that_was_cut_off_is_run_again_as_it_is() {
    let home = Home::new();
    let head = "username,password,email,groups\n";
    let anna = "anna,!,anna@example.org,\n";
    let first = file(&home, "users.csv", &format!("{head}{anna}bert,!,,family\ncarl,!,ANNA@example.org,\nAnna,!,,\n"));
    let ran = home.run(&["import", "users", &first]);
    assert_eq!(ran.code, Some(1));
    for line in [
        "row 1: anna made",
        "row 2: bert refused: there is no group called family; make it first",
        "row 3: carl refused: row 1 has the same email address",
        "row 4: Anna refused: it is the same account as row 1",
        "4 rows: 1 made, 0 there already, 3 refused",
    ] {
        assert!(ran.out.contains(line), "{line}: {ran:?}");
    }
    home.run(&["group", "add", "family"]).good();
    let rest = file(&home, "rest.csv", &format!("{head}{anna}bert,!,,family\nannа,!,,\nema,!,Anna@Example.org,\n"));
    let ran = home.run(&["import", "users", &rest]);
    for line in [
        "row 1: anna is there already",
        "row 2: bert made",
        "row 3: annа refused:",
        "row 4: ema refused: row 1 has the same email address",
    ] {
        assert!(ran.out.contains(line), "{line}: {ran:?}");
    }
    let family = home.run(&["--json", "group", "show", "family"]).good();
    assert!(family.contains("bert") && !family.contains("anna"), "{family}");
    let taken = file(&home, "taken.csv", &format!("{head}ema,!,Anna@Example.org,\n"));
    assert!(
        home.run(&["import", "users", &taken])
            .out
            .contains("row 1: ema refused: another account has its email address")
    );
}

#[test]
fn nobody_becomes_an_admin_or_comes_back_by_an_import_unless_it_is_said() {
    let home = Home::new();
    let hash = HASHES[1].1;
    let text = format!("username,pword,admin,is_active\nvera,{hash},t,t\nshut,{hash},t,f\n");
    let table = file(&home, "users.csv", &text);
    home.run(&["import", "users", &table, "--admins", "--dry-run"]).good();
    home.run(&["import", "users", &table]).good();
    let role = |name: &str| home.run(&["--json", "user", "show", name]).json()["role"].clone();
    assert_eq!((role("vera"), role("shut")), (json!("user"), json!("user")));
    let again = file(&home, "more.csv", &text.replace("vera", "wera").replace("shut", "shot"));
    home.run(&["import", "users", &again, "--admins"]).good();
    assert_eq!((role("wera"), role("shot")), (json!("admin"), json!("admin")));
    let server = home.serve();
    assert_eq!(server.login("wera", PASSWORD).status, 200);
    assert_eq!(server.login("shot", PASSWORD).status, 401, "shut out there, shut out here");
    assert_eq!(server.login("shut", PASSWORD).status, 401);
}

#[test]
fn a_text_that_is_no_hash_is_no_password_unless_it_is_said() {
    let home = Home::new();
    let table = file(&home, "users.csv", &format!("username,password\nanna,{PASSWORD}\n"));
    let ran = home.run(&["import", "users", &table]);
    assert!(ran.code == Some(1) && ran.out.contains("unknown password scheme"), "{ran:?}");
    home.run(&["import", "users", &table, "--plain-passwords"]).good();
    let all = auth_db(&home, ["'bert', NULL, 'all', ''".to_owned()]);
    let ran = home.run(&["import", "takeout", &all]);
    assert!(ran.code == Some(1) && ran.out.contains("--rename-bucket all="), "{ran:?}");
    home.add_user("root", &["--admin"]);
    let server = home.serve();
    assert_eq!(server.login("anna", PASSWORD).status, 200);
}

#[test]
fn ten_thousand_people_of_takeout_move_in_with_progress() {
    let home = Home::new();
    home.add_user("root", &["--admin"]);
    let server = home.serve();
    let file = auth_db(&home, (0..10_000).map(|n| format!("'person-{n}', NULL, 'music', ''")));
    let ran = home.run(&["--json", "import", "takeout", &file]);
    let (rows, all) = told(&ran);
    assert_eq!((rows.len(), &all["made"], &all["unknown_buckets"]), (10_000, &json!(10_000), &json!([])));
    let progress: Vec<&str> = ran.err.lines().collect();
    assert_eq!((progress[0], progress.len()), ("usher: 1000 of 10000", 9), "{progress:?}");
    for name in ["person-0", "person-9999"] {
        assert_eq!(server.login(name, PASSWORD).status, 200, "{name}");
    }
    let again = home.run(&["--json", "import", "takeout", &file]);
    assert_eq!(told(&again).1["there"], 10_000);
}
