//! The front of a Firecrawl server (`HEARTH_FIRECRAWL_URL`): requests that this server does not
//! serve itself are sent to Firecrawl, so that clients need one address.
//!
//! `pass` sends a request and returns the response, both unchanged and in parts as they arrive.
//! `headers` has the few headers that belong to one connection only, and `relay` continues
//! web sockets. `scrape` selects the server of a scrape, and reads Firecrawl's response, so that a
//! client can interact with the page afterwards: `scrape_id` finds the scrape's id in it, and
//! `kept` is a body that was read before it is sent. `send` counts failures.

mod headers;
mod kept;
mod pass;
mod relay;
mod scrape;
mod scrape_id;
mod send;

pub(crate) use self::pass::fallback;
pub(crate) use self::scrape::scrape;
