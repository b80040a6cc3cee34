//! The list of profiles at startup, read from the files.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use jiff::Timestamp;

use crate::profiles::file::{CHECKPOINT, DAMAGED, DRAFT, Head, remove};
use crate::profiles::id::ProfileId;
use crate::store::ProfileRecord;
use crate::team::Team;

/// Removes drafts and returns the profiles that exist: saved profiles, and profiles of which a
/// crash left only a checkpoint. Blocks.
pub(super) fn scan(dir: &Path) -> io::Result<Vec<ProfileRecord>> {
    let mut found: Vec<ProfileRecord> = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let kind = path
            .extension()
            .map(|extension| extension.to_string_lossy().into_owned());
        match kind.as_deref() {
            Some(DRAFT) => remove(&path)?,
            Some(DAMAGED) => {}
            Some(CHECKPOINT) if path.with_extension("").exists() => {}
            _ => found.extend(read(&path)),
        }
    }
    Ok(found)
}

/// Reads a profile. Returns `None` if it is damaged, which its next checkout reports.
fn read(path: &Path) -> Option<ProfileRecord> {
    let mut file = File::open(path).ok()?;
    let head = Head::read(&mut file).ok()?;
    let ProfileId { team, name, id } = ProfileId::new(Team::from(head.team), head.name);
    if path.file_stem()?.to_str()? != id {
        return None;
    }
    let saved_at = Timestamp::from_millisecond(head.saved_at_ms).ok()?;
    Some(ProfileRecord {
        id,
        team,
        name,
        size_bytes: file.metadata().ok()?.len(),
        saved_at,
    })
}
