//! The fields of scrapes, and the maximum lengths of their lists.

use crate::schema::{NONE, Schema};

/// The maximum number of actions.
pub(crate) const MAX_ACTIONS: usize = 50;

/// The fields of an action.
pub(crate) const ACTION: Schema = Schema::Fields(&[
    ("type", NONE),
    ("milliseconds", NONE),
    ("selector", NONE),
    ("all", NONE),
    ("text", NONE),
    ("key", NONE),
    ("direction", NONE),
    ("script", NONE),
    ("fullPage", NONE),
    ("quality", NONE),
    ("viewport", VIEWPORT),
    ("landscape", NONE),
    ("scale", NONE),
    ("format", NONE),
]);

pub(crate) const VIEWPORT: Schema = Schema::Fields(&[("width", NONE), ("height", NONE)]);

/// The maximum number of formats of a request. There are fewer names of formats.
pub(crate) const MAX_FORMATS: usize = 50;

/// The maximum number of selectors in a list.
pub(crate) const MAX_SELECTORS: usize = 500;

/// The maximum number of headers.
pub(crate) const MAX_HEADERS: usize = 100;

/// The fields of a format that is an object.
pub(crate) const FORMAT: Schema = Schema::Fields(&[
    ("type", NONE),
    ("fullPage", NONE),
    ("quality", NONE),
    ("viewport", VIEWPORT),
]);
