//! One Chromium per session, driven over its debugging pipe, and the broker that shares it.
//!
//! A tour, in the order in which things happen:
//!
//! - `version` asks an executable what it is; `flags` holds every flag that we start Chromium with,
//!   each with its reason.
//! - `launch` makes the folders, starts the program through `hearth-sandbox` and waits until a page
//!   is there. `stderr` keeps the last lines that Chromium wrote, for the message when that fails.
//! - [`Browser`] is the handle that comes out; `supervise` is the one owner of the process tree and
//!   knows how it ended ([`DeathReason`]).
//! - `pipe` moves NUL-ended frames in and out of the two pipes.
//! - `broker` gives every client a browser-level session of its own, keeps ids and sessions apart,
//!   and is where policy lives. [`Client`] is one client's end of it.
//! - `own` sends the few commands that are ours, typed by the generated protocol; `tabs` knows
//!   which tab is the current one, `unresponsive_tabs` gets those out of the way that do not answer.
//! - `profile` is what outlives a browser: its cookies, and which of its files are worth keeping.
//! - `screencast` is a tab's picture, again and again, and the hands on it.
//!
//! The crate must not know: HTTP, WebSocket, sessions, callers, the store, or what runs in a page.

mod broker;
mod cdp;
mod chromium;
mod screencast;
mod viewport;

pub use broker::client::{
    Client, ClientReceiver, ClientSender, Closed, MAX_REQUEST_BYTES, Outgoing,
};
pub use broker::commands::{BrowserError, BrowserInfo, Tab, TabChanges, Target};
pub use broker::file_access::ClientOrigin;
pub use broker::limits::BrowserLimits;
pub use broker::navigation_hint::NavigationErrorHint;
pub use chromium::browser::Browser;
pub use chromium::cookies::{CookieJar, PROFILE_DIR, profile_exclusions};
pub use chromium::launch::{LaunchError, LaunchSpec, MIN_SHARED_MEMORY_BYTES, shared_memory_bytes};
pub use chromium::supervise::DeathReason;
pub use chromium::version::{ProbeError, Version, probe};
pub use screencast::{
    Dialog, Frame, FrameTicket, Input, Key, MAX_UNACKNOWLEDGED, Mouse, PressedInputs, Screencast,
    ScreencastEvent, Touch, Wheel,
};
pub use viewport::Viewport;
