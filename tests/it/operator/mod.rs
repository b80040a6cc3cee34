//! What the people who run a server are told: probes, figures, logs, the page, and the documents
//! about them.

mod documents;
mod logs;
mod metrics;
mod page;
mod probes;
