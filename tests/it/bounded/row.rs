//! A row of the table: one attack, and the resource that it exhausts without limits.

use futures_util::future::LocalBoxFuture;

use super::scenario::Scenario;

/// A resource of the server with a threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    Memory,
    Descriptors,
    Threads,
    Log,
    /// The time of `/livez`.
    Livez,
    /// The time in which another team creates a session.
    OtherTeam,
}

impl Resource {
    /// Returns the name for the table of attacks.
    pub fn name(self) -> &'static str {
        match self {
            Resource::Memory => "memory",
            Resource::Descriptors => "descriptors",
            Resource::Threads => "threads",
            Resource::Log => "log",
            Resource::Livez => "`/livez`",
            Resource::OtherTeam => "sessions of another team",
        }
    }
}

/// One attack.
pub struct Row {
    pub id: &'static str,
    /// The attack in one sentence.
    pub attack: &'static str,
    /// The resource that the attack exhausts without limits.
    pub exhausts: Resource,
    /// Starts the attack.
    pub start: for<'a> fn(&'a Scenario) -> LocalBoxFuture<'a, Attack>,
}

/// An attack that lasts until it is ended.
pub enum Attack {
    /// It ends when this future is polled, which owns the attack's connections.
    Until(LocalBoxFuture<'static, ()>),
    /// The server ends it after a time limit, and the future returns then.
    TimeLimited(LocalBoxFuture<'static, ()>),
}

impl Attack {
    /// Returns an attack that ends when `held` is dropped.
    pub fn holding<T: 'static>(held: T) -> Attack {
        Attack::Until(Box::pin(async move { drop(held) }))
    }
}
