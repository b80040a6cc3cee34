//! Checks whether the browser starts as in a session, and whether its own sandbox works.

use std::fs;
use std::path::{Path, PathBuf};

use hearth_browser::{
    Browser, BrowserLimits, IgnoredCertificates, LaunchSpec, VERIFIED_MAJORS, Version, probe,
};
use hearth_budget::Budget;
use tokio::time::Instant;

use super::finding::{Finding, Severity};
use super::fixture::Fixture;
use super::subject::Subject;

const CHECK: &str = "browser";

/// The message about a Chromium that exits because it cannot create its sandbox.
const NO_SANDBOX: &str = "it cannot create its sandbox";

/// The browser's executable, which has printed a version.
#[derive(Debug)]
pub(super) struct Executable {
    path: PathBuf,
    version: Version,
}

/// Finds the executable and reads its version. Returns a finding if that fails.
pub(super) async fn executable(
    subject: &Subject,
    fixture: &Fixture,
    is_root: bool,
) -> Result<Executable, Finding> {
    let program = &subject.config.browser;
    let found = match subject.error("HEARTH_BROWSER") {
        Some(error) => Err(error.to_string()),
        None => program.find().map_err(|error| error.to_string()),
    };
    let path = match found {
        Ok(path) => path,
        Err(error) => {
            return Err(fix(
                Finding::failure(CHECK, error),
                program.package,
                is_root,
            ));
        }
    };
    match probe(&fixture.sandbox.browser, path).await {
        Ok(version) => Ok(Executable {
            path: path.to_owned(),
            version,
        }),
        Err(error) => Err(evaluate_failure(
            path,
            &error.to_string(),
            program.package,
            is_root,
        )),
    }
}

/// Checks whether the broker's rules were verified with the browser's version.
pub(super) fn evaluate_version(executable: &Executable) -> Finding {
    let check = "CDP rules";
    let version = &executable.version;
    let (first, last) = (VERIFIED_MAJORS.start(), VERIFIED_MAJORS.end());
    let text = format!("verified with Chromium {first} to {last}");
    if version.is_verified() {
        return Finding::ok(check, text);
    }
    let major = version.major();
    Finding::note(
        check,
        format!("{text}, not with {major}: CDP clients may behave differently"),
    )
    .fixed_by(format!("fix: {}", version.verified_by()))
}

/// Starts the browser with the configured settings, waits for its first page, and ends it.
pub(super) async fn browser(
    subject: &Subject,
    fixture: &Fixture,
    found: &Executable,
    is_root: bool,
    sandbox: bool,
) -> Finding {
    let package = subject.config.browser.package;
    let Executable {
        path: executable,
        version,
    } = found;
    let user_agent = subject.config.user_agent.clone();
    let launch = LaunchSpec {
        executable: executable.clone(),
        dir: fixture.sandbox.dir.browser(),
        session_dir: fixture.sandbox.dir.root().to_owned(),
        viewport: subject.config.viewport,
        locale: None,
        proxy_port: None,
        navigation_hint: None,
        ignored_certificates: IgnoredCertificates::default(),
        user_agent: user_agent.unwrap_or_else(|| version.default_user_agent()),
        sandbox,
        limits: BrowserLimits {
            max_tabs: 1,
            max_download_bytes: 0,
        },
        budget: Budget::new("the browser", subject.config.limits.session_buffer_mb << 20),
    };
    let began = Instant::now();
    match Browser::launch(&fixture.sandbox.browser, &fixture.tasks, launch).await {
        Ok(browser) => {
            let took_ms = began.elapsed().as_millis();
            browser.kill().await;
            let name = executable.file_name().unwrap_or_default().to_string_lossy();
            Finding::ok(
                CHECK,
                format!(
                    "Chromium {} ({name}), first page after {took_ms} ms",
                    version.number()
                ),
            )
        }
        Err(error) => evaluate_failure(executable, &error.to_string(), package, is_root),
    }
}

/// Returns true if Chromium's last output is about its sandbox.
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

fn evaluate_failure(
    executable: &Path,
    error: &str,
    package: Option<&str>,
    is_root: bool,
) -> Finding {
    let path = executable.display();
    if is_about_sandbox(error) {
        // The output itself is long, and its advice is for desktops.
        return Finding::failure(CHECK, format!("{path} does not start: {NO_SANDBOX}"))
            .fixed_by("see: the next line");
    }
    let is_named = error.contains(&*executable.to_string_lossy());
    let about = if is_named {
        error.to_owned()
    } else {
        format!("{path} does not start: {error}")
    };
    let finding = Finding::failure(CHECK, about);
    if error.contains("shared libraries") {
        let finding = finding.fixed_by(format!(
            "run: ldd {path} | grep 'not found'   (lists all missing libraries)"
        ));
        return if package.is_some() {
            fix(finding, package, is_root)
        } else {
            finding
        };
    }
    if error.contains("Permission denied") {
        return finding.fixed_by(format!(
            "run: ls -l {path}; findmnt -T {path}   (the file must be executable, on a disk without noexec)"
        ));
    }
    fix(finding, package, is_root)
}

fn fix(finding: Finding, package: Option<&str>, is_root: bool) -> Finding {
    match package {
        Some(package) => finding
            .fixed_by(format!(
                "run: {}apt-get install -y --no-install-recommends {package}",
                sudo(is_root)
            ))
            .fixed_by("set: HEARTH_BROWSER to the path of a Chromium, on systems without apt-get"),
        None => finding.fixed_by(
            "set: HEARTH_BROWSER to shell, chromium, or the path of a Chromium executable (not of a script)",
        ),
    }
}

/// Returns the prefix of a command that only root may run.
pub(super) fn sudo(is_root: bool) -> &'static str {
    if is_root { "" } else { "sudo " }
}

/// The kernel settings that control user namespaces, which Chromium's own sandbox needs. A field is
/// `None` if the kernel lacks the setting.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Namespaces {
    /// `user.max_user_namespaces` (`namespaces(7)`).
    max_user: Option<u64>,
    /// `kernel.unprivileged_userns_clone`, specific to Debian.
    unprivileged: Option<u64>,
    /// `kernel.apparmor_restrict_unprivileged_userns`, specific to Ubuntu since 23.10.
    restricted: Option<u64>,
}

impl Namespaces {
    pub fn read() -> Namespaces {
        let read = |path: &str| fs::read_to_string(path).ok()?.trim().parse().ok();
        Namespaces {
            max_user: read("/proc/sys/user/max_user_namespaces"),
            unprivileged: read("/proc/sys/kernel/unprivileged_userns_clone"),
            restricted: read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
        }
    }

    /// Returns the assignments that let unprivileged users create user namespaces.
    fn blocking(self) -> Vec<&'static str> {
        [
            (self.max_user == Some(0), "user.max_user_namespaces=10000"),
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

/// Evaluates whether Chromium's own sandbox works, based on the start of the browser.
pub(super) fn evaluate_sandbox(
    browser: &Finding,
    namespaces: Namespaces,
    is_root: bool,
) -> Finding {
    let check = "sandbox";
    let blocking = namespaces.blocking();
    let switches = blocking
        .iter()
        .map(|setting| format!("run: {}sysctl -w {setting}", sudo(is_root)));
    if is_root {
        let note = Finding::note(check, "Chromium runs without its own sandbox as root").fixed_by(
            "run: useradd --create-home hearth   (and start hearth as that user, for example with `su - hearth`)",
        );
        return switches.fold(note, Finding::fixed_by);
    }
    if browser.severity == Severity::Ok {
        return Finding::ok(
            check,
            "Chromium's own sandbox works (through user namespaces or the setuid helper)",
        );
    }
    if !blocking.is_empty() {
        let failure = Finding::failure(
            check,
            "unprivileged users cannot create user namespaces, which Chromium needs",
        );
        return switches
            .fold(failure, Finding::fixed_by)
            .fixed_by("keep: the setting in a file in /etc/sysctl.d");
    }
    if browser.text.contains(NO_SANDBOX) {
        return Finding::failure(check, "Chromium cannot create user namespaces: the container or the system forbids them")
            .fixed_by("run: docker run --security-opt seccomp=PROFILE …   (Docker's default with clone, clone3, unshare, setns and chroot allowed)");
    }
    Finding::note(check, "unknown until the browser starts")
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: Namespaces = Namespaces {
        max_user: Some(1000),
        unprivileged: Some(1),
        restricted: None,
    };

    #[test]
    fn a_missing_browser_is_fixed_by_its_package() {
        let finding = fix(Finding::failure(CHECK, ""), Some("chromium"), false);
        assert_eq!(
            finding.fixes[0],
            "run: sudo apt-get install -y --no-install-recommends chromium"
        );
    }

    #[test]
    fn a_missing_library_names_the_command_that_lists_it() {
        let error = "error while loading shared libraries: libnss3.so";
        let finding = evaluate_failure(Path::new("/opt/c"), error, None, true);
        assert_eq!(
            finding.fixes,
            ["run: ldd /opt/c | grep 'not found'   (lists all missing libraries)"]
        );
    }

    #[test]
    fn root_has_no_sandbox_and_that_is_a_note() {
        let finding = evaluate_sandbox(&Finding::ok(CHECK, ""), OPEN, true);
        assert_eq!((finding.severity, finding.fixes.len()), (Severity::Note, 1));
    }

    #[test]
    fn a_plain_user_whose_browser_starts_has_its_sandbox() {
        assert_eq!(
            evaluate_sandbox(&Finding::ok(CHECK, ""), OPEN, false).severity,
            Severity::Ok
        );
    }

    #[test]
    fn blocking_kernel_settings_are_named_with_the_value_to_set() {
        let failed = evaluate_failure(
            Path::new("/opt/c"),
            "last output: No usable sandbox! If",
            None,
            false,
        );
        let blocked = Namespaces {
            max_user: Some(0),
            unprivileged: Some(0),
            restricted: Some(1),
        };
        let finding = evaluate_sandbox(&failed, blocked, false);
        assert_eq!(finding.severity, Severity::Failure);
        assert_eq!(
            finding.fixes[0],
            "run: sudo sysctl -w user.max_user_namespaces=10000"
        );
        assert_eq!(finding.fixes.len(), 4);
    }

    #[test]
    fn without_a_blocking_kernel_setting_the_container_is_named() {
        let failed = evaluate_failure(
            Path::new("/opt/c"),
            "last output: No usable sandbox! If",
            None,
            false,
        );
        let finding = evaluate_sandbox(&failed, OPEN, false);
        assert!(finding.fixes[0].contains("seccomp"), "{finding:?}");
        let other = evaluate_sandbox(&Finding::failure(CHECK, "is missing"), OPEN, false);
        assert_eq!(other.severity, Severity::Note);
    }
}
