//! The Chromium process: flags, launch, supervision, and the handle of a running browser.

pub(crate) mod browser;
pub(crate) mod cookies;
pub(crate) mod flags;
pub(crate) mod launch;
mod stderr;
pub(crate) mod supervise;
pub(crate) mod version;
