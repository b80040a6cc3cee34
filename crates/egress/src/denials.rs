//! What a session was refused lately: for the log, which must not be flooded, and for whoever has
//! to explain a page that did not load.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::authority::Authority;
use crate::denied::{Reason, Refusal};

/// How many are remembered.
const KEPT: usize = 32;

/// How long one explains a page whose address was refused.
const EXPLAINS: Duration = Duration::from_secs(30);

/// How long one explains a page that was sent on to another address, which nobody can name.
const EXPLAINS_OTHERS: Duration = Duration::from_secs(2);

/// So many refusals are logged in a window; the first one after it tells how many were not.
const LOGGED_PER_WINDOW: u32 = 20;

const WINDOW: Duration = Duration::from_secs(10);

/// The refusals of one session. Written by its connections, read by its browser.
#[derive(Debug)]
pub(crate) struct Ledger(Mutex<Pages>);

#[derive(Debug)]
struct Pages {
    latest: VecDeque<(Instant, Refusal)>,
    window_from: Instant,
    logged: u32,
    unlogged: u64,
}

impl Ledger {
    pub(crate) fn new() -> Ledger {
        Ledger(Mutex::new(Pages {
            latest: VecDeque::new(),
            window_from: Instant::now(),
            logged: 0,
            unlogged: 0,
        }))
    }

    /// Notes a refusal. Gives back how many went unlogged before it, if it is to be logged itself.
    pub(crate) fn note(&self, refusal: &Refusal) -> Option<u64> {
        let now = Instant::now();
        let mut pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if pages.latest.len() == KEPT {
            pages.latest.pop_front();
        }
        pages.latest.push_back((now, refusal.clone()));
        if now.duration_since(pages.window_from) > WINDOW {
            pages.window_from = now;
            pages.logged = 0;
        }
        if pages.logged == LOGGED_PER_WINDOW {
            pages.unlogged += 1;
            return None;
        }
        pages.logged += 1;
        Some(std::mem::take(&mut pages.unlogged))
    }

    /// Why a page did not load that was asked for at `target`, or that was sent on from there.
    pub(crate) fn explain(&self, target: Option<&Authority>) -> Option<String> {
        let pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let newest_within = |bound, is_it: &dyn Fn(&Refusal) -> bool| {
            let recent = pages
                .latest
                .iter()
                .rev()
                .take_while(|(at, _)| at.elapsed() < bound);
            recent
                .map(|(_, refusal)| refusal)
                .find(|refusal| is_it(refusal))
                .map(Refusal::in_a_line)
        };
        let of_target =
            target.and_then(|target| newest_within(EXPLAINS, &|refusal| refusal.target == *target));
        of_target.or_else(|| newest_within(EXPLAINS_OTHERS, &|_| true))
    }
}

/// How often all sessions were refused something, by the rule.
#[derive(Debug)]
pub(crate) struct Refusals(Mutex<BTreeMap<&'static str, u64>>);

impl Refusals {
    /// Every rule at 0.
    pub(crate) fn new() -> Refusals {
        Refusals(Mutex::new(Reason::rules().map(|rule| (rule, 0)).collect()))
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

    fn refusal(target: &str) -> Refusal {
        Refusal {
            target: Authority::parse(target, None).expect("an authority"),
            reason: Reason::Off,
        }
    }

    #[test]
    fn a_refusal_is_found_by_what_was_asked_for_and_else_the_latest_is() {
        let ledger = Ledger::new();
        assert_eq!(ledger.explain(None), None);
        ledger.note(&refusal("a.example:443"));
        ledger.note(&refusal("b.example:443"));
        let explain = |target: &str| {
            ledger
                .explain(Some(&refusal(target).target))
                .expect("an explanation")
        };
        assert!(explain("a.example:443").starts_with("a.example:443"));
        assert!(explain("c.example:443").starts_with("b.example:443"));
    }

    #[test]
    fn neither_memory_nor_log_is_flooded() {
        let ledger = Ledger::new();
        let logged = (0..1000)
            .filter(|n| {
                ledger
                    .note(&refusal(&format!("a{n}.example:443")))
                    .is_some()
            })
            .count();
        assert_eq!(logged, LOGGED_PER_WINDOW as usize);
        assert_eq!(ledger.0.lock().expect("fine").latest.len(), KEPT);
    }
}
