//! Handlers, one file per endpoint or resource. A handler reads a request, calls into `sessions` or
//! `profiles`, and builds the response. It makes no decisions itself.

pub(crate) mod cdp;
pub(crate) mod concurrency;
pub(crate) mod create_session;
pub(crate) mod delete_session;
pub(crate) mod execute;
pub(crate) mod files;
pub(crate) mod health;
pub(crate) mod list_sessions;
pub(crate) mod live_view;
pub(crate) mod metrics;
pub(crate) mod openapi;
pub(crate) mod operator;
pub(crate) mod probes;
pub(crate) mod profiles;
pub(crate) mod scrape;
pub(crate) mod scrape_interact;
pub(crate) mod show_session;
pub(crate) mod workbench;
