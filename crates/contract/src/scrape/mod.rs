//! Scrapes: the request, the response, and what a later session needs to continue one.

mod context;
mod format;
mod request;
mod response;

use crate::body::{NONE, Schema};

pub use context::ScrapeContext;
pub use format::Format;
pub use request::ScrapeRequest;
pub use response::{ActionResults, ScrapeData, ScrapeResponse, ScrapedPage, ScriptValue};

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
    ("viewport", crate::action::VIEWPORT),
]);
