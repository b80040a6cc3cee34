//! A row of the matrix: a group of related attacks and their result at each level.

use std::collections::{BTreeMap, BTreeSet};

use crate::attacks::level::Level;

/// The result of every probe by name: `reached: details` or `blocked: reason`.
pub type ProbeResults = BTreeMap<String, String>;

/// The expected result of a row's attacks at one level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// All attacks succeed.
    Reached,
    /// No attack succeeds.
    Blocked,
    /// Some attacks succeed although the level should block them; the text gives the reason.
    Open(&'static str),
    /// The attacks are not tried; the text gives the reason.
    NotRun(&'static str),
}

use Expected::{Blocked, NotRun, Open, Reached};

/// A row of the matrix.
#[derive(Debug)]
pub struct Row {
    /// The number in the threat list: `S` secrets, `R` resources, `O` output, `B` browser, `H`
    /// HTTP.
    pub id: &'static str,
    /// The attack in one sentence.
    pub attack: &'static str,
    /// The names of the probes in the script. A leading `?` marks a probe that not every machine
    /// supports.
    pub probes: &'static [&'static str],
    /// Results in the order of [`Level::ALL`].
    pub expected: [Expected; 3],
}

/// Returns a row whose attacks succeed without isolation and are blocked with it.
pub const fn contained(
    id: &'static str,
    attack: &'static str,
    probes: &'static [&'static str],
) -> Row {
    Row {
        id,
        attack,
        probes,
        expected: [Reached, Blocked, Blocked],
    }
}

/// Returns a row whose attacks are blocked at every level, because another mechanism stops them.
pub const fn never(id: &'static str, attack: &'static str, probes: &'static [&'static str]) -> Row {
    Row {
        id,
        attack,
        probes,
        expected: [Blocked, Blocked, Blocked],
    }
}

/// Returns a row whose attacks are blocked only with separate users.
pub const fn needs_users(
    id: &'static str,
    attack: &'static str,
    probes: &'static [&'static str],
    why: &'static str,
) -> Row {
    Row {
        id,
        attack,
        probes,
        expected: [Reached, Blocked, Open(why)],
    }
}

/// Returns a row that is open at every level.
pub const fn open(
    id: &'static str,
    attack: &'static str,
    probes: &'static [&'static str],
    why: &'static str,
) -> Row {
    Row {
        id,
        attack,
        probes,
        expected: [Reached, Open(why), Open(why)],
    }
}

impl Row {
    pub fn at(&self, level: Level) -> Expected {
        self.expected[level as usize]
    }

    /// Returns true if the probe belongs to this row.
    pub fn has(&self, probe: &str) -> bool {
        self.probes.iter().any(|own| name_of(own).0 == probe)
    }

    /// Returns the results that differ from this row's expectation.
    fn check(&self, level: Level, results: &ProbeResults) -> Vec<String> {
        let expected = self.at(level);
        if matches!(expected, NotRun(_)) {
            return Vec::new();
        }
        let mut reached = 0;
        let mut wrong = Vec::new();
        for probe in self.probes {
            let (name, is_everywhere) = name_of(probe);
            let Some(result) = results.get(name) else {
                wrong.push(format!("{} {name}: not tried", self.id));
                continue;
            };
            let is_reached = result.starts_with("reached: ");
            reached += usize::from(is_reached);
            let is_right = match expected {
                _ if !is_reached && !result.starts_with("blocked: ") => false,
                Reached => is_reached || !is_everywhere,
                Blocked => !is_reached,
                Open(_) | NotRun(_) => true,
            };
            if !is_right {
                wrong.push(format!(
                    "{} {name}: {result} (expected: {expected:?})",
                    self.id
                ));
            }
        }
        if matches!(expected, Open(_)) && reached == 0 {
            wrong.push(format!(
                "{}: every probe was blocked, but the matrix says that the row is open",
                self.id
            ));
        }
        wrong
    }
}

fn name_of(probe: &'static str) -> (&'static str, bool) {
    probe
        .strip_prefix('?')
        .map_or((probe, true), |name| (name, false))
}

/// Asserts that every result belongs to a row and matches it; the panic lists all that do not.
#[track_caller]
pub fn assert_as_expected(level: Level, rows: &[Row], results: &ProbeResults) {
    let mut wrong: Vec<String> = rows
        .iter()
        .flat_map(|row| row.check(level, results))
        .collect();
    let known: BTreeSet<&str> = rows
        .iter()
        .flat_map(|row| row.probes)
        .map(|probe| name_of(probe).0)
        .collect();
    let strange = results.keys().filter(|name| !known.contains(name.as_str()));
    wrong.extend(strange.map(|name| format!("{name}: belongs to no row")));
    let all: Vec<String> = results
        .iter()
        .map(|(name, result)| format!("- {name}: {}", result.trim()))
        .collect();
    eprintln!("{}", all.join("\n"));
    let count = wrong.len();
    assert!(
        wrong.is_empty(),
        "{count} attacks had unexpected results at {}\n  {}",
        level.title(),
        wrong.join("\n  ")
    );
}

/// Checks that the check itself detects unexpected results.
#[test]
fn an_unexpected_result_is_detected() {
    let row = contained("S0", "", &["one", "?two"]);
    let results_of = |one: &str, two: &str| {
        ProbeResults::from([
            ("one".to_owned(), one.to_owned()),
            ("two".to_owned(), two.to_owned()),
        ])
    };
    let count = |level, one, two| row.check(level, &results_of(one, two)).len();
    assert_eq!(count(Level::None, "reached: x", "blocked: x"), 0);
    assert_eq!(count(Level::None, "blocked: x", "reached: x"), 1);
    assert_eq!(count(Level::Root, "blocked: x", "blocked: x"), 0);
    assert_eq!(count(Level::Root, "blocked: x", "reached: x"), 1);
    assert_eq!(count(Level::Root, "mistaken: x", ""), 2);
    let open = open("S0", "", &["one", "?two"], "why");
    assert_eq!(
        open.check(Level::Plain, &results_of("blocked: x", "blocked: x"))
            .len(),
        1
    );
}
