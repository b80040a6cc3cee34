//! `hearth backup` and `hearth restore`, on the data directories of real servers.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use hearth_test_support::{Site, TestServer, binary, new_data_dir};
use serde_json::json;
use tempfile::TempDir;

use crate::profiles::faults::{Fault, Faults, MAX_CHANGES};
use crate::profiles::scenario::{all, keep, kept, saved, saving};

/// Runs `hearth` with a data dir.
fn hearth(data_dir: &Path, arguments: &[&str], faults: &[(&str, String)]) -> Output {
    let output = Command::new(binary())
        .args(arguments)
        .env_clear()
        .env("HEARTH_DATA_DIR", data_dir)
        .envs(faults.iter().map(|(name, value)| (name, value)))
        .output();
    output.expect("the program can be started")
}

/// Runs `hearth` and asserts that it fails with this code and a message that contains `words`.
#[track_caller]
fn assert_refused(data_dir: &Path, arguments: &[&str], code: i32, words: &str) {
    let output = hearth(data_dir, arguments, &[]);
    assert_failed(&output, arguments, code, words);
}

/// Asserts that `hearth` has failed with this code and a message that contains `words`.
#[track_caller]
fn assert_failed(output: &Output, arguments: &[&str], code: i32, words: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.code() == Some(code) && stderr.contains(words),
        "{arguments:?}: {output:?}"
    );
}

#[track_caller]
fn assert_done(output: &Output) {
    assert!(output.status.success(), "{output:?}");
}

/// Returns the content of all files of a data dir, without those that are not data.
fn content(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![dir.to_owned()];
    while let Some(here) = waiting.pop() {
        for entry in fs::read_dir(here).expect("a dir") {
            let path = entry.expect("an entry").path();
            let name = path.strip_prefix(dir).expect("below").to_owned();
            if path.is_dir() {
                if !["s", "restore"]
                    .iter()
                    .any(|other| name == Path::new(other))
                {
                    waiting.push(path);
                }
            } else if name != Path::new("lock") {
                found.insert(name, fs::read(&path).expect("read"));
            }
        }
    }
    found
}

/// Creates a data dir with the store of a server and one file as a profile.
async fn data_with(profile: &str) -> TempDir {
    let dir = new_data_dir();
    let server = TestServer::builder().without_browser().data_dir(dir.path());
    server.start().await.stop().await;
    let path = dir.path().join("profiles").join("0f".repeat(32));
    fs::write(path, profile).expect("written");
    dir
}

/// Copies a data dir.
fn copy_of(dir: &TempDir) -> TempDir {
    let copy = new_data_dir();
    for (name, bytes) in content(dir.path()) {
        let path = copy.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a dir");
        fs::write(path, bytes).expect("written");
    }
    copy
}

/// Backs up a data dir into a file in a new dir.
fn backup_of(dir: &TempDir) -> (TempDir, String) {
    let to = tempfile::tempdir().expect("a dir");
    let file = to.path().join("b.tar.zst").to_string_lossy().into_owned();
    assert_done(&hearth(dir.path(), &["backup", &file], &[]));
    (to, file)
}

#[tokio::test]
async fn a_backup_of_a_running_server_restores_profiles_and_records_into_a_new_dir() {
    let (dir, site) = (new_data_dir(), Site::start().await);
    let server = TestServer::builder().data_dir(dir.path()).start().await;
    let ended = server.session_with(&saving("shop")).await;
    keep(&ended, &site, "saved").await;
    ended.delete().await;
    let running = server.session_with(&saving("other")).await;
    keep(&running, &site, "not saved yet").await;
    let (to, file) = backup_of(&dir);
    let names: Vec<_> = fs::read_dir(to.path())
        .expect("a dir")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    assert_eq!(names, ["b.tar.zst"]);
    let mode = fs::metadata(&file)
        .expect("the backup")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(kept(&running, &site).await, all("not saved yet"));
    // The data of the running server cannot be replaced.
    let words = "another hearth server uses";
    assert_refused(dir.path(), &["restore", &file, "--replace"], 78, words);
    running.delete().await;
    server.stop().await;

    let new = new_data_dir();
    assert_done(&hearth(new.path(), &["restore", &file], &[]));
    let server = TestServer::builder().data_dir(new.path()).start().await;
    assert_eq!(saved(&server, &site, "shop").await, all("saved"));
    let listed = server.list("?status=destroyed").await.ok();
    let reasons: BTreeMap<&str, &str> = listed["sessions"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|session| Some((session["id"].as_str()?, session["status"].as_str()?)))
        .collect();
    for id in [ended.id(), running.id()] {
        assert_eq!(reasons.get(id), Some(&"destroyed"), "{listed}");
    }
    let profiles = server
        .send(server.request(reqwest::Method::GET, "/profiles"))
        .await
        .ok();
    assert_eq!(profiles["profiles"][0]["name"], json!("shop"), "{profiles}");
    server.stop().await;
}

#[tokio::test]
async fn a_changed_or_cut_backup_changes_nothing() {
    let (old, new) = (data_with("old").await, data_with("new").await);
    let (_old_to, old_file) = backup_of(&old);
    let (to, file) = backup_of(&new);
    let restore_old = || {
        let arguments = ["restore", &old_file, "--replace"];
        assert_done(&hearth(old.path(), &arguments, &[]));
        content(old.path())
    };
    let (before, complete) = (restore_old(), content(copy_restored(&file).path()));
    let bytes = fs::read(&file).expect("the backup");
    let damaged = to.path().join("damaged").to_string_lossy().into_owned();
    let arguments = ["restore", &damaged, "--replace"];
    for at in (0..bytes.len())
        .step_by(bytes.len() / 40 + 1)
        .chain([bytes.len() - 1])
    {
        let mut changed = bytes.clone();
        changed[at] ^= 0x55;
        for bytes in [&changed[..], &bytes[..at]] {
            fs::write(&damaged, bytes).expect("written");
            let output = hearth(old.path(), &arguments, &[]);
            if output.status.success() {
                // zstd can encode the same content in several ways, such as a copy of other zeros.
                assert_eq!(content(old.path()), complete, "byte {at}");
                restore_old();
            } else {
                assert_failed(&output, &arguments, 1, "Nothing was changed");
            }
            assert_eq!(content(old.path()), before, "byte {at}");
            assert!(!old.path().join("restore").exists());
        }
    }
    fs::write(&damaged, &bytes).expect("written");
    assert_done(&hearth(old.path(), &arguments, &[]));
    assert_eq!(content(old.path()), complete);
}

/// Restores a backup into a new dir.
fn copy_restored(file: &str) -> TempDir {
    let dir = new_data_dir();
    assert_done(&hearth(dir.path(), &["restore", file], &[]));
    dir
}

#[tokio::test]
async fn neither_command_overwrites_anything_that_it_was_not_told_to() {
    let data = data_with("old").await;
    let (to, file) = backup_of(&data);
    assert_refused(data.path(), &["backup", &file], 1, "it exists\n  fix: ");
    let before = content(data.path());
    let words = "it is not empty\n  fix: add --replace";
    assert_refused(data.path(), &["restore", &file], 1, words);
    let missing = to.path().join("missing").to_string_lossy().into_owned();
    let not_found = "No such file or directory (os error 2)\n";
    let words = format!("hearth: cannot read {missing}: {not_found}");
    assert_refused(data.path(), &["restore", &missing], 1, &words);
    let below = format!("{missing}/file");
    let words = format!("hearth: cannot write {below}.partial: {not_found}");
    assert_refused(data.path(), &["backup", &below], 1, &words);
    let other = to.path().join("other").to_string_lossy().into_owned();
    let long = "x".repeat(100_000);
    for text in ["", "no archive", long.as_str()] {
        fs::write(&other, text).expect("written");
        let arguments = ["restore", &other, "--replace"];
        assert_refused(data.path(), &arguments, 1, "it is not a backup of Hearth");
    }
    assert_eq!(content(data.path()), before);
    let empty = new_data_dir();
    let words = "contains no data\n  fix: set HEARTH_DATA_DIR";
    assert_refused(empty.path(), &["backup", &missing], 78, words);
}

#[tokio::test]
async fn a_backup_with_any_failed_change_is_whole_or_absent() {
    let (faults, data) = (Faults::new(), data_with("x").await);
    for fault in [Fault::Error, Fault::Full] {
        let mut failures = 0;
        for at in 1..MAX_CHANGES {
            let to = tempfile::tempdir().expect("a dir");
            let file = to.path().join("b").to_string_lossy().into_owned();
            let environment = faults.environment(to.path());
            faults.order(fault, at);
            let output = hearth(data.path(), &["backup", &file], &environment);
            let seen = faults.stop();
            if output.status.success() {
                copy_restored(&file);
                if seen < at {
                    assert!(failures > 5, "{fault:?}: {failures} of {seen} changes");
                    break;
                }
                // SQLite ignores a failed sync of the directory of its journal.
                continue;
            }
            failures += 1;
            if Path::new(&file).exists() {
                // The last change makes the name durable.
                copy_restored(&file);
            } else if matches!(fault, Fault::Error) {
                let names: Vec<_> = fs::read_dir(to.path()).expect("a dir").collect();
                assert!(names.is_empty(), "{names:?} after change {at}");
            }
        }
    }
}

#[tokio::test]
async fn a_restore_with_any_failed_change_loses_neither_the_old_nor_the_new_data() {
    let faults = Faults::new();
    let (old, new) = (data_with("old").await, data_with("new").await);
    let (_to, file) = backup_of(&new);
    let (before, after) = (content(old.path()), content(copy_restored(&file).path()));
    assert_ne!(before, after);
    let arguments = ["restore", &file, "--replace"];
    let mut interruptions = 0;
    for fault in [Fault::Error, Fault::Death, Fault::Full] {
        for at in 1..MAX_CHANGES {
            let dir = copy_of(&old);
            let environment = faults.environment(dir.path());
            faults.order(fault, at);
            let output = hearth(dir.path(), &arguments, &environment);
            let seen = faults.stop();
            let left = content(dir.path());
            if output.status.success() {
                assert_eq!(left, after, "{fault:?} of change {at}");
                if seen < at {
                    break;
                }
                continue;
            }
            if dir.path().join("replaced").exists() {
                interruptions += 1;
                for (name, bytes) in &before {
                    let moved = left.get(&Path::new("replaced").join(name));
                    let found = moved.or_else(|| left.get(name));
                    assert_eq!(
                        found,
                        Some(bytes),
                        "{name:?} after {fault:?} of change {at}"
                    );
                }
            } else {
                assert!(left == before || left == after, "{fault:?} of change {at}");
            }
            assert_done(&hearth(dir.path(), &arguments, &[]));
            assert_eq!(content(dir.path()), after, "{fault:?} of change {at}");
        }
    }
    assert!(interruptions > 0);
}

#[tokio::test]
async fn no_server_starts_on_data_that_is_only_partly_replaced() {
    let data = data_with("new").await;
    let (to, file) = backup_of(&data);
    let replaced = data.path().join("replaced");
    fs::create_dir(&replaced).expect("a dir");
    fs::rename(data.path().join("hearth.db"), replaced.join("hearth.db")).expect("moved");
    let builder = || {
        TestServer::builder()
            .without_browser()
            .data_dir(data.path())
    };
    let rejection = builder().refused().await;
    assert_eq!(rejection.code, Some(78), "{rejection:?}");
    let fix = "fix: run `hearth restore FILE --replace` again";
    assert!(rejection.stderr.contains(fix), "{}", rejection.stderr);
    let other = to.path().join("other").to_string_lossy().into_owned();
    assert_refused(data.path(), &["backup", &other], 78, fix);
    assert_done(&hearth(data.path(), &["restore", &file, "--replace"], &[]));
    assert!(!replaced.exists());
    builder().start().await.stop().await;
}
