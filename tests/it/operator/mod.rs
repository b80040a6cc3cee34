//! Features for operators: probes, metrics, logs, the operator page, and their documents.

mod documents;
mod logs;
pub mod metrics;
mod nodes;
mod page;
mod probes;
