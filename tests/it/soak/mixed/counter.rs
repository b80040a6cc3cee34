//! Counters in profiles. Every save increments one, in three stores of the browser at once. A
//! profile then holds the old or the new count in all of them, and never an older one than a
//! response has acknowledged.

use std::collections::BTreeMap;
use std::sync::Mutex;

use serde_json::Value;

/// A function of a page: returns the count in local storage, a session cookie and a lasting cookie.
const READ: &str = "() => { \
    const cookie = (name) => document.cookie.split('; ').find((one) => one.startsWith(name + '='))?.split('=')[1] ?? ''; \
    return [localStorage.count ?? '', cookie('session'), cookie('lasting')]; }";

/// A function of a page: stores a count.
const WRITE: &str = "(it) => { localStorage.count = it; document.cookie = `session=${it}`; document.cookie = `lasting=${it}; max-age=99999`; }";

/// Returns node code that reads the counts.
pub fn read_code(url: &str) -> String {
    format!("await page.goto('{url}'); JSON.stringify([await page.evaluate({READ})])")
}

/// Returns node code that reads the counts, stores `count`, and reads them again.
pub fn write_code(url: &str, team: usize, count: u64) -> String {
    format!(
        "await page.goto('{url}');
         JSON.stringify([await page.evaluate({READ}), await page.evaluate({WRITE}, '{team}.{count}'), await page.evaluate({READ})].filter(Boolean))"
    )
}

/// The count of a profile in each of the three stores. 0 if there is none.
pub type Stored = [u64; 3];

/// Parses one reading of `team`'s profile.
pub fn parse(reading: &Value, team: usize) -> Result<Stored, String> {
    let mut counts = [0; 3];
    for (index, count) in counts.iter_mut().enumerate() {
        let text = reading[index]
            .as_str()
            .ok_or_else(|| format!("no reading: {reading}"))?;
        if text.is_empty() {
            continue;
        }
        let own = text.strip_prefix(&format!("{team}."));
        let own = own.ok_or_else(|| format!("the count {text} belongs to another team"))?;
        *count = own
            .parse()
            .map_err(|error| format!("the count {text}: {error}"))?;
    }
    Ok(counts)
}

/// The possible content of a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counter {
    /// The oldest and the newest count that the profile may hold.
    oldest: u64,
    newest: u64,
    /// True if a fault hit the browser's own processes while it stored the count, so that the
    /// stores may differ.
    may_differ: bool,
    /// The last count that was given to a session.
    given: u64,
}

/// The possible contents of all profiles, by team and name.
#[derive(Debug, Default)]
pub struct Counters(Mutex<BTreeMap<(usize, String), Counter>>);

/// The end of a session that stored a count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Save {
    /// The server acknowledged it.
    Acknowledged,
    /// It was acknowledged, but a fault had hit the browser, which may have lost a store.
    Damaged,
    /// The server reported that the profile is unchanged.
    Rejected,
    /// No response tells.
    Unknown,
}

impl Counters {
    fn with<T>(&self, team: usize, name: &str, change: impl FnOnce(&mut Counter) -> T) -> T {
        let mut counters = self.0.lock().expect("the lock is not poisoned");
        let counter = counters.entry((team, name.to_owned()));
        change(counter.or_insert(Counter {
            oldest: 0,
            newest: 0,
            may_differ: false,
            given: 0,
        }))
    }

    /// Returns the count for the next save.
    pub fn next(&self, team: usize, name: &str) -> u64 {
        self.with(team, name, |counter| {
            counter.given += 1;
            counter.given
        })
    }

    /// Returns the oldest count that a session may find that is created from now on, and true if
    /// the stores may differ.
    pub fn expected(&self, team: usize, name: &str) -> (u64, bool) {
        self.with(team, name, |counter| (counter.oldest, counter.may_differ))
    }

    /// Checks what a session found that was created when `expected` was the result of
    /// [`Counters::expected`]. A writer knows afterwards what the profile holds.
    pub fn check(
        &self,
        (team, name): (usize, &str),
        expected: (u64, bool),
        found: Stored,
        is_writer: bool,
    ) -> Result<(), String> {
        self.with(team, name, |counter| {
            let (oldest, may_differ) = (expected.0, expected.1 || counter.may_differ);
            // A reader may start while a writer saves.
            let newest = if is_writer {
                counter.newest
            } else {
                counter.given
            };
            let is_mixed = found.iter().any(|count| *count != found[0]);
            if is_mixed && !may_differ {
                return Err(format!("the stores differ: {found:?}, {counter:?}"));
            }
            let is_known = |count: &u64| (oldest..=newest).contains(count);
            if !may_differ && !found.iter().all(is_known) {
                return Err(format!(
                    "{found:?} is not from {oldest} to {newest}, {counter:?}"
                ));
            }
            if is_writer && !is_mixed {
                (counter.oldest, counter.newest) = (found[0], found[0]);
                counter.may_differ = false;
            }
            Ok(())
        })
    }

    /// Records that a writer's session has ended, which had stored `count`.
    pub fn saved(&self, team: usize, name: &str, count: u64, save: Save) {
        self.with(team, name, |counter| match save {
            Save::Acknowledged => {
                (counter.oldest, counter.newest) = (count, count);
                counter.may_differ = false;
            }
            Save::Damaged => {
                counter.newest = count;
                counter.may_differ = true;
            }
            Save::Rejected => {}
            Save::Unknown => counter.newest = count,
        });
    }
}

#[test]
fn a_profile_holds_what_was_acknowledged_or_a_later_attempt() {
    let counters = Counters::default();
    let check = |found, is_writer| {
        let expected = counters.expected(1, "p");
        counters.check((1, "p"), expected, found, is_writer)
    };
    assert_eq!(check([0; 3], true), Ok(()));
    assert_eq!(counters.next(1, "p"), 1);
    counters.saved(1, "p", 1, Save::Acknowledged);
    assert!(check([0; 3], true).is_err(), "older than acknowledged");
    assert!(check([1, 1, 0], true).is_err(), "mixed");
    assert_eq!(check([1; 3], true), Ok(()));
    assert_eq!(counters.next(1, "p"), 2);
    assert_eq!(check([2; 3], false), Ok(()), "a reader, while it is saved");
    assert!(check([2; 3], true).is_err(), "never acknowledged");
    counters.saved(1, "p", 2, Save::Rejected);
    assert!(check([2; 3], true).is_err(), "rejected");
    assert_eq!(counters.next(1, "p"), 3);
    counters.saved(1, "p", 3, Save::Unknown);
    assert_eq!(check([3; 3], true), Ok(()));
    assert!(check([1; 3], true).is_err(), "older than what was found");
}

#[test]
fn a_reading_names_its_team() {
    let reading = |counts: [&str; 3]| parse(&serde_json::json!(counts), 2);
    assert_eq!(reading(["", "2.7", "2.8"]), Ok([0, 7, 8]));
    assert!(reading(["1.7", "", ""]).is_err());
    assert!(parse(&Value::Null, 2).is_err());
}
