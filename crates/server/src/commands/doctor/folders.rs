//! The data folder: whether sessions can live in it, and how well.

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
use crate::sandbox::sessions_folder;

const CHECK: &str = "data folder";

/// Less free space than this is told: one page can fill it with downloads.
const LITTLE_BYTES: u64 = 1 << 30;

/// With less free space no browser starts reliably: a profile takes some megabytes before its first
/// page.
const TOO_LITTLE_BYTES: u64 = 64 << 20;

/// What is known of a data folder that could be written to.
#[derive(Clone, Copy, Debug)]
struct Facts {
    free_bytes: u64,
    /// With less than this a server creates no session.
    kept_free_bytes: u64,
    /// Nothing in it can be executed.
    is_noexec: bool,
    /// A server holds its lock.
    is_served: bool,
    /// A part of it that a server needs belongs to somebody else.
    is_foreign: bool,
}

/// Whether a server holds the lock of `data_dir`. Blocks.
pub(super) fn is_served(data_dir: &Path) -> bool {
    // Shared, so that it is nobody's for longer than this look, and a server that runs keeps what
    // it has.
    let lock =
        File::open(data_dir.join(LOCK)).map(|file| Flock::lock(file, FlockArg::LockSharedNonblock));
    matches!(lock, Ok(Err((_, Errno::EWOULDBLOCK))))
}

/// `refused` is why nothing could be made in it, `kept_free_mb` is `HEARTH_MIN_FREE_DISK_MB`.
/// Blocks.
pub(super) fn data_folder(
    data_dir: &Path,
    refused: Option<&io::Error>,
    kept_free_mb: u64,
) -> Finding {
    if let Some(error) = refused {
        return judge_refusal(data_dir, error);
    }
    let is_ours = |path: &Path| access(path, AccessFlags::W_OK) != Err(Errno::EACCES);
    match statvfs(data_dir) {
        Ok(disk) => judge_data_folder(
            data_dir,
            Facts {
                free_bytes: disk.blocks_available().saturating_mul(disk.fragment_size()),
                kept_free_bytes: kept_free_mb << 20,
                is_noexec: disk.flags().contains(FsFlags::ST_NOEXEC),
                is_served: is_served(data_dir),
                is_foreign: !is_ours(&data_dir.join(LOCK)) || !is_ours(&sessions_folder(data_dir)),
            },
        ),
        Err(error) => Finding::note(
            CHECK,
            format!(
                "{} can be written, and its disk not asked: {error}",
                data_dir.display()
            ),
        ),
    }
}

fn judge_refusal(data_dir: &Path, error: &io::Error) -> Finding {
    let path = data_dir.display();
    let finding = Finding::failure(CHECK, format!("{path} cannot be used: {error}"));
    let elsewhere = "set: HEARTH_DATA_DIR=$HOME/.hearth, or another folder of this user with a path of at most 45 bytes";
    match error.kind() {
        io::ErrorKind::PermissionDenied => finding.mended_by(elsewhere).mended_by(format!(
            "run: sudo install -d -m 700 -o \"$(id -un)\" {path}"
        )),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => finding.mended_by(format!(
            "run: df -h {path}   (and make room, there or elsewhere by HEARTH_DATA_DIR)"
        )),
        _ => finding.mended_by(elsewhere),
    }
}

fn judge_data_folder(data_dir: &Path, facts: Facts) -> Finding {
    let path = data_dir.display();
    let free = gigabytes(facts.free_bytes);
    if facts.is_foreign {
        return Finding::failure(
            CHECK,
            format!("{path} holds files of another user's server"),
        )
        .mended_by(format!(
            "run: sudo chown -R \"$(id -un)\" {path}   (when that server is stopped for good)"
        ))
        .mended_by("set: HEARTH_DATA_DIR to a folder of this user");
    }
    let room = format!(
        "run: df -h {path}   (and make room, or set HEARTH_DATA_DIR to a folder on another disk)"
    );
    if facts.free_bytes < TOO_LITTLE_BYTES {
        return Finding::failure(CHECK, format!("{path} has only {free} left")).mended_by(room);
    }
    if facts.free_bytes < facts.kept_free_bytes {
        let kept = gigabytes(facts.kept_free_bytes);
        let about =
            format!("{path} has only {free} left, and {kept} are kept free: no session is created");
        return Finding::failure(CHECK, about)
            .mended_by(room)
            .mended_by(format!(
                "set: HEARTH_MIN_FREE_DISK_MB={}   (the other way)",
                facts.free_bytes >> 21
            ));
    }
    let server = if facts.is_served {
        "; a server runs here"
    } else {
        ""
    };
    if facts.is_noexec {
        let what = "programs in a session's folder and pip packages with native code will not run";
        return Finding::note(CHECK, format!("{path} is mounted noexec: {what}{server}"))
            .mended_by(format!(
                "run: sudo mount -o remount,exec \"$(findmnt -no TARGET -T {path})\""
            ));
    }
    if facts.free_bytes < LITTLE_BYTES {
        return Finding::note(CHECK, format!("{path} has only {free} left{server}"))
            .mended_by(room);
    }
    let about = format!("{path} can be written, {free} free{server}");
    if facts.is_served {
        Finding::note(CHECK, about)
    } else {
        Finding::fine(CHECK, about)
    }
}

/// Whether sessions get a `/tmp` of their own, as a program saw it.
pub(super) fn judge_private_tmp(is_private: bool, is_root: bool) -> Finding {
    if is_private {
        return Finding::fine("/tmp", "every session has its own");
    }
    let note = Finding::note(
        "/tmp",
        "sessions share the machine's, and what code writes there stays: no mounts here",
    );
    if is_root {
        note.mended_by("run: docker run --cap-add SYS_ADMIN …   (which weakens the container: only if it matters)")
    } else {
        note.mended_by("use: $TMPDIR in code instead, which is the session's own folder")
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    const FACTS: Facts = Facts {
        free_bytes: 10 << 30,
        kept_free_bytes: 512 << 20,
        is_noexec: false,
        is_served: false,
        is_foreign: false,
    };

    fn judge(facts: Facts) -> Finding {
        judge_data_folder(Path::new("/data"), facts)
    }

    #[test]
    fn a_folder_with_room_is_fine() {
        assert_eq!(
            judge(FACTS),
            Finding::fine(CHECK, "/data can be written, 10 GiB free")
        );
    }

    #[test]
    fn a_server_that_runs_there_is_a_note() {
        let finding = judge(Facts {
            is_served: true,
            ..FACTS
        });
        assert_eq!((finding.verdict, finding.mends.len()), (Verdict::Note, 0));
        assert!(finding.text.contains("a server runs here"), "{finding:?}");
    }

    #[test]
    fn space_runs_out_in_two_steps() {
        assert_eq!(
            judge(Facts {
                free_bytes: 600 << 20,
                ..FACTS
            })
            .verdict,
            Verdict::Note
        );
        let kept = judge(Facts {
            free_bytes: 500 << 20,
            ..FACTS
        });
        assert_eq!(kept.verdict, Verdict::Failure);
        assert!(
            kept.text.contains("512 MiB are kept free") && kept.mends[1].contains("=250 "),
            "{kept:?}"
        );
        assert_eq!(
            judge(Facts {
                free_bytes: 5 << 20,
                ..FACTS
            })
            .verdict,
            Verdict::Failure
        );
    }

    #[test]
    fn a_mount_that_executes_nothing_is_told() {
        let finding = judge(Facts {
            is_noexec: true,
            ..FACTS
        });
        assert_eq!(finding.verdict, Verdict::Note);
        assert!(finding.mends[0].contains("remount,exec"), "{finding:?}");
    }

    #[test]
    fn the_leftovers_of_another_user_fail() {
        assert_eq!(
            judge(Facts {
                is_foreign: true,
                ..FACTS
            })
            .verdict,
            Verdict::Failure
        );
    }

    #[test]
    fn a_refusal_for_lack_of_rights_names_the_command_that_gives_them() {
        let finding = judge_refusal(Path::new("/data"), &io::ErrorKind::PermissionDenied.into());
        assert_eq!(finding.verdict, Verdict::Failure);
        assert!(
            finding.mends[1].contains("install -d -m 700"),
            "{finding:?}"
        );
    }
}
