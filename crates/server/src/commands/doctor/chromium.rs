//! The browser: that it is there, starts as it does for a session, and whether it has its own
//! sandbox.

use std::fs;
use std::path::Path;

use hearth_browser::{Bounds, Browser, LaunchSpec, probe};
use tokio::time::Instant;

use super::Subject;
use super::finding::{Finding, Verdict};
use super::trial::Trial;

const CHECK: &str = "browser";

/// What is told of a Chromium that gives up because it may not make its sandbox.
const NO_SANDBOX: &str = "it cannot make its sandbox";

/// Starts the browser with the settings, waits for its first page, and ends it.
pub(super) async fn browser(
    subject: &Subject,
    trial: &Trial,
    is_root: bool,
    sandbox: bool,
) -> Finding {
    let program = &subject.config.browser;
    let found = match subject.error("HEARTH_BROWSER") {
        Some(error) => Err(error.to_string()),
        None => program.find().map_err(|error| error.to_string()),
    };
    let executable = match found {
        Ok(executable) => executable,
        Err(error) => return mend(Finding::failure(CHECK, error), program.package, is_root),
    };
    let version = match probe(&trial.enclosure.browser, executable).await {
        Ok(version) => version,
        Err(error) => {
            return judge_failure(executable, &error.to_string(), program.package, is_root);
        }
    };
    let user_agent = subject.config.user_agent.clone();
    let launch = LaunchSpec {
        executable: executable.to_owned(),
        folder: trial.enclosure.folder.browser(),
        session_folder: trial.enclosure.folder.root().to_owned(),
        viewport: subject.config.viewport,
        proxy_port: None,
        explain: None,
        user_agent: user_agent.unwrap_or_else(|| version.default_user_agent()),
        sandbox,
        bounds: Bounds {
            max_tabs: 1,
            max_download_bytes: 0,
        },
    };
    let began = Instant::now();
    match Browser::launch(&trial.enclosure.browser, &trial.tasks, launch).await {
        Ok(browser) => {
            let took_ms = began.elapsed().as_millis();
            browser.kill().await;
            let name = executable.file_name().unwrap_or_default().to_string_lossy();
            Finding::fine(
                CHECK,
                format!(
                    "Chromium {} ({name}), first page after {took_ms} ms",
                    version.number()
                ),
            )
        }
        Err(error) => judge_failure(executable, &error.to_string(), program.package, is_root),
    }
}

/// Whether what a Chromium said on its way down is about its sandbox.
fn is_about_sandbox(said: &str) -> bool {
    [
        "No usable sandbox",
        "sandbox_linux",
        "namespace",
        "credentials.cc",
    ]
    .iter()
    .any(|words| said.contains(words))
}

fn judge_failure(executable: &Path, error: &str, package: Option<&str>, is_root: bool) -> Finding {
    let path = executable.display();
    if is_about_sandbox(error) {
        // It says so in many words, and with advice for a desktop.
        return Finding::failure(CHECK, format!("{path} does not start: {NO_SANDBOX}"))
            .mended_by("see: the next line");
    }
    let is_named = error.contains(&*executable.to_string_lossy());
    let about = if is_named {
        error.to_owned()
    } else {
        format!("{path} does not start: {error}")
    };
    let finding = Finding::failure(CHECK, about);
    if error.contains("shared libraries") {
        let finding = finding.mended_by(format!(
            "run: ldd {path} | grep 'not found'   (to see all that is missing)"
        ));
        return if package.is_some() {
            mend(finding, package, is_root)
        } else {
            finding
        };
    }
    if error.contains("Permission denied") {
        return finding.mended_by(format!(
            "run: ls -l {path}; findmnt -T {path}   (it must be executable, and its disk not noexec)"
        ));
    }
    mend(finding, package, is_root)
}

fn mend(finding: Finding, package: Option<&str>, is_root: bool) -> Finding {
    match package {
        Some(package) => finding
            .mended_by(format!(
                "run: {}apt-get install -y --no-install-recommends {package}",
                sudo(is_root)
            ))
            .mended_by("set: HEARTH_BROWSER to the path of a Chromium, where there is no apt-get"),
        None => finding.mended_by(
            "set: HEARTH_BROWSER to shell, to chromium, or to the path of a Chromium (no script)",
        ),
    }
}

/// In front of a command that only root may run.
pub(super) fn sudo(is_root: bool) -> &'static str {
    if is_root { "" } else { "sudo " }
}

/// What decides over user namespaces, which Chromium's own sandbox is made of; none where the
/// kernel has no such switch.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Namespaces {
    /// `user.max_user_namespaces` (`namespaces(7)`).
    most: Option<u64>,
    /// `kernel.unprivileged_userns_clone`, Debian's own.
    unprivileged: Option<u64>,
    /// `kernel.apparmor_restrict_unprivileged_userns`, Ubuntu's since 23.10.
    restricted: Option<u64>,
}

impl Namespaces {
    pub fn read() -> Namespaces {
        let read = |path: &str| fs::read_to_string(path).ok()?.trim().parse().ok();
        Namespaces {
            most: read("/proc/sys/user/max_user_namespaces"),
            unprivileged: read("/proc/sys/kernel/unprivileged_userns_clone"),
            restricted: read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
        }
    }

    /// The settings that have to change before a plain user may make one.
    fn blocking(self) -> Vec<&'static str> {
        [
            (self.most == Some(0), "user.max_user_namespaces=10000"),
            (
                self.unprivileged == Some(0),
                "kernel.unprivileged_userns_clone=1",
            ),
            (
                self.restricted == Some(1),
                "kernel.apparmor_restrict_unprivileged_userns=0",
            ),
        ]
        .into_iter()
        .filter_map(|(blocks, setting)| blocks.then_some(setting))
        .collect()
    }
}

/// Whether sessions have Chromium's own sandbox, by what came of starting it.
pub(super) fn judge_sandbox(browser: &Finding, namespaces: Namespaces, is_root: bool) -> Finding {
    let check = "sandbox";
    let blocking = namespaces.blocking();
    let switches = blocking
        .iter()
        .map(|setting| format!("run: {}sysctl -w {setting}", sudo(is_root)));
    if is_root {
        let note = Finding::note(check, "as root Chromium runs without its own sandbox").mended_by(
            "run: useradd --create-home hearth   (and start hearth as that user, such as with `su - hearth`)",
        );
        return switches.fold(note, Finding::mended_by);
    }
    if browser.verdict == Verdict::Fine {
        return Finding::fine(
            check,
            "Chromium's own is on (user namespaces work, or its setuid helper does)",
        );
    }
    if !blocking.is_empty() {
        let failure = Finding::failure(
            check,
            "the system lets plain users make no user namespaces, which Chromium needs",
        );
        return switches
            .fold(failure, Finding::mended_by)
            .mended_by("keep: in a file below /etc/sysctl.d");
    }
    if browser.text.contains(NO_SANDBOX) {
        return Finding::failure(check, "Chromium cannot make its user namespaces: something around it forbids them")
            .mended_by("run: docker run --security-opt seccomp=PROFILE …   (Docker's default with clone, clone3, unshare, setns and chroot allowed)");
    }
    Finding::note(check, "cannot be told before the browser starts")
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: Namespaces = Namespaces {
        most: Some(1000),
        unprivileged: Some(1),
        restricted: None,
    };

    #[test]
    fn a_missing_browser_is_mended_by_its_package() {
        let finding = mend(Finding::failure(CHECK, ""), Some("chromium"), false);
        assert_eq!(
            finding.mends[0],
            "run: sudo apt-get install -y --no-install-recommends chromium"
        );
    }

    #[test]
    fn a_missing_library_is_looked_up() {
        let error = "error while loading shared libraries: libnss3.so";
        let finding = judge_failure(Path::new("/opt/c"), error, None, true);
        assert_eq!(
            finding.mends,
            ["run: ldd /opt/c | grep 'not found'   (to see all that is missing)"]
        );
    }

    #[test]
    fn root_has_no_sandbox_and_that_is_a_note() {
        let finding = judge_sandbox(&Finding::fine(CHECK, ""), OPEN, true);
        assert_eq!((finding.verdict, finding.mends.len()), (Verdict::Note, 1));
    }

    #[test]
    fn a_plain_user_whose_browser_starts_has_its_sandbox() {
        assert_eq!(
            judge_sandbox(&Finding::fine(CHECK, ""), OPEN, false).verdict,
            Verdict::Fine
        );
    }

    #[test]
    fn switches_that_block_are_named_with_the_value_that_unblocks() {
        let failed = judge_failure(
            Path::new("/opt/c"),
            "its last words: No usable sandbox! If",
            None,
            false,
        );
        let blocked = Namespaces {
            most: Some(0),
            unprivileged: Some(0),
            restricted: Some(1),
        };
        let finding = judge_sandbox(&failed, blocked, false);
        assert_eq!(finding.verdict, Verdict::Failure);
        assert_eq!(
            finding.mends[0],
            "run: sudo sysctl -w user.max_user_namespaces=10000"
        );
        assert_eq!(finding.mends.len(), 4);
    }

    #[test]
    fn without_a_switch_to_blame_it_is_the_container() {
        let failed = judge_failure(
            Path::new("/opt/c"),
            "its last words: No usable sandbox! If",
            None,
            false,
        );
        let finding = judge_sandbox(&failed, OPEN, false);
        assert!(finding.mends[0].contains("seccomp"), "{finding:?}");
        let other = judge_sandbox(&Finding::failure(CHECK, "is missing"), OPEN, false);
        assert_eq!(other.verdict, Verdict::Note);
    }
}
