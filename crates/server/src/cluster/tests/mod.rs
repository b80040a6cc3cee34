//! Tests of the decisions of a cluster, and of its statements under faults.

mod chaos;
mod membership;
mod placement;
mod referee;
mod statements;
