//! What a session was refused lately: for the log, which must not be flooded, and for whoever has
//! to explain a page that did not load.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::authority::Authority;
use crate::denied::{Denied, Reason};

/// How many are remembered.
const MAX_REMEMBERED: usize = 32;

/// How long one explains a page whose address was refused.
const TARGET_MATCH_WINDOW: Duration = Duration::from_secs(30);

/// How long one explains a page that was sent on to another address, which nobody can name.
const REDIRECT_MATCH_WINDOW: Duration = Duration::from_secs(2);

/// So many denials are logged in a window; the first one after it tells how many were not.
const MAX_LOGGED_PER_WINDOW: u32 = 20;

const LOG_WINDOW: Duration = Duration::from_secs(10);

/// The denials of one session. Written by its connections, read by its browser.
#[derive(Debug)]
pub(crate) struct RecentDenials(Mutex<DenialLog>);

#[derive(Debug)]
struct DenialLog {
    latest: VecDeque<(Instant, Denied)>,
    window_start: Instant,
    logged: u32,
    unlogged: u64,
}

impl RecentDenials {
    pub(crate) fn new() -> RecentDenials {
        RecentDenials(Mutex::new(DenialLog {
            latest: VecDeque::new(),
            window_start: Instant::now(),
            logged: 0,
            unlogged: 0,
        }))
    }

    /// Notes a denied. Gives back how many went unlogged before it, if it is to be logged itself.
    pub(crate) fn note(&self, denied: &Denied) -> Option<u64> {
        let now = Instant::now();
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if log.latest.len() == MAX_REMEMBERED {
            log.latest.pop_front();
        }
        log.latest.push_back((now, denied.clone()));
        if now.duration_since(log.window_start) > LOG_WINDOW {
            log.window_start = now;
            log.logged = 0;
        }
        if log.logged == MAX_LOGGED_PER_WINDOW {
            log.unlogged += 1;
            return None;
        }
        log.logged += 1;
        Some(std::mem::take(&mut log.unlogged))
    }

    /// Why a page did not load that was asked for at `target`, or that was sent on from there.
    pub(crate) fn explain(&self, target: Option<&Authority>) -> Option<String> {
        let log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let newest_within = |bound, is_it: &dyn Fn(&Denied) -> bool| {
            let recent = log
                .latest
                .iter()
                .rev()
                .take_while(|(at, _)| at.elapsed() < bound);
            recent
                .map(|(_, denied)| denied)
                .find(|denied| is_it(denied))
                .map(Denied::to_line)
        };
        let of_target = target.and_then(|target| {
            newest_within(TARGET_MATCH_WINDOW, &|denied| denied.target == *target)
        });
        of_target.or_else(|| newest_within(REDIRECT_MATCH_WINDOW, &|_| true))
    }
}

/// How often all sessions were refused something, by the rule.
#[derive(Debug)]
pub(crate) struct DenialCounters(Mutex<BTreeMap<&'static str, u64>>);

impl DenialCounters {
    /// Every rule at 0.
    pub(crate) fn new() -> DenialCounters {
        DenialCounters(Mutex::new(
            Reason::rule_labels().map(|rule| (rule, 0)).collect(),
        ))
    }

    pub(crate) fn count(&self, rule: &'static str) {
        *self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(rule)
            .or_default() += 1;
    }

    pub(crate) fn read(&self) -> Vec<(&'static str, u64)> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.iter().map(|(rule, count)| (*rule, *count)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::denied::Reason;

    fn denied(target: &str) -> Denied {
        Denied {
            target: Authority::parse(target, None).expect("an authority"),
            reason: Reason::Off,
        }
    }

    #[test]
    fn a_refusal_is_found_by_what_was_asked_for_and_else_the_latest_is() {
        let recent = RecentDenials::new();
        assert_eq!(recent.explain(None), None);
        recent.note(&denied("a.example:443"));
        recent.note(&denied("b.example:443"));
        let explain = |target: &str| {
            recent
                .explain(Some(&denied(target).target))
                .expect("an explanation")
        };
        assert!(explain("a.example:443").starts_with("a.example:443"));
        assert!(explain("c.example:443").starts_with("b.example:443"));
    }

    #[test]
    fn neither_memory_nor_log_is_flooded() {
        let recent = RecentDenials::new();
        let logged = (0..1000)
            .filter(|n| recent.note(&denied(&format!("a{n}.example:443"))).is_some())
            .count();
        assert_eq!(logged, MAX_LOGGED_PER_WINDOW as usize);
        assert_eq!(recent.0.lock().expect("fine").latest.len(), MAX_REMEMBERED);
    }
}
