//! The decision which nodes have lost their lease.
//!
//! A node is lost if its beat stood still for [`DEAD_AFTER`] on the clock of the observer, in
//! several looks without a gap. A gap means that the observer or the store was away. The count then
//! begins again, because beats may have been impossible meanwhile.
//!
//! A verdict counts only if the beat is still the observed one: the store compares it when it
//! writes the verdict.

use std::collections::HashMap;
use std::time::Duration;

use super::moment::Moment;
use super::view::Life;

/// The times of the referee.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RefereeTimes {
    /// The time for which a beat must stand still.
    pub dead_after: Duration,
    /// The maximum time between two looks.
    pub max_gap: Duration,
}

impl RefereeTimes {
    /// The times of every server.
    pub const STANDARD: RefereeTimes = RefereeTimes {
        dead_after: Duration::from_secs(6),
        max_gap: Duration::from_secs(3),
    };
}

/// The minimum number of looks that must see the same beat.
const MIN_LOOKS: u32 = 5;

/// The beat of a node in one look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Observed {
    pub life: Life,
    pub beat: i64,
}

/// A node that has lost its lease, and the beat at which it stood still.
pub(crate) type Verdict = Observed;

/// The memory of the looks of this node at the others.
#[derive(Debug)]
pub(crate) struct Referee {
    times: RefereeTimes,
    watched: HashMap<Life, Watched>,
    /// The time of the last look.
    last_look: Option<Moment>,
}

#[derive(Clone, Copy, Debug)]
struct Watched {
    beat: i64,
    /// The time after the first look that saw this beat.
    since: Moment,
    looks: u32,
}

impl Referee {
    pub fn new(times: RefereeTimes) -> Referee {
        Referee {
            times,
            watched: HashMap::new(),
            last_look: None,
        }
    }

    /// Records one look at the nodes that are alive, and returns those that have lost their lease.
    /// The look was requested at `asked` and seen at `seen`. Ignores the node `own`.
    pub fn look(
        &mut self,
        own: &str,
        nodes: &[Observed],
        asked: Moment,
        seen: Moment,
    ) -> Vec<Verdict> {
        let has_gap = self
            .last_look
            .is_none_or(|last| seen.since(last) > self.times.max_gap);
        let mut watched = HashMap::with_capacity(nodes.len());
        let mut verdicts = Vec::new();
        for node in nodes.iter().filter(|node| node.life.name != own) {
            let earlier = self
                .watched
                .get(&node.life)
                .filter(|earlier| earlier.beat == node.beat && !has_gap);
            let now = match earlier {
                Some(earlier) => Watched {
                    looks: earlier.looks + 1,
                    ..*earlier
                },
                None => Watched {
                    beat: node.beat,
                    since: seen,
                    looks: 1,
                },
            };
            // From after the first look to before this one, the beat certainly stood still.
            if now.looks >= MIN_LOOKS && asked.since(now.since) > self.times.dead_after {
                verdicts.push(node.clone());
            }
            watched.insert(node.life.clone(), now);
        }
        self.watched = watched;
        self.last_look = Some(seen);
        verdicts
    }
}
