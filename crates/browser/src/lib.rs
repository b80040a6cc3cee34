//! Runs one Chromium per session over its debugging pipe, and shares it between clients.
//!
//! Modules, in the order of their use:
//!
//! - `chromium` is the process. `version` reads the version of an executable, `flags` lists every
//!   flag with its reason, and `launch` starts the program and waits for its first page. `stderr`
//!   keeps Chromium's last output for error messages. `supervise` owns the process tree and reports
//!   why it ended ([`DeathReason`]). [`Browser`] is the handle. `cookies` reads and restores
//!   cookies, and lists the files that profiles leave out.
//! - `cdp` is the protocol: `pipe` moves NUL-terminated frames, `envelope` parses and writes
//!   messages.
//! - `broker` gives every client its own browser-level session, keeps ids and sessions apart, and
//!   enforces the policy. [`Client`] is the client's end. `commands` sends Hearth's own commands,
//!   `tab_list` tracks the current tab, and `unresponsive_tabs` recovers tabs that do not respond.
//! - `screencast` sends frames of a tab and applies input to it.
//!
//! Dependencies point one way: `screencast` uses `chromium`, `chromium` uses `broker`, and `broker`
//! uses `cdp`. The crate is independent of HTTP, WebSocket, Hearth's sessions, users, the store,
//! and the content of pages.

#![forbid(unsafe_code)]

mod broker;
mod cdp;
mod chromium;
mod locale;
mod screencast;
mod viewport;

pub use broker::certificates::{IgnoredCertificates, ParseIgnoredError};
pub use broker::client::{Client, ClientReceiver, ClientSender, Closed, MAX_REQUEST_BYTES};
pub use broker::commands::{BrowserError, BrowserInfo, Tab, TabChanges, Target};
pub use broker::dialogs::OpenDialog;
pub use broker::file_access::ClientOrigin;
pub use broker::finished_downloads::FinishedDownload;
pub use broker::limits::BrowserLimits;
pub use broker::mobile::MOBILE_SCALE;
pub use broker::navigation_hint::NavigationErrorHint;
pub use broker::send_queue::Outgoing;
pub use chromium::browser::Browser;
pub use chromium::cookies::{CookieJar, PROFILE_DIR, profile_exclusions};
pub use chromium::launch::{LaunchError, LaunchSpec, MIN_SHARED_MEMORY_BYTES, shared_memory_bytes};
pub use chromium::supervise::DeathReason;
pub use chromium::version::{ProbeError, VERIFIED_MAJORS, Version, probe};
pub use locale::Locale;
pub use screencast::{
    Dialog, Frame, FrameTicket, Input, Key, MAX_UNACKNOWLEDGED, Mouse, PressedInputs, Screencast,
    ScreencastEvent, Touch, Wheel,
};
pub use viewport::Viewport;
