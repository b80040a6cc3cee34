//! Records denied and failed requests: rate limits their log events, counts them, and explains
//! pages that did not load.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::authority::Authority;
use crate::denied::{Denied, Reason};

/// Number of denials and failures that a session remembers.
const MAX_REMEMBERED: usize = 32;

/// Time during which a denial explains a page with the same target.
const TARGET_MATCH_WINDOW: Duration = Duration::from_secs(30);

/// Time during which a denial explains any other page, because that page may have been redirected
/// to the denied target.
const REDIRECT_MATCH_WINDOW: Duration = Duration::from_secs(2);

/// Maximum number of denials that are logged per [`LOG_WINDOW`]. The next log event contains the
/// number of omitted denials.
const MAX_LOGGED_PER_WINDOW: u32 = 20;

const LOG_WINDOW: Duration = Duration::from_secs(10);

/// The recent denials of one session. Its connections write them and its browser reads them.
#[derive(Debug)]
pub(crate) struct RecentDenials(Mutex<DenialLog>);

#[derive(Debug)]
struct DenialLog {
    latest: VecDeque<Failure>,
    window_start: Instant,
    logged: u32,
    unlogged: u64,
}

/// A request that was denied or failed.
#[derive(Debug)]
struct Failure {
    at: Instant,
    /// `None` if the target is invalid.
    target: Option<Authority>,
    /// The reason, as one line without a full stop.
    line: String,
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

    /// Records a denial. If it should be logged, returns how many denials before it were not.
    pub(crate) fn record(&self, denied: &Denied) -> Option<u64> {
        self.remember(Some(&denied.target), &denied.to_line());
        let now = Instant::now();
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
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

    /// Remembers why a request failed, without a log event. `target` is `None` if it is invalid.
    pub(crate) fn remember(&self, target: Option<&Authority>, line: &str) {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if log.latest.len() == MAX_REMEMBERED {
            log.latest.pop_front();
        }
        log.latest.push_back(Failure {
            at: Instant::now(),
            target: target.cloned(),
            line: line.to_owned(),
        });
    }

    /// Returns why a page at `target`, or a page that it redirected to, did not load.
    pub(crate) fn describe_for(&self, target: Option<&Authority>) -> Option<String> {
        let log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let newest_within = |window, matches: &dyn Fn(&Failure) -> bool| {
            let mut recent = log
                .latest
                .iter()
                .rev()
                .take_while(|failure| failure.at.elapsed() < window);
            recent
                .find(|failure| matches(failure))
                .map(|failure| failure.line.clone())
        };
        let same_target = target.and_then(|target| {
            newest_within(TARGET_MATCH_WINDOW, &|failure| {
                failure.target.as_ref() == Some(target)
            })
        });
        same_target.or_else(|| newest_within(REDIRECT_MATCH_WINDOW, &|_| true))
    }
}

/// The number of denials of all sessions, by rule.
#[derive(Debug)]
pub(crate) struct DenialCounters(Mutex<BTreeMap<&'static str, u64>>);

impl DenialCounters {
    /// Creates a counter at 0 for every rule.
    pub(crate) fn new() -> DenialCounters {
        DenialCounters(Mutex::new(
            Reason::rule_labels().map(|rule| (rule, 0)).collect(),
        ))
    }

    pub(crate) fn increment(&self, rule: &'static str) {
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

    fn denial(target: &str) -> Denied {
        Denied {
            target: Authority::parse(target, None).expect("an authority"),
            reason: Reason::Off,
        }
    }

    #[test]
    fn a_denial_is_found_by_target_or_else_the_latest_is_used() {
        let recent = RecentDenials::new();
        assert_eq!(recent.describe_for(None), None);
        recent.record(&denial("a.example:443"));
        recent.record(&denial("b.example:443"));
        let describe_for = |target: &str| {
            recent
                .describe_for(Some(&denial(target).target))
                .expect("a description")
        };
        assert!(describe_for("a.example:443").starts_with("a.example:443"));
        assert!(describe_for("c.example:443").starts_with("b.example:443"));
    }

    #[test]
    fn an_invalid_target_explains_the_next_page() {
        let recent = RecentDenials::new();
        recent.record(&denial("a.example:443"));
        recent.remember(None, "the target is invalid");
        assert_eq!(
            recent.describe_for(None).as_deref(),
            Some("the target is invalid")
        );
    }

    #[test]
    fn memory_and_log_are_not_flooded() {
        let recent = RecentDenials::new();
        let logged = (0..1000)
            .filter(|n| {
                recent
                    .record(&denial(&format!("a{n}.example:443")))
                    .is_some()
            })
            .count();
        assert_eq!(logged, MAX_LOGGED_PER_WINDOW as usize);
        assert_eq!(
            recent.0.lock().expect("not poisoned").latest.len(),
            MAX_REMEMBERED
        );
    }
}
