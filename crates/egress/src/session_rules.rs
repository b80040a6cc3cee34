//! The rules of one session, which its proxy gets together with its client.

use crate::upstream::Upstream;

/// The rules of one session, besides the policy of all sessions.
#[derive(Clone, Debug)]
pub struct SessionRules {
    /// Blocks the hosts of the [`BlockList`](crate::BlockList).
    pub blocks_ads: bool,
    /// The proxy of the session, instead of the one of all sessions.
    pub upstream: Option<Upstream>,
    /// Permits the hosts of denied requests in log events.
    pub logs_hosts: bool,
}

impl Default for SessionRules {
    fn default() -> SessionRules {
        SessionRules {
            blocks_ads: false,
            upstream: None,
            logs_hosts: true,
        }
    }
}
