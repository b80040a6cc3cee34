//! Scrapes: the request, the response, and what a later session needs to continue one.

mod context;
mod format;
mod request;
mod response;

pub use context::ScrapeContext;
pub use format::Format;
pub use request::ScrapeRequest;
pub use response::{ActionResults, ScrapeData, ScrapeResponse, ScrapedPage, ScriptValue};
