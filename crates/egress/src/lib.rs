//! The way out: a filtering forward proxy for every session, in the server's own process. Browsers
//! and code reach other machines through it or, where the kernel enforces that, not at all.
//!
//! A tour: `authority` reads what a request names, `policy` decides about it with the tables of
//! `addresses` and the list of `allow`, `denied` has the words. Those are pure. `dial` resolves
//! once and connects to exactly what was checked. `proxy` listens, `forward` carries plain requests,
//! `tunnel` what CONNECT asks for, `large` and `relay` help with what is long; `answer` is what
//! clients are told when nothing is carried.
//!
//! It must not know: sessions, browsers, and who enforces that nobody goes around it.

mod addresses;
mod allow;
mod authority;
mod denials;
mod denied;
mod dial;
mod forward;
mod headers;
mod meter;
mod policy;
mod proxy;
mod relay;
mod resolve;
mod response;
mod self_ports;
mod splice;
mod tunnel;
mod upstream;

pub use self::allow::{AllowList, ParseAllowListError};
pub use self::meter::Traffic;
pub use self::policy::{Mode, Policy};
pub use self::proxy::{Egress, Explainer, Proxy};
pub use self::resolve::Resolve;
pub use self::upstream::{ParseUpstreamError, Upstream};
