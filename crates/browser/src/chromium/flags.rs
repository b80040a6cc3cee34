//! Every flag that Chromium is started with, and why. Pure: what the machine is like comes in as
//! arguments.

use std::path::Path;

use crate::viewport::Viewport;

/// Height in pixels of the tab strip and the address bar of a full Chromium window (measured on
/// 156). They are drawn in headless mode too and take their place from the page.
const WINDOW_BARS_PX: u32 = 87;

/// Which of the two programs an executable is: they take the same flags and differ in what a window
/// is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BrowserKind {
    /// `chromium-headless-shell`: headless by itself, its windows have no bars, it starts four
    /// times as fast.
    HeadlessShell,
    /// Full Chromium, run with `--headless`.
    Chromium,
}

impl BrowserKind {
    /// Judges by the file's name: Debian's is `chromium-headless-shell`, Google's
    /// `chrome-headless-shell`, older builds are called `headless_shell`.
    pub(crate) fn of(executable: &Path) -> BrowserKind {
        let name = executable.file_name().unwrap_or_default().to_string_lossy();
        if name.contains("headless-shell") || name.contains("headless_shell") {
            BrowserKind::HeadlessShell
        } else {
            BrowserKind::Chromium
        }
    }
}

/// What the flags depend on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FlagsFor<'a> {
    pub(crate) kind: BrowserKind,
    pub(crate) user_data: &'a Path,
    pub(crate) viewport: Viewport,
    pub(crate) user_agent: &'a str,
    /// Chromium can make its own sandbox.
    pub(crate) sandbox: bool,
    /// The port of the session's proxy on 127.0.0.1.
    pub(crate) proxy_port: Option<u16>,
    /// `/dev/shm` is too small for tabs (Docker gives 64 MB by default).
    pub(crate) small_shared_memory: bool,
}

/// Flags that are the same for everyone.
const ALWAYS: &[&str] = &[
    // Commands come in on descriptor 3 and leave on 4, so there is no port that anyone could find,
    // and Chromium ends by itself when our ends close.
    "--remote-debugging-pipe",
    // No welcome page, no question about the default browser.
    "--no-first-run",
    "--no-default-browser-check",
    // It calls home at its start without these four: variations, updates, sync, field trials.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-field-trial-config",
    // Nor installs the web store's default apps.
    "--disable-default-apps",
    // No crash dumps: they hold page content, and full Chromium's dump handler is one more process.
    "--disable-breakpad",
    "--disable-crash-reporter",
    // Traffic stays on TCP, where a proxy can see it.
    "--disable-quic",
    // WebRTC reveals no local address and opens no UDP; the longer `--force-…` form of it does
    // nothing.
    "--webrtc-ip-handling-policy=disable_non_proxied_udp",
    // Cookies are encrypted with a fixed key instead of asking a desktop's key ring over D-Bus.
    "--password-store=basic",
    // A tab that is not in front keeps its timers and its renderer's priority: nobody looks at any
    // tab.
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    // Going back loads the page again: clients wait for that load.
    "--disable-back-forward-cache",
    // No dialog that only a person at a screen could answer: hung pages, form data sent twice,
    // search engines.
    "--disable-hang-monitor",
    "--disable-prompt-on-repost",
    "--disable-search-engine-choice-screen",
    // Many quick navigations by a program are meant.
    "--disable-ipc-flooding-protection",
    // An http:// address is not tried as https:// first; no translation bar; no search for cast
    // devices in the local network; no download of hint models.
    "--disable-features=HttpsUpgrades,Translate,MediaRouter,DialMediaRouteProvider,OptimizationHints",
    // What a Chrome with a window tells servers and pages; the shell would send no Accept-Language
    // at all.
    "--accept-lang=en-US,en",
    // Pictures have the same colours on every machine, and no bars on their edges.
    "--force-color-profile=srgb",
    "--hide-scrollbars",
    // There is no sound device.
    "--mute-audio",
    // A machine without a mouse would make pages think that they are on a touch screen.
    "--blink-settings=primaryHoverType=2,availableHoverTypes=2,primaryPointerType=4,availablePointerTypes=4",
];

/// The arguments for one start, the page to open last.
pub(crate) fn build_flags(on: &FlagsFor<'_>) -> Vec<String> {
    let mut flags: Vec<String> = ALWAYS.iter().map(|&flag| flag.to_owned()).collect();
    // Cookies, caches and storage of this session alone.
    flags.push(format!("--user-data-dir={}", on.user_data.display()));
    // Without it the user agent says HeadlessChrome.
    flags.push(format!("--user-agent={}", on.user_agent));
    let Viewport { width, height } = on.viewport;
    match on.kind {
        BrowserKind::HeadlessShell => {
            // The window is the page: every tab in every context has exactly this size.
            flags.push(format!("--window-size={width},{height}"));
            // The client hints (Sec-CH-UA, navigator.userAgentData) name HeadlessChrome as a brand
            // whatever the user agent is. With this they are empty when a user agent is given.
            flags.push("--enable-features=UACHOverrideBlank".to_owned());
        }
        BrowserKind::Chromium => {
            let height = height + WINDOW_BARS_PX;
            flags.push("--headless".to_owned());
            // A window is never larger than the screen, which is 800×600 when nothing is said.
            flags.push(format!("--screen-info={{{width}x{height}}}"));
            flags.push(format!("--window-size={width},{height}"));
            // Built-in extensions with pages of their own would be targets that nobody opened.
            flags.push("--disable-component-extensions-with-background-pages".to_owned());
        }
    }
    if !on.sandbox {
        flags.push("--no-sandbox".to_owned());
        if on.kind == BrowserKind::Chromium {
            // No bar that warns of the flag above: it would take 56 px from the page.
            flags.push("--test-type".to_owned());
        }
    }
    if let Some(port) = on.proxy_port {
        flags.push(format!("--proxy-server=http://127.0.0.1:{port}"));
        // Left alone, Chromium goes to loopback and link-local addresses by itself.
        flags.push("--proxy-bypass-list=<-loopback>".to_owned());
    }
    if on.small_shared_memory {
        // Shared memory as files in TMPDIR: slower on a disk, but tabs do not crash.
        flags.push("--disable-dev-shm-usage".to_owned());
    }
    // Full Chromium would open its new-tab page, which loads from Google.
    flags.push("about:blank".to_owned());
    flags
}

#[cfg(test)]
mod tests {
    use super::*;

    fn for_kind(kind: BrowserKind) -> FlagsFor<'static> {
        FlagsFor {
            kind,
            user_data: Path::new("/s/user-data"),
            viewport: Viewport {
                width: 1280,
                height: 720,
            },
            user_agent: "Agent/1",
            sandbox: true,
            proxy_port: None,
            small_shared_memory: false,
        }
    }

    fn has(flags: &[String], flag: &str) -> bool {
        flags.iter().any(|have| have == flag)
    }

    #[test]
    fn the_shells_window_is_the_page() {
        let flags = build_flags(&for_kind(BrowserKind::HeadlessShell));
        assert!(has(&flags, "--window-size=1280,720"), "{flags:?}");
        assert!(!has(&flags, "--headless"), "{flags:?}");
    }

    #[test]
    fn full_chromiums_window_has_room_for_its_bars() {
        let flags = build_flags(&for_kind(BrowserKind::Chromium));
        assert!(has(&flags, "--window-size=1280,807"), "{flags:?}");
        assert!(has(&flags, "--screen-info={1280x807}"), "{flags:?}");
        assert!(has(&flags, "--headless"), "{flags:?}");
    }

    #[test]
    fn the_sandbox_is_given_up_only_where_there_can_be_none() {
        let mut on = for_kind(BrowserKind::HeadlessShell);
        assert!(!has(&build_flags(&on), "--no-sandbox"));
        on.sandbox = false;
        assert!(has(&build_flags(&on), "--no-sandbox"));
    }

    #[test]
    fn a_proxy_takes_everything_loopback_too() {
        let mut on = for_kind(BrowserKind::HeadlessShell);
        assert!(
            !build_flags(&on)
                .iter()
                .any(|flag| flag.starts_with("--proxy"))
        );
        on.proxy_port = Some(4000);
        let flags = build_flags(&on);
        assert!(
            has(&flags, "--proxy-server=http://127.0.0.1:4000"),
            "{flags:?}"
        );
        assert!(has(&flags, "--proxy-bypass-list=<-loopback>"), "{flags:?}");
    }

    #[test]
    fn shared_memory_moves_to_files_only_where_it_is_small() {
        let mut on = for_kind(BrowserKind::HeadlessShell);
        assert!(!has(&build_flags(&on), "--disable-dev-shm-usage"));
        on.small_shared_memory = true;
        assert!(has(&build_flags(&on), "--disable-dev-shm-usage"));
    }

    #[test]
    fn the_page_to_open_comes_last() {
        let flags = build_flags(&for_kind(BrowserKind::Chromium));
        assert_eq!(flags.last().map(String::as_str), Some("about:blank"));
    }

    #[test]
    fn the_flavour_is_told_by_the_files_name() {
        assert_eq!(
            BrowserKind::of(Path::new("/usr/lib/chromium/chromium-headless-shell")),
            BrowserKind::HeadlessShell
        );
        assert_eq!(
            BrowserKind::of(Path::new("/opt/headless_shell")),
            BrowserKind::HeadlessShell
        );
        assert_eq!(
            BrowserKind::of(Path::new("/usr/lib/chromium/chromium")),
            BrowserKind::Chromium
        );
    }
}
