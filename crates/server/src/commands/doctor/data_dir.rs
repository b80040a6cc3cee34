//! Checks that the data directory can hold sessions.

use std::fs::File;
use std::io;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::{AccessFlags, access};

use super::finding::Finding;
use super::limits::gigabytes;
use crate::lifecycle::LOCK;
use crate::sandbox::sessions_dir;

const CHECK: &str = "data directory";

/// The free space below which the report has a note, because one page can fill it with downloads.
const LOW_BYTES: u64 = 1 << 30;

/// The free space below which browsers do not start reliably, because a profile takes several
/// megabytes before its first page.
const MIN_BYTES: u64 = 64 << 20;

/// Properties of a writable data directory.
#[derive(Clone, Copy, Debug)]
struct Facts {
    free_bytes: u64,
    /// The free space below which a server does not create sessions.
    kept_free_bytes: u64,
    /// True if the directory is mounted with `noexec`.
    is_noexec: bool,
    /// True if a server holds its lock.
    is_served: bool,
    /// True if another user owns a part that the server needs.
    is_foreign: bool,
}

/// Returns true if a server holds the lock of `data_dir`. Blocks.
pub(super) fn is_served(data_dir: &Path) -> bool {
    // This takes a shared lock and releases it at once. A running server keeps its own lock.
    let lock =
        File::open(data_dir.join(LOCK)).map(|file| Flock::lock(file, FlockArg::LockSharedNonblock));
    matches!(lock, Ok(Err((_, Errno::EWOULDBLOCK))))
}

/// Checks the data directory. `unusable` is the error of creating a directory in it, if that
/// failed; `kept_free_mb` is `HEARTH_MIN_FREE_DISK_MB`. Blocks.
pub(super) fn data_dir(
    data_dir: &Path,
    unusable: Option<&io::Error>,
    kept_free_mb: u64,
) -> Finding {
    if let Some(error) = unusable {
        return evaluate_unusable(data_dir, error);
    }
    let is_ours = |path: &Path| access(path, AccessFlags::W_OK) != Err(Errno::EACCES);
    match statvfs(data_dir) {
        Ok(disk) => evaluate_data_dir(
            data_dir,
            Facts {
                free_bytes: disk.blocks_available().saturating_mul(disk.fragment_size()),
                kept_free_bytes: kept_free_mb << 20,
                is_noexec: disk.flags().contains(FsFlags::ST_NOEXEC),
                is_served: is_served(data_dir),
                is_foreign: !is_ours(&data_dir.join(LOCK)) || !is_ours(&sessions_dir(data_dir)),
            },
        ),
        Err(error) => Finding::note(
            CHECK,
            format!(
                "{} is writable; cannot read its free space: {error}",
                data_dir.display()
            ),
        ),
    }
}

fn evaluate_unusable(data_dir: &Path, error: &io::Error) -> Finding {
    let path = data_dir.display();
    let finding = Finding::failure(CHECK, format!("{path} cannot be used: {error}"));
    let elsewhere = "set: HEARTH_DATA_DIR=$HOME/.hearth, or another directory of this user with a path of at most 45 bytes";
    match error.kind() {
        io::ErrorKind::PermissionDenied => finding.fixed_by(elsewhere).fixed_by(format!(
            "run: sudo install -d -m 700 -o \"$(id -un)\" {path}"
        )),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => finding.fixed_by(format!(
            "run: df -h {path}   (then free some space, or set HEARTH_DATA_DIR to a directory on another disk)"
        )),
        _ => finding.fixed_by(elsewhere),
    }
}

fn evaluate_data_dir(data_dir: &Path, facts: Facts) -> Finding {
    let path = data_dir.display();
    let free = gigabytes(facts.free_bytes);
    if facts.is_foreign {
        return Finding::failure(
            CHECK,
            format!("{path} holds files of another user's server"),
        )
        .fixed_by(format!(
            "run: sudo chown -R \"$(id -un)\" {path}   (if that server will not run again)"
        ))
        .fixed_by("set: HEARTH_DATA_DIR to a directory of this user");
    }
    let room = format!(
        "run: df -h {path}   (then free some space, or set HEARTH_DATA_DIR to a directory on another disk)"
    );
    if facts.free_bytes < MIN_BYTES {
        return Finding::failure(CHECK, format!("{path} has only {free} left")).fixed_by(room);
    }
    if facts.free_bytes < facts.kept_free_bytes {
        let kept = gigabytes(facts.kept_free_bytes);
        let about = format!(
            "{path} has only {free} left of the {kept} to keep free: no session is created"
        );
        return Finding::failure(CHECK, about)
            .fixed_by(room)
            .fixed_by(format!(
                "set: HEARTH_MIN_FREE_DISK_MB={}   (lowers the requirement)",
                facts.free_bytes >> 21
            ));
    }
    let server = if facts.is_served {
        "; a server runs here"
    } else {
        ""
    };
    if facts.is_noexec {
        let effect =
            "programs in session directories and pip packages with native code will not run";
        return Finding::note(CHECK, format!("{path} is mounted noexec: {effect}{server}"))
            .fixed_by(format!(
                "run: sudo mount -o remount,exec \"$(findmnt -no TARGET -T {path})\""
            ));
    }
    if facts.free_bytes < LOW_BYTES {
        return Finding::note(CHECK, format!("{path} has only {free} left{server}")).fixed_by(room);
    }
    let about = format!("{path} is writable, {free} free{server}");
    if facts.is_served {
        Finding::note(CHECK, about)
    } else {
        Finding::ok(CHECK, about)
    }
}

/// Evaluates whether sessions have a private `/tmp`. A program in the sandbox has tested this.
pub(super) fn evaluate_private_tmp(is_private: bool, is_root: bool) -> Finding {
    if is_private {
        return Finding::ok("/tmp", "private to each session");
    }
    let note = Finding::note(
        "/tmp",
        "shared by all sessions and not emptied, because mounts are not possible here",
    );
    if is_root {
        note.fixed_by("run: docker run --cap-add SYS_ADMIN …   (weakens the container; only if a private /tmp matters)")
    } else {
        note.fixed_by("use: $TMPDIR in code instead, which is a directory of the session")
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Severity;
    use super::*;

    const FACTS: Facts = Facts {
        free_bytes: 10 << 30,
        kept_free_bytes: 512 << 20,
        is_noexec: false,
        is_served: false,
        is_foreign: false,
    };

    fn evaluate(facts: Facts) -> Finding {
        evaluate_data_dir(Path::new("/data"), facts)
    }

    #[test]
    fn a_dir_with_free_space_is_ok() {
        assert_eq!(
            evaluate(FACTS),
            Finding::ok(CHECK, "/data is writable, 10 GiB free")
        );
    }

    #[test]
    fn a_running_server_is_a_note() {
        let finding = evaluate(Facts {
            is_served: true,
            ..FACTS
        });
        assert_eq!((finding.severity, finding.fixes.len()), (Severity::Note, 0));
        assert!(finding.text.contains("a server runs here"), "{finding:?}");
    }

    #[test]
    fn low_free_space_is_a_note_and_then_a_failure() {
        assert_eq!(
            evaluate(Facts {
                free_bytes: 600 << 20,
                ..FACTS
            })
            .severity,
            Severity::Note
        );
        let kept = evaluate(Facts {
            free_bytes: 500 << 20,
            ..FACTS
        });
        assert_eq!(kept.severity, Severity::Failure);
        assert!(
            kept.text.contains("512 MiB to keep free") && kept.fixes[1].contains("=250 "),
            "{kept:?}"
        );
        assert_eq!(
            evaluate(Facts {
                free_bytes: 5 << 20,
                ..FACTS
            })
            .severity,
            Severity::Failure
        );
    }

    #[test]
    fn a_noexec_mount_is_a_note() {
        let finding = evaluate(Facts {
            is_noexec: true,
            ..FACTS
        });
        assert_eq!(finding.severity, Severity::Note);
        assert!(finding.fixes[0].contains("remount,exec"), "{finding:?}");
    }

    #[test]
    fn files_of_another_user_fail() {
        assert_eq!(
            evaluate(Facts {
                is_foreign: true,
                ..FACTS
            })
            .severity,
            Severity::Failure
        );
    }

    #[test]
    fn missing_permissions_are_fixed_by_a_command() {
        let finding =
            evaluate_unusable(Path::new("/data"), &io::ErrorKind::PermissionDenied.into());
        assert_eq!(finding.severity, Severity::Failure);
        assert!(
            finding.fixes[1].contains("install -d -m 700"),
            "{finding:?}"
        );
    }
}
