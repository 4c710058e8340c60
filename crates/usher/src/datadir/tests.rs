use super::*;
use crate::seal::{MasterKey, Vault};
use crate::secret::Rng;
use std::fs::Permissions;

type Done = Result<(), Box<dyn std::error::Error>>;

fn chmod(path: &Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(mode))
}

/// A fresh place, and a data directory in it.
fn scene() -> Result<(tempfile::TempDir, DataDir), Box<dyn std::error::Error>> {
    let place = tempfile::tempdir()?;
    let dir = DataDir::open(&place.path().join("data"), Modes::Checked)?;
    Ok((place, dir))
}

fn name(key: &MasterKey) -> String {
    Vault::new(key).check_value()
}

fn key_of(dir: &DataDir, database_is_empty: bool) -> Result<String, Refusal> {
    dir.master_key(&KeySource::DataDirectory, database_is_empty, &Rng::os()).map(|key| name(&key))
}

#[test]
fn the_first_place_that_is_named_wins() {
    let all = Places {
        data: Some("given".into()),
        state_directory: Some("/state/usher:/state/other".into()),
        xdg_data_home: Some("/xdg".into()),
        home: Some("/home/me".into()),
    };
    let of = |places: &Places| places.data_directory().ok().map(|path| path.display().to_string());
    assert_eq!(of(&all).as_deref(), Some("given"));
    let all = Places { data: None, ..all };
    assert_eq!(of(&all).as_deref(), Some("/state/usher"));
    let all = Places { state_directory: Some("".into()), ..all };
    assert_eq!(of(&all).as_deref(), Some("/xdg/usher"));
    let all = Places { xdg_data_home: Some("relative".into()), ..all };
    assert_eq!(of(&all).as_deref(), Some("/home/me/.local/share/usher"));
    let all = Places { home: None, ..all };
    assert!(matches!(all.data_directory(), Err(Refusal::Nowhere)));
}

#[test]
fn a_new_data_directory_is_ours_alone() -> Done {
    let place = tempfile::tempdir()?;
    let dir = DataDir::open(&place.path().join("a/b/data"), Modes::Checked)?;
    assert_eq!(fs::metadata(dir.path())?.permissions().mode() & 0o7777, 0o700);
    assert!(dir.path().is_absolute());
    assert_eq!(dir.database().parent(), Some(dir.path()));
    assert!(DataDir::open(dir.path(), Modes::Checked).is_ok(), "and opens again");
    Ok(())
}

#[test]
fn a_directory_that_others_may_read_is_refused_with_the_remedy() -> Done {
    let (_place, dir) = scene()?;
    for mode in [0o750, 0o705, 0o710, 0o720, 0o777] {
        chmod(dir.path(), mode)?;
        let refusal = DataDir::open(dir.path(), Modes::Checked).err().ok_or("opened")?;
        assert!(matches!(&refusal, Refusal::TooOpen { path, mode: found, .. } if path == dir.path() && *found == mode));
        let text = refusal.to_string();
        assert!(text.contains(&format!("{mode:04o}")) && text.contains("chmod 700 '"), "{text}");
        assert!(DataDir::open(dir.path(), Modes::Trusted).is_ok(), "unless the operator vouches for it");
    }
    Ok(())
}

#[test]
fn a_file_that_others_may_read_is_refused_with_the_remedy() -> Done {
    let (_place, dir) = scene()?;
    for file in ["usher.db", "usher.db-wal", "master.key"] {
        let path = dir.path().join(file);
        fs::write(&path, "secret")?;
        for mode in [0o640, 0o604, 0o644] {
            chmod(&path, mode)?;
            let refusal = DataDir::open(dir.path(), Modes::Checked).err().ok_or("opened")?;
            assert!(matches!(&refusal, Refusal::TooOpen { path: found, .. } if *found == path), "{refusal}");
            assert!(refusal.to_string().contains("chmod 600 '"), "{refusal}");
        }
        chmod(&path, 0o600)?;
        assert!(DataDir::open(dir.path(), Modes::Checked).is_ok());
    }
    Ok(())
}

#[test]
fn a_file_in_the_place_of_the_directory_is_refused() -> Done {
    let place = tempfile::tempdir()?;
    let file = place.path().join("file");
    fs::write(&file, "")?;
    for path in [file.clone(), file.join("below")] {
        let refusal = DataDir::open(&path, Modes::Checked);
        assert!(matches!(refusal, Err(Refusal::NotADirectory { .. })), "{refusal:?}");
    }
    Ok(())
}

#[test]
fn somebody_elses_directory_is_refused() -> Done {
    let (_place, dir) = scene()?;
    let metadata = fs::metadata(dir.path())?;
    // Only root can give a directory away; everybody else meets the rule from the other side.
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(dir.path(), Some(12_345), None)?;
        let refusal = DataDir::open(dir.path(), Modes::Trusted);
        assert!(matches!(refusal, Err(Refusal::NotOurs { owner: 12_345, .. })), "{refusal:?}");
    } else {
        assert_eq!(metadata.uid(), rustix::process::geteuid().as_raw());
    }
    Ok(())
}

#[test]
fn the_master_key_is_made_once_for_an_empty_database() -> Done {
    let (_place, dir) = scene()?;
    let made = key_of(&dir, true)?;
    assert_eq!(key_of(&dir, true)?, made, "a second start before the database exists finds it");
    assert_eq!(key_of(&dir, false)?, made);
    let files: Vec<_> =
        fs::read_dir(dir.path())?.map(|entry| entry.map(|e| e.file_name())).collect::<Result<_, _>>()?;
    assert_eq!(files, ["master.key"], "nothing else is left behind");
    let metadata = fs::metadata(dir.master_key_file())?;
    assert_eq!(metadata.permissions().mode() & 0o7777, 0o600);
    Ok(())
}

#[test]
fn a_missing_master_key_is_asked_for_and_never_made_anew() -> Done {
    let (_place, dir) = scene()?;
    let refusal = key_of(&dir, false).err().ok_or("a key came from nowhere")?;
    assert!(matches!(refusal, Refusal::KeyMissing { .. }));
    assert!(refusal.to_string().contains(&dir.master_key_file().display().to_string()), "{refusal}");
    assert!(!dir.master_key_file().exists());
    Ok(())
}

#[test]
fn a_garbled_master_key_is_refused_even_when_the_database_is_empty() -> Done {
    let (_place, dir) = scene()?;
    key_of(&dir, true)?;
    let good = fs::read_to_string(dir.master_key_file())?;
    let garbled =
        [String::new(), good[..40].into(), good.to_uppercase(), format!("{good}{good}"), "\u{0}".repeat(9000)];
    for text in garbled {
        fs::write(dir.master_key_file(), &text)?;
        for database_is_empty in [true, false] {
            assert!(matches!(key_of(&dir, database_is_empty), Err(Refusal::KeyGarbled { .. })), "{text:?}");
        }
        assert_eq!(fs::read_to_string(dir.master_key_file())?, text, "and left as it was");
    }
    Ok(())
}

#[test]
fn thirty_two_starts_at_once_agree_on_one_key() -> Done {
    let (_place, dir) = scene()?;
    let keys: Vec<Option<String>> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..32).map(|_| scope.spawn(|| key_of(&dir, true).ok())).collect();
        starts.into_iter().map(|start| start.join().ok().flatten()).collect()
    });
    assert!(keys[0].is_some());
    assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
    Ok(())
}

#[test]
fn a_named_key_file_is_read_checked_and_never_made() -> Done {
    let (place, dir) = scene()?;
    let path = place.path().join("key");
    let source = KeySource::choose(Some(&path), None);
    assert_eq!(source, KeySource::File(path.clone()));
    let key = || dir.master_key(&source, true, &Rng::os()).map(|key| name(&key));
    assert!(matches!(key(), Err(Refusal::NamedKeyMissing { .. })));
    assert!(!path.exists());
    fs::write(&path, format!("{}\n", "5a".repeat(32)))?;
    chmod(&path, 0o640)?;
    assert!(matches!(key(), Err(Refusal::TooOpen { mode: 0o640, .. })));
    chmod(&path, 0o400)?;
    assert_eq!(key()?, name(&MasterKey::from_bytes([0x5a; 32])));
    assert!(!dir.master_key_file().exists(), "no second key beside it");
    Ok(())
}

#[test]
fn a_systemd_credential_is_taken_when_it_is_there() -> Done {
    let (place, dir) = scene()?;
    assert_eq!(KeySource::choose(None, Some(place.path())), KeySource::DataDirectory);
    assert_eq!(KeySource::choose(Some(Path::new("")), None), KeySource::DataDirectory);
    let path = place.path().join("usher-master-key");
    fs::write(&path, "5a".repeat(32))?;
    chmod(&path, 0o440)?;
    let source = KeySource::choose(None, Some(place.path()));
    assert_eq!(source, KeySource::Credential(path.clone()));
    assert_eq!(name(&dir.master_key(&source, false, &Rng::os())?), name(&MasterKey::from_bytes([0x5a; 32])));
    chmod(&path, 0o444)?;
    assert!(matches!(dir.master_key(&source, false, &Rng::os()), Err(Refusal::TooOpen { .. })));
    Ok(())
}

#[test]
fn what_is_no_plain_file_is_no_key() -> Done {
    let (_place, dir) = scene()?;
    fs::create_dir(dir.master_key_file())?;
    assert!(matches!(key_of(&dir, true), Err(Refusal::KeyGarbled { .. })));
    fs::remove_dir(dir.master_key_file())?;
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, dir.master_key_file(), rustix::fs::FileType::Fifo, mode, 0)?;
    assert!(matches!(key_of(&dir, true), Err(Refusal::KeyGarbled { .. })), "and a pipe does not hang us");
    Ok(())
}
