//! The Firecrawl server for which this one is the front (`HEARTH_FIRECRAWL_URL`).

mod probe;
mod server;

pub(crate) use self::probe::{ask, watch};
pub(crate) use self::server::{Firecrawl, FirecrawlError};
