//! A fuzz target for unpacking profiles. An input is a tar archive, because a change of a
//! compressed one would only fail its checksum.

use std::fs;
use std::os::unix::fs::MetadataExt;

use hearth_fuzz::{Result as Generated, Target, Unstructured};
use tempfile::tempfile;

use super::*;
use crate::files::remove::remove_tree;

/// The maximum size of all files of an archive.
const LIMIT_BYTES: u64 = 4096;

/// A path that no archive may create.
const OUTSIDE: &str = "/hearth-fuzz-outside";

const NAMES: &[&str] = &[
    "a",
    "a/b",
    "a/b/c",
    "a/",
    "b",
    ".",
    "./b",
    "..",
    "../canary",
    "a/../../canary",
    "link/x",
    "/hearth-fuzz-outside/x",
    "//hearth-fuzz-outside",
    "",
    "\u{e9}",
];

/// Types of entries: files, links, devices, directories, FIFOs, long names, extensions.
const KINDS: &[u8] = b"00000\x00123456 7LKxgS";

fn push_entry(archive: &mut Vec<u8>, kind: u8, name: &[u8], announced: u64, content: &[u8]) {
    let mut header = tar::Header::new_gnu();
    let field = &mut header.as_old_mut().name;
    let length = name.len().min(field.len());
    field[..length].copy_from_slice(&name[..length]);
    let link = b"../canary";
    header.as_old_mut().linkname[..link.len()].copy_from_slice(link);
    header.set_entry_type(tar::EntryType::new(kind));
    header.set_mode(0o6777);
    header.set_size(announced);
    header.set_cksum();
    archive.extend_from_slice(header.as_bytes());
    archive.extend_from_slice(content);
    archive.resize(archive.len().next_multiple_of(512), 0);
}

/// Returns a record of an extended header, such as `12 path=abc\n`.
fn record(name: &str, value: &str) -> Vec<u8> {
    let rest = format!(" {name}={value}\n");
    let digits = if rest.len() < 9 { 1 } else { 2 };
    format!("{}{rest}", rest.len() + digits).into_bytes()
}

fn generate(random: &mut Unstructured<'_>) -> Generated<Vec<u8>> {
    let mut archive = Vec::new();
    for _ in 0..random.int_in_range(1..=6)? {
        let kind = *random.choose(KINDS)?;
        let name = random.choose(NAMES)?.as_bytes();
        let content = match kind {
            b'L' | b'K' => random
                .choose(NAMES)?
                .repeat(random.int_in_range(1..=200)?)
                .into(),
            b'x' | b'g' => {
                let value = random.choose(&["5000", "0", "99999999999", "../canary", "a/b"])?;
                record(random.choose(&["size", "path", "linkpath", "uid"])?, value)
            }
            _ => vec![b'x'; random.int_in_range(0..=1500)?],
        };
        let announced = if random.ratio(1, 10)? {
            *random.choose(&[0, 1, 512, 5000, u64::MAX, u64::MAX / 2, 1 << 33])?
        } else {
            content.len() as u64
        };
        push_entry(&mut archive, kind, name, announced, &content);
    }
    archive.resize(archive.len() + 1024, 0);
    Ok(archive)
}

fn compressed(archive: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), LEVEL).expect("an encoder");
    encoder.include_checksum(true).expect("a known option");
    encoder.write_all(archive).expect("memory takes everything");
    encoder.finish().expect("memory takes everything")
}

fn file(bytes: &[u8]) -> File {
    let mut file = tempfile().expect("a file");
    file.write_all(bytes).expect("written");
    file.seek(SeekFrom::Start(0)).expect("rewound");
    file
}

/// Returns the paths below `dir` with the sizes of files. Asserts that only plain files and
/// directories exist, without special modes.
fn plain_files(dir: &Path) -> Vec<(PathBuf, Option<u64>)> {
    let mut found = Vec::new();
    let mut waiting = vec![dir.to_owned()];
    while let Some(here) = waiting.pop() {
        // A plain user cannot list a directory with mode 0.
        for entry in fs::read_dir(here).into_iter().flatten() {
            let path = entry.expect("an entry").path();
            let about = fs::symlink_metadata(&path).expect("it exists");
            assert!(about.is_file() || about.is_dir(), "{path:?} is neither");
            assert_eq!(about.mode() & 0o7000, 0, "{path:?} has a special mode");
            let bytes = about.is_file().then_some(about.len());
            if about.is_dir() {
                waiting.push(path.clone());
            } else {
                assert_eq!(about.nlink(), 1, "{path:?} is linked");
            }
            found.push((
                path.strip_prefix(dir).expect("it is below").to_owned(),
                bytes,
            ));
        }
    }
    found.sort();
    found
}

/// Unpacks `archive` into a directory beside a canary, and checks everything that exists then.
fn check_archive(root: &Path, archive: &[u8]) {
    let (dir, canary) = (root.join("profile"), root.join("canary"));
    fs::create_dir(&dir).expect("made");
    fs::write(&canary, "kept").expect("written");
    let unpacked = unpack(file(archive), &dir, LIMIT_BYTES);
    assert_eq!(fs::read_to_string(&canary).expect("it exists"), "kept");
    assert_eq!(fs::metadata(&canary).expect("it exists").nlink(), 1);
    assert_eq!(fs::read_dir(root).expect("a dir").count(), 2);
    assert!(!Path::new(OUTSIDE).exists());
    let files = plain_files(&dir);
    let bytes: u64 = files.iter().filter_map(|(_, bytes)| *bytes).sum();
    assert!(bytes <= LIMIT_BYTES, "{bytes} bytes");
    match unpacked {
        Ok(()) => {
            let mut packed = tempfile().expect("a file");
            let copy = packed.try_clone().expect("cloned");
            pack(&dir, &[], LIMIT_BYTES, copy).expect("packed again");
            packed.seek(SeekFrom::Start(0)).expect("rewound");
            remove_tree(&dir).expect("removed");
            fs::create_dir(&dir).expect("made");
            unpack(packed, &dir, LIMIT_BYTES).expect("unpacked again");
            assert_eq!(plain_files(&dir), files);
        }
        Err(error) => assert!(error.to_string().len() < 64 * 1024),
    }
    remove_tree(&dir).expect("removed");
}

#[test]
fn archives_write_only_plain_files_below_their_directory() {
    let target = Target {
        name: "profile-archive",
        words: &[
            "../",
            "/hearth-fuzz-outside",
            "ustar  \0",
            "ustar\0",
            "0000644\0",
            "22 path=../canary\n",
        ],
        inputs: 300,
        max_bytes: 64 * 1024,
    };
    let root = tempfile::tempdir().expect("a dir");
    target.run(generate, |input| {
        // Left by a check that failed.
        remove_tree(&root.path().join("profile")).expect("removed");
        check_archive(root.path(), &compressed(&with_checksums(input)));
        check_archive(root.path(), &compressed(input));
        check_archive(root.path(), input);
    });
}

/// Repairs the checksums of the headers, which a mutation has probably broken.
fn with_checksums(archive: &[u8]) -> Vec<u8> {
    let mut repaired = archive.to_vec();
    let mut at = 0;
    while let Some(block) = repaired.get_mut(at..at + 512) {
        let mut header = tar::Header::new_old();
        header.as_mut_bytes().copy_from_slice(block);
        let content = header.entry_size().unwrap_or(0);
        if block.iter().any(|byte| *byte != 0) {
            header.set_cksum();
            block.copy_from_slice(header.as_bytes());
        }
        let Some(next) = usize::try_from(content)
            .ok()
            .and_then(|content| content.checked_next_multiple_of(512))
            .and_then(|content| content.checked_add(at + 512))
        else {
            break;
        };
        at = next;
    }
    repaired
}
