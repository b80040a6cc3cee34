//! Drives the current tab of a session from the server, over CDP: opens addresses, performs the
//! actions of a scrape, and reads the page. The session's kernels take no part in it, so nothing of
//! it is visible to the user's code.
//!
//! A [`PageDriver`] is a client of the session's broker, so denied addresses, dialogs and isolation
//! work as for every other client. It follows the current tab: before every step it looks for a tab
//! that the page has opened. `connection` sends calls and reads events, `page_state` keeps what the
//! events say about the page, and `load` waits for documents. `actions` performs actions with
//! `elements`, `keyboard` and `picture`. `devices` sets `origin_headers` and emulates a mobile
//! device, and `script` runs scripts. `driver` is the driver itself.
//!
//! A driver reads the browser's events only during its methods. Its owner therefore drops it when
//! nothing follows soon. Its effect on the tab ends with it, except for the emulated device.

mod actions;
mod connection;
mod devices;
mod driver;
mod elements;
mod error;
mod keyboard;
mod load;
mod origin_headers;
mod page_state;
mod picture;
mod script;

pub(crate) use self::actions::ActionResult;
pub(crate) use self::driver::PageDriver;
pub(crate) use self::error::PageError;
pub(crate) use self::load::Until;
pub(crate) use self::page_state::Document;
