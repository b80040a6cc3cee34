//! The files of the profiles that a backup contains.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use crate::profiles::file::{CHECKPOINT, DAMAGED};

/// The length of an id in hex.
const ID_LENGTH: usize = 64;

/// Returns true for the name of a file that belongs to a profile: a saved version, a checkpoint, or
/// a damaged version. Drafts are not a part of a profile.
pub(crate) fn is_profile_file(name: &str) -> bool {
    let (id, extension) = name.split_once('.').unwrap_or((name, ""));
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    id.len() == ID_LENGTH
        && id.bytes().all(is_digit)
        && (!name.contains('.') || [CHECKPOINT, DAMAGED].contains(&extension))
}

/// Returns the names of the files in the directory of all profiles that a backup contains, in the
/// order in which it must read them. Returns none if the directory does not exist.
///
/// Checkpoints come first. If a profile is saved after its checkpoint was read, the backup contains
/// the newer version, for which the checkpoint is void. In the other order, a checkpoint would
/// continue a version that the backup does not contain.
pub(crate) fn backed_up_files(dir: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        if let Ok(name) = entry?.file_name().into_string()
            && is_profile_file(&name)
        {
            names.push(name);
        }
    }
    let is_checkpoint = |name: &String| name.ends_with(CHECKPOINT);
    names.sort_by_key(|name| (!is_checkpoint(name), name.clone()));
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checkpoints_precede_profiles_and_drafts_are_left_out() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (one, two) = ("a".repeat(ID_LENGTH), "0".repeat(ID_LENGTH));
        let names = [
            one.clone(),
            format!("{two}.new"),
            format!("{one}.checkpoint"),
            two.clone(),
            "README".to_owned(),
            format!("{one}."),
            format!("{two}.damaged"),
        ];
        for name in &names {
            fs::write(dir.path().join(name), "").expect("written");
        }
        let expected = [
            format!("{one}.checkpoint"),
            two.clone(),
            format!("{two}.damaged"),
            one,
        ];
        assert_eq!(backed_up_files(dir.path()).expect("read"), expected);
        let missing = dir.path().join("missing");
        assert!(backed_up_files(&missing).expect("none").is_empty());
    }
}
