//! The keys of objects: `profiles/<id of the profile>/<name>`.

use uuid::Uuid;

/// The start of all keys.
pub(super) const DIR: &str = "profiles";

/// The key of the mark of the cluster's object storage.
pub(super) const MARK: &str = "profiles/store";

const CHECKPOINT: &str = "checkpoint";
const DAMAGED: &str = "damaged";

/// The content of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// A saved version, and the fence of its lease.
    Version { fence: i64 },
    /// The cookies of a session that runs, or has crashed.
    Checkpoint,
    /// The last damaged version, for people.
    Damaged,
}

/// Returns the name of a new version.
pub(super) fn new_version(fence: i64) -> String {
    format!("{fence}-{}", Uuid::now_v7())
}

/// Returns the key of a version of the profile `id`.
pub(super) fn version_key(id: &str, version: &str) -> String {
    format!("{DIR}/{id}/{version}")
}

/// Returns the key of the checkpoint of the profile `id`.
pub(super) fn checkpoint_key(id: &str) -> String {
    format!("{DIR}/{id}/{CHECKPOINT}")
}

/// Returns the key of the last damaged version of the profile `id`.
pub(super) fn damaged_key(id: &str) -> String {
    format!("{DIR}/{id}/{DAMAGED}")
}

/// Returns the profile that a key belongs to, the name of the object, and its content. Returns
/// `None` for an object that is not Hearth's.
pub(super) fn parse_key(key: &str) -> Option<(&str, &str, Content)> {
    let mut parts = key.split('/');
    let (Some(DIR), Some(id), Some(name), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    let content = match name {
        CHECKPOINT => Content::Checkpoint,
        DAMAGED => Content::Damaged,
        _ => {
            let (fence, unique) = name.split_once('-')?;
            Uuid::try_parse(unique).ok()?;
            Content::Version {
                fence: fence.parse().ok()?,
            }
        }
    };
    Some((id, name, content))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_back() {
        let version = new_version(17);
        let key = version_key("ab", &version);
        let expected = ("ab", version.as_str(), Content::Version { fence: 17 });
        assert_eq!(parse_key(&key), Some(expected));
        assert_eq!(
            parse_key(&checkpoint_key("ab")),
            Some(("ab", "checkpoint", Content::Checkpoint))
        );
        assert_eq!(
            parse_key(&damaged_key("ab")),
            Some(("ab", "damaged", Content::Damaged))
        );
        for other in [
            "profiles/ab",
            "profiles/ab/x",
            "profiles/ab/1-x",
            "other/ab/checkpoint",
            "profiles/ab/checkpoint/x",
        ] {
            assert_eq!(parse_key(other), None, "{other}");
        }
    }
}
