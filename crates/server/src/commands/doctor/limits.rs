//! Checks the kernel, memory, shared memory and file descriptors.

use hearth_browser::MIN_SHARED_MEMORY_BYTES;
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::utsname::uname;

use super::finding::Finding;
use crate::capacity::{
    WARM_SESSION_MB, available_bytes, machine_bytes, memory_bytes, plan_max_sessions,
};
use crate::config::WarmSettings;

/// The minimum version of Linux, because the shim needs `close_range(2)`.
const MIN_KERNEL: (u32, u32) = (5, 9);

/// The descriptors of the server itself, including some for requests. It held 13 without a session.
const OWN_DESCRIPTORS: u64 = 32;

/// The descriptors that the server holds for a session whose three languages run at the same time,
/// with a client of `cdpUrl`. 30 were counted without the client. The rest is for the proxy, which
/// needs two for each of 16 connections of a page.
const SESSION_DESCRIPTORS: u64 = 64;

/// The smallest usable limit. It also applies to each program, and Chromium's main process holds 78
/// descriptors with one page.
const MIN_DESCRIPTORS: u64 = 256;

/// Reports the version, user, kernel and architecture.
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
    evaluate_kernel(&release, about, programs_start)
}

fn evaluate_kernel(release: &str, about: String, programs_start: bool) -> Finding {
    let mut numbers = release
        .split(|letter: char| !letter.is_ascii_digit())
        .map(str::parse::<u32>);
    let version = numbers
        .next()
        .and_then(Result::ok)
        .zip(numbers.next().and_then(Result::ok));
    // Emulated kernels (such as gVisor) report old versions and support more, so a successful start
    // counts.
    if programs_start || version.is_some_and(|version| version >= MIN_KERNEL) {
        return Finding::ok("system", about);
    }
    let (major, minor) = MIN_KERNEL;
    Finding::failure(
        "system",
        format!(
            "{about}: Hearth needs Linux {major}.{minor} or newer to end the programs of sessions"
        ),
    )
    .fixed_by("run: sudo apt-get install linux-image-amd64   (and restart the machine)")
}

/// Checks the memory. `chosen` is `HEARTH_MAX_SESSIONS`.
pub(super) fn memory(chosen: Option<usize>) -> Finding {
    evaluate_memory(memory_bytes(), machine_bytes(), chosen)
}

fn evaluate_memory(usable: u64, machine: u64, chosen: Option<usize>) -> Finding {
    let fits = plan_max_sessions(usable);
    let whose = if usable < machine {
        "allowed by the cgroup"
    } else {
        "in the machine"
    };
    let about = format!(
        "{} {whose}, enough for {fits} {}",
        gigabytes(usable),
        plural(fits, "session")
    );
    match chosen {
        None => Finding::ok("memory", about),
        Some(chosen) if chosen <= fits => {
            Finding::ok("memory", format!("{about}; the limit is {chosen}"))
        }
        Some(chosen) => Finding::note(
            "memory",
            format!(
                "{about}, and HEARTH_MAX_SESSIONS allows {chosen}: busy sessions may run out of memory"
            ),
        )
        .fixed_by(format!("set: HEARTH_MAX_SESSIONS={fits}")),
    }
}

/// Checks the memory for warm sessions. `min_free_mb` is `HEARTH_MIN_FREE_MEMORY_MB`.
pub(super) fn warm_sessions(settings: &WarmSettings, min_free_mb: u64) -> Finding {
    let available_mb = available_bytes().unwrap_or_default() >> 20;
    evaluate_warm_sessions(settings.sessions, available_mb, min_free_mb)
}

fn evaluate_warm_sessions(sessions: usize, available_mb: u64, min_free_mb: u64) -> Finding {
    if sessions == 0 {
        let about = "none, so every client waits for a browser (HEARTH_WARM_SESSIONS)";
        return Finding::ok("warm sessions", about);
    }
    let count = u64::try_from(sessions).unwrap_or(u64::MAX);
    let needed_mb = count.saturating_mul(WARM_SESSION_MB);
    let about = format!(
        "{sessions} {} in advance, about {needed_mb} MiB",
        plural(sessions, "session")
    );
    // The last one is prepared only if another one would fit, too. With a minimum of 0, the server
    // does not look at memory.
    let needed_mb = needed_mb.saturating_add(WARM_SESSION_MB);
    if min_free_mb == 0 || available_mb >= needed_mb.saturating_add(min_free_mb) {
        return Finding::ok("warm sessions", about);
    }
    let note = format!(
        "{about}, but only {available_mb} MiB are available: fewer are prepared, and clients wait \
         for a browser"
    );
    Finding::note("warm sessions", note).fixed_by(
        "set: HEARTH_WARM_SESSIONS=0   (or give the machine or the container more memory)",
    )
}

/// Evaluates the size of `/dev/shm`, which is `None` if it does not exist.
pub(super) fn evaluate_shared_memory(bytes: Option<u64>) -> Finding {
    let about = match bytes {
        Some(bytes) if bytes >= MIN_SHARED_MEMORY_BYTES => {
            return Finding::ok("shared memory", format!("{} in /dev/shm", gigabytes(bytes)));
        }
        Some(bytes) => format!("/dev/shm has only {}", gigabytes(bytes)),
        None => "there is no /dev/shm".to_owned(),
    };
    let files = "Chromium uses files instead (--disable-dev-shm-usage), which is slower";
    let note = Finding::note("shared memory", format!("{about}; {files}"));
    match bytes {
        Some(_) => note
            .fixed_by("run: docker run --shm-size=1g …, or shm_size: 1g in a compose file")
            .fixed_by("run: sudo mount -o remount,size=1g /dev/shm   (outside of containers)"),
        None => note.fixed_by(
            "run: sudo mkdir -p /dev/shm && sudo mount -t tmpfs -o size=1g tmpfs /dev/shm",
        ),
    }
}

/// Checks the limit of open files. `sessions` is the limit of sessions, and `is_chosen` is true if
/// it was configured.
pub(super) fn open_files(sessions: usize, is_chosen: bool) -> Finding {
    match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok((soft, hard)) => evaluate_open_files(soft, hard, sessions, is_chosen),
        Err(error) => Finding::note("open files", format!("cannot read the limit: {error}")),
    }
}

fn evaluate_open_files(soft: u64, hard: u64, sessions: usize, is_chosen: bool) -> Finding {
    let wanted = u64::try_from(sessions)
        .unwrap_or(u64::MAX)
        .saturating_mul(SESSION_DESCRIPTORS);
    let wanted = wanted
        .saturating_add(OWN_DESCRIPTORS)
        .max(MIN_DESCRIPTORS)
        .next_power_of_two();
    if soft < MIN_DESCRIPTORS {
        let about = format!("the limit is {soft}; Chromium needs several hundred");
        let enough = wanted.min(hard).max(MIN_DESCRIPTORS);
        let finding = Finding::failure("open files", about);
        return finding.fixed_by(format!(
            "run: ulimit -n {enough}   (in the shell that starts hearth)"
        ));
    }
    // The server raises its own limit to the hard limit. Its programs keep the soft limit.
    let fits = hard.saturating_sub(OWN_DESCRIPTORS) / SESSION_DESCRIPTORS;
    let about = format!("the limit is {hard}");
    if fits >= u64::try_from(sessions).unwrap_or(u64::MAX) {
        return Finding::ok(
            "open files",
            format!(
                "{about}, enough for {sessions} {}",
                plural(sessions, "session")
            ),
        );
    }
    let about = format!("{about}, enough for {fits} of {sessions} busy sessions");
    // A configured number of sessions is a requirement. The default only follows from the memory.
    let finding = if is_chosen {
        Finding::failure("open files", about)
    } else {
        Finding::note("open files", about)
    };
    finding
        .fixed_by(format!("run: sudo prlimit --pid $$ --nofile={soft}:{wanted}   (in the shell that starts hearth)"))
        .fixed_by(format!("set: LimitNOFILE={wanted} in a systemd unit, --ulimit nofile={wanted} for docker run"))
        .fixed_by(format!("set: HEARTH_MAX_SESSIONS={fits}   (lowers the requirement)"))
}

/// Formats a size: `64 MiB`, `1.5 GiB`, `23 GiB`.
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
    use super::super::finding::Severity;
    use super::*;

    #[test]
    fn an_old_kernel_fails_unless_programs_start_on_it() {
        let severity = |release, start| evaluate_kernel(release, String::new(), start).severity;
        assert_eq!(severity("6.18.44-fc", false), Severity::Ok);
        assert_eq!(severity("5.9.0", false), Severity::Ok);
        assert_eq!(severity("5.8.18-generic", false), Severity::Failure);
        assert_eq!(severity("4.4.0", true), Severity::Ok);
    }

    #[test]
    fn more_sessions_than_memory_allows_are_a_note() {
        let evaluate = |chosen| evaluate_memory(4 << 30, 8 << 30, chosen);
        assert_eq!(
            evaluate(None).text,
            "4.0 GiB allowed by the cgroup, enough for 6 sessions"
        );
        assert_eq!(evaluate(Some(6)).severity, Severity::Ok);
        let over = evaluate(Some(7));
        assert_eq!(
            (over.severity, over.fixes),
            (
                Severity::Note,
                vec!["set: HEARTH_MAX_SESSIONS=6".to_owned()]
            )
        );
    }

    #[test]
    fn warm_sessions_without_memory_are_a_note() {
        let evaluate = |available| evaluate_warm_sessions(2, available, 256);
        assert_eq!(evaluate(1456).severity, Severity::Ok);
        let short = evaluate(1455);
        assert_eq!(short.severity, Severity::Note);
        assert!(
            short.text.contains("2 sessions in advance, about 800 MiB"),
            "{short:?}"
        );
        // The server does not look at memory.
        assert_eq!(evaluate_warm_sessions(2, 0, 0).severity, Severity::Ok);
        assert_eq!(evaluate_warm_sessions(0, 0, 256).severity, Severity::Ok);
    }

    #[test]
    fn little_shared_memory_is_a_note_with_dockers_option() {
        let small = evaluate_shared_memory(Some(64 << 20));
        assert_eq!(small.severity, Severity::Note);
        assert!(
            small.text.contains("64 MiB") && small.fixes[0].contains("--shm-size=1g"),
            "{small:?}"
        );
        assert_eq!(evaluate_shared_memory(Some(1 << 30)).severity, Severity::Ok);
        assert_eq!(evaluate_shared_memory(None).severity, Severity::Note);
    }

    #[test]
    fn descriptors_limit_the_number_of_sessions() {
        let evaluate =
            |hard, sessions, is_chosen| evaluate_open_files(1024, hard, sessions, is_chosen);
        assert_eq!(evaluate(1024, 15, true).severity, Severity::Ok);
        assert_eq!(evaluate(1024, 16, false).severity, Severity::Note);
        let chosen = evaluate(1024, 23, true);
        assert_eq!(chosen.severity, Severity::Failure);
        assert!(chosen.fixes[0].contains("--nofile=1024:2048"), "{chosen:?}");
        let small = evaluate_open_files(128, 4096, 1, false);
        assert_eq!(small.severity, Severity::Failure);
        assert!(small.fixes[0].contains("ulimit -n 256"), "{small:?}");
    }

    #[test]
    fn sizes_are_formatted_for_people() {
        assert_eq!(gigabytes(64 << 20), "64 MiB");
        assert_eq!(gigabytes(3 << 29), "1.5 GiB");
        assert_eq!(gigabytes(24 << 30), "24 GiB");
    }
}
