//! All flags that Chromium is started with, each with its reason. Pure: properties of the machine
//! are passed as arguments.

use std::path::Path;

use crate::viewport::Viewport;

/// Height in pixels of the tab strip and the address bar of a full Chromium window (measured on
/// 156). They are drawn in headless mode too and reduce the size of the page.
const WINDOW_BARS_PX: u32 = 87;

/// The kind of an executable. Both kinds take the same flags and differ in the size of their
/// windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BrowserKind {
    /// `chromium-headless-shell`: always headless, has no window bars, and starts four times as
    /// fast.
    HeadlessShell,
    /// Full Chromium, run with `--headless`.
    Chromium,
}

impl BrowserKind {
    /// Determines the kind by the file's name: Debian uses `chromium-headless-shell`, Google
    /// `chrome-headless-shell`, and older builds are called `headless_shell`.
    pub(crate) fn of(executable: &Path) -> BrowserKind {
        let name = executable.file_name().unwrap_or_default().to_string_lossy();
        if name.contains("headless-shell") || name.contains("headless_shell") {
            BrowserKind::HeadlessShell
        } else {
            BrowserKind::Chromium
        }
    }
}

/// The input of [`build_flags`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct FlagsFor<'a> {
    pub(crate) kind: BrowserKind,
    pub(crate) user_data: &'a Path,
    pub(crate) viewport: Viewport,
    pub(crate) user_agent: &'a str,
    /// The languages of the browser, unless they are the usual ones.
    pub(crate) languages: Option<&'a str>,
    /// True if Chromium can create its own sandbox.
    pub(crate) sandbox: bool,
    /// The port of the session's proxy on 127.0.0.1.
    pub(crate) proxy_port: Option<u16>,
    /// True if `/dev/shm` is too small for tabs (Docker provides 64 MB by default).
    pub(crate) small_shared_memory: bool,
}

/// The languages that Chrome with a window sends. The shell would send no Accept-Language at all.
const LANGUAGES: &str = "en-US,en";

/// Flags that every browser gets.
const ALWAYS: &[&str] = &[
    // Commands arrive on descriptor 3 and leave on 4, so there is no port for others to find, and
    // Chromium ends when the server's ends close.
    "--remote-debugging-pipe",
    // No welcome page and no question about the default browser.
    "--no-first-run",
    "--no-default-browser-check",
    // Without these four flags Chromium calls home at start: variations, updates, sync, field
    // trials.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-field-trial-config",
    // No installation of the web store's default apps.
    "--disable-default-apps",
    // No crash dumps: they contain page content, and full Chromium's crash handler is one more
    // process.
    "--disable-breakpad",
    "--disable-crash-reporter",
    // Traffic stays on TCP, where a proxy can see it.
    "--disable-quic",
    // WebRTC reveals no local address and opens no UDP. The longer `--force-…` form has no effect.
    "--webrtc-ip-handling-policy=disable_non_proxied_udp",
    // Cookies are encrypted with a fixed key instead of a key from the desktop's key ring over
    // D-Bus.
    "--password-store=basic",
    // Background tabs keep their timers and their renderer's priority, because no tab is visible to
    // a person.
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    // Going back loads the page again, because clients wait for that load.
    "--disable-back-forward-cache",
    // No dialogs that only a person at a screen could answer: hung pages, form data sent twice,
    // search engines.
    "--disable-hang-monitor",
    "--disable-prompt-on-repost",
    "--disable-search-engine-choice-screen",
    // Programs navigate often and quickly on purpose.
    "--disable-ipc-flooding-protection",
    // No attempt to open http:// addresses as https:// first, no translation bar, no search for
    // cast devices in the local network, no download of hint models.
    "--disable-features=HttpsUpgrades,Translate,MediaRouter,DialMediaRouteProvider,OptimizationHints",
    // Screenshots have the same colors on every machine and no scrollbars.
    "--force-color-profile=srgb",
    "--hide-scrollbars",
    // There is no sound device.
    "--mute-audio",
    // On a machine without a mouse, pages would assume a touch screen.
    "--blink-settings=primaryHoverType=2,availableHoverTypes=2,primaryPointerType=4,availablePointerTypes=4",
];

/// Returns the arguments for one start. The last one is the page to open.
pub(crate) fn build_flags(on: &FlagsFor<'_>) -> Vec<String> {
    let mut flags: Vec<String> = ALWAYS.iter().map(|&flag| flag.to_owned()).collect();
    // The cookies, caches and storage of this session.
    flags.push(format!("--user-data-dir={}", on.user_data.display()));
    // Otherwise the user agent contains HeadlessChrome.
    flags.push(format!("--user-agent={}", on.user_agent));
    let languages = on.languages.unwrap_or(LANGUAGES);
    flags.push(format!("--accept-lang={languages}"));
    let Viewport { width, height } = on.viewport;
    match on.kind {
        BrowserKind::HeadlessShell => {
            // The window is as large as the page, so every tab in every context has exactly this
            // size.
            flags.push(format!("--window-size={width},{height}"));
            // The client hints (Sec-CH-UA, navigator.userAgentData) list HeadlessChrome as a brand,
            // whatever the user agent. With this flag they are empty if a user agent is given.
            flags.push("--enable-features=UACHOverrideBlank".to_owned());
        }
        BrowserKind::Chromium => {
            let height = height + WINDOW_BARS_PX;
            flags.push("--headless".to_owned());
            // A window is never larger than the screen, which is 800×600 by default.
            flags.push(format!("--screen-info={{{width}x{height}}}"));
            flags.push(format!("--window-size={width},{height}"));
            // Background pages of built-in extensions would show up as targets.
            flags.push("--disable-component-extensions-with-background-pages".to_owned());
        }
    }
    if !on.sandbox {
        flags.push("--no-sandbox".to_owned());
        if on.kind == BrowserKind::Chromium {
            // No warning bar about the flag above, which would take 56 px from the page.
            flags.push("--test-type".to_owned());
        }
    }
    if let Some(port) = on.proxy_port {
        flags.push(format!("--proxy-server=http://127.0.0.1:{port}"));
        // By default, Chromium connects to loopback and link-local addresses without the proxy.
        flags.push("--proxy-bypass-list=<-loopback>".to_owned());
    }
    if on.small_shared_memory {
        // Shared memory as files in TMPDIR: slower on a disk, but tabs do not crash.
        flags.push("--disable-dev-shm-usage".to_owned());
    }
    // Full Chromium would otherwise open its new-tab page, which loads from Google.
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
            languages: None,
            sandbox: true,
            proxy_port: None,
            small_shared_memory: false,
        }
    }

    fn has(flags: &[String], flag: &str) -> bool {
        flags.iter().any(|have| have == flag)
    }

    #[test]
    fn headless_shell_window_has_the_page_size() {
        let flags = build_flags(&for_kind(BrowserKind::HeadlessShell));
        assert!(has(&flags, "--window-size=1280,720"), "{flags:?}");
        assert!(!has(&flags, "--headless"), "{flags:?}");
    }

    #[test]
    fn full_chromium_window_includes_its_bars() {
        let flags = build_flags(&for_kind(BrowserKind::Chromium));
        assert!(has(&flags, "--window-size=1280,807"), "{flags:?}");
        assert!(has(&flags, "--screen-info={1280x807}"), "{flags:?}");
        assert!(has(&flags, "--headless"), "{flags:?}");
    }

    #[test]
    fn languages_are_english_unless_others_are_given() {
        let mut on = for_kind(BrowserKind::HeadlessShell);
        assert!(has(&build_flags(&on), "--accept-lang=en-US,en"));
        on.languages = Some("de-DE,de,en");
        let flags = build_flags(&on);
        assert!(has(&flags, "--accept-lang=de-DE,de,en"));
        assert!(!has(&flags, "--accept-lang=en-US,en"));
    }

    #[test]
    fn sandbox_is_disabled_only_where_unavailable() {
        let mut on = for_kind(BrowserKind::HeadlessShell);
        assert!(!has(&build_flags(&on), "--no-sandbox"));
        on.sandbox = false;
        assert!(has(&build_flags(&on), "--no-sandbox"));
    }

    #[test]
    fn proxy_receives_all_traffic_including_loopback() {
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
    fn shared_memory_uses_files_only_where_it_is_small() {
        let mut on = for_kind(BrowserKind::HeadlessShell);
        assert!(!has(&build_flags(&on), "--disable-dev-shm-usage"));
        on.small_shared_memory = true;
        assert!(has(&build_flags(&on), "--disable-dev-shm-usage"));
    }

    #[test]
    fn page_to_open_is_the_last_argument() {
        let flags = build_flags(&for_kind(BrowserKind::Chromium));
        assert_eq!(flags.last().map(String::as_str), Some("about:blank"));
    }

    #[test]
    fn browser_kind_follows_from_the_file_name() {
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
