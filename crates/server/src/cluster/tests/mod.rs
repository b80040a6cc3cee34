//! Tests of the decisions of a cluster, and of its statements under faults.

mod placement;
mod referee;
