//! What the people who run a server are told: probes, figures, logs, the page, and the documents
//! about them.

mod documents;
mod figures;
mod logs;
mod page;
mod probes;
