//! The wire format: request bodies, response bodies and error messages.
//!
//! - [`CreateRequest`], [`ExecuteRequest`], [`ListRequest`], [`ScrapeRequest`] and
//!   [`ScrapeInteractRequest`] are parsed by hand from a [`Body`] or from query pairs. Parsing
//!   collects *every* [`Issue`] in schema order, because clients show the complete list.
//! - The response structs serialize their keys in the order of the reference server.
//! - [`ErrorBody`] contains the text of every error.
//!
//! This crate does no I/O. It must not depend on HTTP status codes, addresses, clocks, files or
//! processes. Times arrive as formatted strings.

#![forbid(unsafe_code)]

pub mod action;
mod body;
mod create;
mod error_body;
mod execute;
mod execute_events;
mod execute_response;
mod fault;
mod field;
mod files;
#[cfg(test)]
mod fuzz;
mod issue;
mod kill_report;
mod limit;
mod list;
mod location;
mod operator;
mod response;
mod schema;
mod scrape;
mod scrape_fields;
mod scrape_interact;
mod session;
mod warning;
mod workbench;

pub use body::{Body, InvalidJson};
pub use create::{CreateRequest, Profile};
pub use error_body::ErrorBody;
pub use execute::{ExecuteRequest, Language};
pub use execute_events::{EventPieces, KEEP_ALIVE_COMMENT, OutputEvent};
pub use execute_response::{DownloadedFile, ExecuteResponse, ExecuteResult, JsonPieces};
pub use fault::{
    ClockRequest, FaultKind, FaultRequest, PendingFault, RequestKind, TestModeResponse,
};
pub use files::{FileItem, FileKind, FileRemovedResponse, FileWrittenResponse, FilesResponse};
pub use issue::Issue;
pub use kill_report::{EndReport, KillReport, OpenDialog};
pub use limit::Limit;
pub use list::{ListRequest, StatusFilter};
pub use location::Location;
pub use operator::{
    DiskPressure, EndedResponse, EndedSession, Listed, LivenessResponse, MemoryPressure, NotReady,
    OperatorExecution, OperatorNode, OperatorSession, OperatorState, Pressure, ReadinessResponse,
    Scope,
};
pub use response::{
    ConcurrencyResponse, CreateResponse, DeleteResponse, HealthResponse, ListResponse,
    ProfileDeletedResponse, ProfileItem, ProfilesResponse, SessionListItem, StatusResponse, True,
};
pub use scrape::{
    ActionResults, Format, ScrapeContext, ScrapeData, ScrapeRequest, ScrapeResponse, ScrapedPage,
    ScriptValue,
};
pub use scrape_interact::{InteractSession, InteractTask, ScrapeInteractRequest};
pub use session::{DestroyedReason, SessionStatus};
pub use warning::{FieldWarning, NotSaved, ProfileWarning};
pub use workbench::PastExecution;
