//! Tests of files that hostile code prepares for the worker.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, symlink};
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::{TempDir, tempdir};

use super::*;

const SECRET: &str = "outside";

/// A session's directory, and a directory outside it with a secret.
struct Dirs {
    work: TempDir,
    outside: TempDir,
}

/// Stops a thread when it is dropped, also by a panic.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn dirs() -> Dirs {
    let (work, outside) = (tempdir().expect("a dir"), tempdir().expect("a dir"));
    fs::write(outside.path().join("secret"), SECRET).expect("written");
    Dirs { work, outside }
}

fn path(text: &str) -> RelativePath {
    RelativePath::parse(text).expect("a valid path")
}

fn errno<T>(result: io::Result<T>) -> Option<Errno> {
    let error = result.err()?;
    error.raw_os_error().map(Errno::from_raw)
}

fn content(mut file: File) -> String {
    let mut text = String::new();
    file.read_to_string(&mut text).expect("readable");
    text
}

#[test]
fn a_regular_file_is_opened_below_its_directories() {
    let Dirs { work, .. } = dirs();
    fs::create_dir_all(work.path().join("a/b")).expect("made");
    fs::write(work.path().join("a/b/c.txt"), "inside").expect("written");
    let file = open_file(work.path(), &path("a/b/c.txt")).expect("opened");
    assert_eq!(content(file), "inside");
    let missing = |text| errno(open_file(work.path(), &path(text)));
    assert_eq!(missing("a/b/d"), Some(Errno::ENOENT));
    assert_eq!(missing("x/b/c.txt"), Some(Errno::ENOENT));
    assert_eq!(missing("a/b/c.txt/d"), Some(Errno::ENOTDIR));
}

#[test]
fn links_are_never_followed() {
    let Dirs { work, outside } = dirs();
    symlink(outside.path(), work.path().join("dir")).expect("linked");
    symlink(outside.path().join("secret"), work.path().join("file")).expect("linked");
    symlink("/proc/self", work.path().join("proc")).expect("linked");
    let dir = work.path();
    let opened = |text| errno(open_file(dir, &path(text)));
    assert_eq!(opened("file"), Some(Errno::ELOOP));
    assert_eq!(opened("dir/secret"), Some(Errno::ENOTDIR));
    assert_eq!(opened("proc/environ"), Some(Errno::ENOTDIR));
    let listed = list_dir(dir, Some(&path("dir")));
    assert_eq!(errno(listed), Some(Errno::ENOTDIR));
    let created = create_part(dir, &path("dir/new"), 1);
    assert_eq!(errno(created), Some(Errno::ENOTDIR));
    let removed = remove_file(dir, &path("dir/secret"));
    assert_eq!(errno(removed), Some(Errno::ENOTDIR));
    // The links themselves are files of the session.
    remove_file(dir, &path("dir")).expect("removed");
    create_part(dir, &path("file"), 2).expect("created");
    place_part(dir, &path("file"), 2).expect("placed");
    let names: Vec<_> = fs::read_dir(outside.path()).expect("read").collect();
    assert_eq!(names.len(), 1);
    let secret = fs::read_to_string(outside.path().join("secret"));
    assert_eq!(secret.expect("it is still there"), SECRET);
}

#[test]
fn pipes_sockets_and_directories_are_rejected_at_once() {
    let Dirs { work, .. } = dirs();
    let dir = work.path();
    nix::unistd::mkfifo(&dir.join("pipe"), Mode::S_IRWXU).expect("made");
    let _listener = UnixListener::bind(dir.join("socket")).expect("bound");
    fs::create_dir(dir.join("dir")).expect("made");
    let start = Instant::now();
    let opened = |text| errno(open_file(dir, &path(text)));
    assert_eq!(opened("pipe"), Some(Errno::ENXIO));
    assert_eq!(opened("socket"), Some(Errno::ENXIO));
    assert_eq!(opened("dir"), Some(Errno::EISDIR));
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_file_that_is_swapped_with_a_link_never_leads_outside() {
    let Dirs { work, outside } = dirs();
    let dir = work.path().to_owned();
    let link_to = outside.path().to_owned();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                // The name is in turn a file, a link and a directory. A step may find nothing.
                let _ = fs::write(dir.join("swapped.new"), "inside");
                let _ = fs::rename(dir.join("swapped.new"), dir.join("swapped"));
                let _ = symlink(link_to.join("secret"), dir.join("link"));
                let _ = fs::rename(dir.join("link"), dir.join("swapped"));
                let _ = fs::create_dir(dir.join("way"));
                let _ = fs::write(dir.join("way/secret"), "inside");
                let _ = fs::rename(dir.join("way"), dir.join("way.old"));
                let _ = symlink(&link_to, dir.join("way"));
                let _ = fs::remove_file(dir.join("way"));
                let _ = fs::remove_dir_all(dir.join("way.old"));
            }
        });
        let _stop = Stop(&stop);
        let mut opened = 0;
        for number in 0..20_000 {
            let name = if number % 2 == 0 {
                "swapped"
            } else {
                "way/secret"
            };
            if let Ok(file) = open_file(&dir, &path(name)) {
                // The file is empty between its creation and the write.
                assert!(["", "inside"].contains(&content(file).as_str()));
                opened += 1;
            }
            if create_part(&dir, &path("way/new"), number).is_ok() {
                let _ = place_part(&dir, &path("way/new"), number);
            }
            let _ = remove_file(&dir, &path("way/secret"));
        }
        assert!(opened > 0, "no file was ever opened");
    });
    let names: Vec<_> = fs::read_dir(outside.path()).expect("read").collect();
    assert_eq!(names.len(), 1);
    let secret = fs::read_to_string(outside.path().join("secret"));
    assert_eq!(secret.expect("it is still there"), SECRET);
}

#[test]
fn a_part_becomes_visible_when_it_is_complete() {
    let Dirs { work, .. } = dirs();
    let dir = work.path();
    let target = path("new/dir/file");
    let mut part = create_part(dir, &target, 7).expect("created");
    part.write_all(b"first").expect("written");
    assert_eq!(
        errno(open_file(dir, &target)),
        Some(Errno::ENOENT),
        "it is not complete"
    );
    place_part(dir, &target, 7).expect("placed");
    assert_eq!(content(open_file(dir, &target).expect("opened")), "first");
    // Replaces the content, but not that of readers.
    let reader = open_file(dir, &target).expect("opened");
    create_part(dir, &target, 8).expect("created");
    place_part(dir, &target, 8).expect("placed");
    assert_eq!(content(reader), "first");
    assert_eq!(content(open_file(dir, &target).expect("opened")), "");
    // An upload that ends early leaves nothing.
    create_part(dir, &target, 9).expect("created");
    remove_part(dir, &target, 9).expect("removed");
    remove_part(dir, &target, 9).expect("a missing one is fine");
    let names: Vec<_> = fs::read_dir(dir.join("new/dir")).expect("read").collect();
    assert_eq!(names.len(), 1);
}

#[test]
fn a_part_replaces_pipes_and_no_directories() {
    let Dirs { work, .. } = dirs();
    let dir = work.path();
    nix::unistd::mkfifo(&dir.join("pipe"), Mode::S_IRWXU).expect("made");
    create_part(dir, &path("pipe"), 1).expect("created");
    place_part(dir, &path("pipe"), 1).expect("placed");
    let is_pipe = fs::metadata(dir.join("pipe")).map(|about| about.file_type().is_fifo());
    assert!(!is_pipe.expect("it exists"));
    create_part(dir, &path("later"), 2).expect("created");
    fs::create_dir(dir.join("later")).expect("made");
    assert_eq!(
        errno(create_part(dir, &path("later"), 3)),
        Some(Errno::EISDIR)
    );
    assert_eq!(
        errno(place_part(dir, &path("later"), 2)),
        Some(Errno::EISDIR)
    );
}

#[test]
fn only_files_and_empty_directories_are_removed() {
    let Dirs { work, .. } = dirs();
    let dir = work.path();
    fs::create_dir_all(dir.join("full/inner")).expect("made");
    let removed = |text| errno(remove_file(dir, &path(text)));
    assert_eq!(removed("full"), Some(Errno::ENOTEMPTY));
    assert_eq!(removed("full/inner"), None);
    assert_eq!(removed("full"), None);
    assert_eq!(removed("full"), Some(Errno::ENOENT));
}

#[test]
fn a_listing_has_every_kind_in_the_order_of_names() {
    let Dirs { work, outside } = dirs();
    let dir = work.path();
    fs::create_dir(dir.join("b")).expect("made");
    fs::write(dir.join("a"), "12345").expect("written");
    symlink(outside.path(), dir.join("c")).expect("linked");
    nix::unistd::mkfifo(&dir.join("d"), Mode::S_IRWXU).expect("made");
    let listing = list_dir(dir, None).expect("listed");
    let listed: Vec<_> = listing
        .entries
        .iter()
        .map(|entry| (entry.name.as_str(), entry.kind))
        .collect();
    assert_eq!(
        listed,
        [
            ("a", EntryKind::File),
            ("b", EntryKind::Directory),
            ("c", EntryKind::Link),
            ("d", EntryKind::Other),
        ]
    );
    assert_eq!(listing.entries[0].bytes, 5);
    assert!(listing.entries[0].modified_ms > 1_600_000_000_000);
    assert!(!listing.is_truncated);
    let below = list_dir(dir, Some(&path("b"))).expect("listed");
    assert_eq!(below, Listing::default());
    assert_eq!(errno(list_dir(dir, Some(&path("a")))), Some(Errno::ENOTDIR));
}

#[test]
fn a_listing_has_limits() {
    let Dirs { work, .. } = dirs();
    let dir = work.path();
    for number in 0..MAX_ENTRIES + 5 {
        File::create(dir.join(format!("{number:06}"))).expect("made");
    }
    let listing = list_dir(dir, None).expect("listed");
    assert_eq!(listing.entries.len(), MAX_ENTRIES);
    assert_eq!(listing.entries[0].name, "000000");
    assert!(listing.is_truncated);
    // JSON writes a control character as six bytes.
    let long = work.path().join("long");
    fs::create_dir(&long).expect("made");
    for number in 0..2000 {
        let name = format!("{number:06}{}", "\u{1}".repeat(249));
        File::create(long.join(name)).expect("made");
    }
    let listing = list_dir(&long, None).expect("listed");
    let bytes = serde_json::to_vec(&listing.entries).expect("encoded").len();
    assert!(
        listing.is_truncated && bytes <= MAX_LISTING_BYTES,
        "{bytes}"
    );
    assert!(bytes > MAX_LISTING_BYTES / 2, "{bytes}");
}

#[test]
fn the_path_of_a_directory_counts_for_each_entry() {
    let Dirs { work, .. } = dirs();
    let names = ["\u{1}".repeat(250), "\u{2}".repeat(250)];
    let deep = work.path().join(&names[0]).join(&names[1]);
    fs::create_dir_all(&deep).expect("made");
    for number in 0..2000 {
        File::create(deep.join(format!("{number:06}"))).expect("made");
    }
    let path = names.join("/");
    let listing = list_dir(
        work.path(),
        Some(&RelativePath::parse(&path).expect("a valid path")),
    )
    .expect("listed");
    let escaped = serde_json::to_vec(&path).expect("encoded").len();
    assert!(listing.is_truncated);
    assert!(
        listing.entries.len() * escaped <= MAX_LISTING_BYTES,
        "{}",
        listing.entries.len()
    );
    assert!(!listing.entries.is_empty());
}
