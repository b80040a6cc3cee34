//! What the system grants: its kernel, memory, shared memory, descriptors. Judged by pure
//! functions.

use hearth_browser::MIN_SHARED_MEMORY_BYTES;
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::utsname::uname;

use super::finding::Finding;
use crate::capacity::{machine_bytes, memory_bytes, plan_max_sessions};

/// The shim needs `close_range(2)`.
const MIN_KERNEL: (u32, u32) = (5, 9);

/// Descriptors of the server itself, with some for requests: it held 13 without a session.
const OWN_DESCRIPTORS: u64 = 32;

/// Descriptors that the server holds for a session whose three languages run at once, with a client
/// of `cdpUrl`: 30 were counted without the client. The rest is for its proxy: two for each of 16
/// connections of a page.
const SESSION_DESCRIPTORS: u64 = 64;

/// The limit is every program's own, too, and Chromium's main process holds 78 with one page.
const MIN_DESCRIPTORS: u64 = 256;

/// The line that tells where the report comes from.
pub(super) fn system(is_root: bool, programs_start: bool) -> Finding {
    let name = uname();
    let text =
        |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
    let (release, machine) = name.as_ref().map_or_else(
        |_| Default::default(),
        |name| (text(Some(name.release())), text(Some(name.machine()))),
    );
    let user = if is_root {
        "root".to_owned()
    } else {
        format!("user {}", nix::unistd::geteuid())
    };
    let about = format!(
        "hearth {} as {user}, Linux {release} on {machine}",
        env!("CARGO_PKG_VERSION")
    );
    judge_kernel(&release, about, programs_start)
}

fn judge_kernel(release: &str, about: String, programs_start: bool) -> Finding {
    let mut numbers = release
        .split(|letter: char| !letter.is_ascii_digit())
        .map(str::parse::<u32>);
    let version = numbers
        .next()
        .and_then(Result::ok)
        .zip(numbers.next().and_then(Result::ok));
    // Sandboxes that stand in for a kernel name old versions and can do more: what runs is what
    // counts.
    if programs_start || version.is_some_and(|version| version >= MIN_KERNEL) {
        return Finding::fine("system", about);
    }
    let (major, minor) = MIN_KERNEL;
    Finding::failure(
        "system",
        format!("{about}: Linux {major}.{minor} or newer is needed to end what sessions start"),
    )
    .mended_by("run: sudo apt-get install linux-image-amd64   (and restart the machine)")
}

/// `chosen` is `HEARTH_MAX_SESSIONS`.
pub(super) fn memory(chosen: Option<usize>) -> Finding {
    judge_memory(memory_bytes(), machine_bytes(), chosen)
}

fn judge_memory(usable: u64, machine: u64, chosen: Option<usize>) -> Finding {
    let fits = plan_max_sessions(usable);
    let whose = if usable < machine {
        "allowed by the cgroup"
    } else {
        "in the machine"
    };
    let about = format!(
        "{} {whose}, room for {fits} {}",
        gigabytes(usable),
        plural(fits, "session")
    );
    match chosen {
        None => Finding::fine("memory", about),
        Some(chosen) if chosen <= fits => {
            Finding::fine("memory", format!("{about}; {chosen} at most are let in"))
        }
        Some(chosen) => Finding::note(
            "memory",
            format!(
                "{about}, and HEARTH_MAX_SESSIONS lets in {chosen}: busy ones may run out of it"
            ),
        )
        .mended_by(format!("set: HEARTH_MAX_SESSIONS={fits}")),
    }
}

/// `bytes` is None when there is no `/dev/shm`.
pub(super) fn judge_shared_memory(bytes: Option<u64>) -> Finding {
    let about = match bytes {
        Some(bytes) if bytes >= MIN_SHARED_MEMORY_BYTES => {
            return Finding::fine("shared memory", format!("{} in /dev/shm", gigabytes(bytes)));
        }
        Some(bytes) => format!("/dev/shm has only {}", gigabytes(bytes)),
        None => "there is no /dev/shm".to_owned(),
    };
    let files = "Chromium uses files instead (--disable-dev-shm-usage), which is slower on a disk";
    let note = Finding::note("shared memory", format!("{about}; {files}"));
    match bytes {
        Some(_) => note
            .mended_by("run: docker run --shm-size=1g …, or shm_size: 1g in a compose file")
            .mended_by("run: sudo mount -o remount,size=1g /dev/shm   (outside of containers)"),
        None => note.mended_by(
            "run: sudo mkdir -p /dev/shm && sudo mount -t tmpfs -o size=1g tmpfs /dev/shm",
        ),
    }
}

/// `sessions` is the number of sessions that are let in, `is_chosen` whether somebody said so.
pub(super) fn open_files(sessions: usize, is_chosen: bool) -> Finding {
    match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok((soft, hard)) => judge_open_files(soft, hard, sessions, is_chosen),
        Err(error) => Finding::note("open files", format!("the limit cannot be read: {error}")),
    }
}

fn judge_open_files(soft: u64, hard: u64, sessions: usize, is_chosen: bool) -> Finding {
    let wanted = u64::try_from(sessions)
        .unwrap_or(u64::MAX)
        .saturating_mul(SESSION_DESCRIPTORS);
    let wanted = wanted
        .saturating_add(OWN_DESCRIPTORS)
        .max(MIN_DESCRIPTORS)
        .next_power_of_two();
    if soft < MIN_DESCRIPTORS {
        let about = format!("at most {soft} at once; Chromium needs some hundred by itself");
        let mended = wanted.min(hard).max(MIN_DESCRIPTORS);
        let finding = Finding::failure("open files", about);
        return finding.mended_by(format!(
            "run: ulimit -n {mended}   (in the shell that starts hearth)"
        ));
    }
    // The server takes all that it may have; its programs get what it was given.
    let fits = hard.saturating_sub(OWN_DESCRIPTORS) / SESSION_DESCRIPTORS;
    let about = format!("at most {hard} at once");
    if fits >= u64::try_from(sessions).unwrap_or(u64::MAX) {
        return Finding::fine(
            "open files",
            format!(
                "{about}, enough for {sessions} {}",
                plural(sessions, "session")
            ),
        );
    }
    let about =
        format!("{about}, enough for {fits} busy sessions of the {sessions} that are let in");
    // A promise that somebody made, or one that follows from the memory alone.
    let finding = if is_chosen {
        Finding::failure("open files", about)
    } else {
        Finding::note("open files", about)
    };
    finding
        .mended_by(format!("run: sudo prlimit --pid $$ --nofile={soft}:{wanted}   (in the shell that starts hearth)"))
        .mended_by(format!("set: LimitNOFILE={wanted} in a systemd unit, --ulimit nofile={wanted} for docker run"))
        .mended_by(format!("set: HEARTH_MAX_SESSIONS={fits}   (the other way)"))
}

/// Rounded to what a person compares: `64 MiB`, `1.5 GiB`, `23 GiB`.
pub(super) fn gigabytes(bytes: u64) -> String {
    let mib = bytes >> 20;
    match mib {
        0..1024 => format!("{mib} MiB"),
        1024..10_240 => format!("{}.{} GiB", mib / 1024, mib % 1024 * 10 / 1024),
        _ => format!("{} GiB", mib / 1024),
    }
}

fn plural(count: usize, word: &str) -> String {
    format!("{word}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    #[test]
    fn an_old_kernel_fails_unless_programs_start_on_it() {
        let verdict = |release, start| judge_kernel(release, String::new(), start).verdict;
        assert_eq!(verdict("6.18.44-fc", false), Verdict::Fine);
        assert_eq!(verdict("5.9.0", false), Verdict::Fine);
        assert_eq!(verdict("5.8.18-generic", false), Verdict::Failure);
        assert_eq!(verdict("4.4.0", true), Verdict::Fine);
    }

    #[test]
    fn more_sessions_than_there_is_memory_for_are_a_note() {
        let judge = |chosen| judge_memory(4 << 30, 8 << 30, chosen);
        assert_eq!(
            judge(None).text,
            "4.0 GiB allowed by the cgroup, room for 6 sessions"
        );
        assert_eq!(judge(Some(6)).verdict, Verdict::Fine);
        let over = judge(Some(7));
        assert_eq!(
            (over.verdict, over.mends),
            (Verdict::Note, vec!["set: HEARTH_MAX_SESSIONS=6".to_owned()])
        );
    }

    #[test]
    fn little_shared_memory_is_a_note_that_names_dockers_option() {
        let small = judge_shared_memory(Some(64 << 20));
        assert_eq!(small.verdict, Verdict::Note);
        assert!(
            small.text.contains("64 MiB") && small.mends[0].contains("--shm-size=1g"),
            "{small:?}"
        );
        assert_eq!(judge_shared_memory(Some(1 << 30)).verdict, Verdict::Fine);
        assert_eq!(judge_shared_memory(None).verdict, Verdict::Note);
    }

    #[test]
    fn descriptors_are_counted_against_the_sessions() {
        let judge = |hard, sessions, is_chosen| judge_open_files(1024, hard, sessions, is_chosen);
        assert_eq!(judge(1024, 15, true).verdict, Verdict::Fine);
        assert_eq!(judge(1024, 16, false).verdict, Verdict::Note);
        let chosen = judge(1024, 23, true);
        assert_eq!(chosen.verdict, Verdict::Failure);
        assert!(chosen.mends[0].contains("--nofile=1024:2048"), "{chosen:?}");
        let small = judge_open_files(128, 4096, 1, false);
        assert_eq!(small.verdict, Verdict::Failure);
        assert!(small.mends[0].contains("ulimit -n 256"), "{small:?}");
    }

    #[test]
    fn sizes_read_like_sizes() {
        assert_eq!(gigabytes(64 << 20), "64 MiB");
        assert_eq!(gigabytes(3 << 29), "1.5 GiB");
        assert_eq!(gigabytes(24 << 30), "24 GiB");
    }
}
