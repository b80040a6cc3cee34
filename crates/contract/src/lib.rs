//! The wire: what a request may say, what an answer looks like, and the words of every refusal.
//!
//! - [`CreateRequest`], [`ExecuteRequest`], [`ListRequest`] are read by hand from a JSON value or
//!   query pairs. Reading collects *every* [`Issue`], in schema order, because clients show the
//!   whole list.
//! - The response structs serialise with their keys in the order that the reference server uses.
//! - [`ErrorBody`] holds the wording of the error table.
//!
//! This crate must not know HTTP status codes, addresses, clocks, files or processes: it does no
//! I/O, and points in time reach it as strings that are already formatted.

mod create;
mod error_body;
mod execute;
mod field;
mod issue;
mod limit;
mod list;
mod operator;
mod response;
mod session;
mod warning;

pub use create::{CreateRequest, Profile};
pub use error_body::ErrorBody;
pub use execute::{ExecuteRequest, Language};
pub use issue::Issue;
pub use limit::Limit;
pub use list::{ListRequest, StatusFilter};
pub use operator::{
    DiskPressure, EndedResponse, EndedSession, LivenessResponse, MemoryPressure, NotReady,
    OperatorExecution, OperatorSession, OperatorState, Pressure, ReadinessResponse, Scope,
};
pub use response::{
    CreateResponse, DeleteResponse, ExecuteResponse, HealthResponse, ListResponse,
    ProfileDeletedResponse, ProfileItem, ProfilesResponse, SessionListItem, StatusResponse, True,
};
pub use session::{DestroyedReason, SessionStatus};
pub use warning::{NotSaved, ProfileWarning};
