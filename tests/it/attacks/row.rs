//! A row of the matrix: attacks that are one thought, and what becomes of them at each level.

use std::collections::{BTreeMap, BTreeSet};

use crate::attacks::level::Level;

/// What came of every probe, by its name: `reached: what was seen` or `blocked: why`.
pub type Verdicts = BTreeMap<String, String>;

/// What becomes of the attacks of one row at one level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// They reach what they are after, all of them.
    Reached,
    /// None does.
    Blocked,
    /// Some do although the level would rather have it otherwise; the sentence says why that is so.
    Open(&'static str),
    /// They are not tried there; the sentence says why not.
    NotTried(&'static str),
}

use Expected::{Blocked, NotTried, Open, Reached};

/// One row.
#[derive(Debug)]
pub struct Row {
    /// The number in the list of threats: `S` secrets, `R` resources, `O` output, `B` browser, `H`
    /// HTTP.
    pub id: &'static str,
    /// What is tried.
    pub attack: &'static str,
    /// The names of the probes in the script. One with a `?` before it is for what not every
    /// machine has.
    pub probes: &'static [&'static str],
    /// In the order of [`Level::ALL`].
    pub expected: [Expected; 3],
}

/// A row whose attacks work without a level and not with one.
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

/// A row whose attacks work at no level: what stops them is no part of one.
pub const fn never(id: &'static str, attack: &'static str, probes: &'static [&'static str]) -> Row {
    Row {
        id,
        attack,
        probes,
        expected: [Blocked, Blocked, Blocked],
    }
}

/// A row that separate users are needed for.
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

/// A row that stands open at every level.
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

    /// Whether this probe is one of its.
    pub fn has(&self, probe: &str) -> bool {
        self.probes.iter().any(|own| name_of(own).0 == probe)
    }

    /// What is wrong with these verdicts, as far as this row goes.
    fn check(&self, level: Level, verdicts: &Verdicts) -> Vec<String> {
        let expected = self.at(level);
        if matches!(expected, NotTried(_)) {
            return Vec::new();
        }
        let mut reached = 0;
        let mut wrong = Vec::new();
        for probe in self.probes {
            let (name, is_everywhere) = name_of(probe);
            let Some(verdict) = verdicts.get(name) else {
                wrong.push(format!("{} {name}: not tried", self.id));
                continue;
            };
            let is_reached = verdict.starts_with("reached: ");
            reached += usize::from(is_reached);
            let is_right = match expected {
                _ if !is_reached && !verdict.starts_with("blocked: ") => false,
                Reached => is_reached || !is_everywhere,
                Blocked => !is_reached,
                Open(_) | NotTried(_) => true,
            };
            if !is_right {
                wrong.push(format!(
                    "{} {name}: {verdict} (expected: {expected:?})",
                    self.id
                ));
            }
        }
        if matches!(expected, Open(_)) && reached == 0 {
            wrong.push(format!(
                "{} is closed, and the matrix says that it is open",
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

/// Asserts that every verdict belongs to a row and is what the row expects; names all that are not.
#[track_caller]
pub fn assert_as_expected(level: Level, rows: &[Row], verdicts: &Verdicts) {
    let mut wrong: Vec<String> = rows
        .iter()
        .flat_map(|row| row.check(level, verdicts))
        .collect();
    let known: BTreeSet<&str> = rows
        .iter()
        .flat_map(|row| row.probes)
        .map(|probe| name_of(probe).0)
        .collect();
    let strange = verdicts
        .keys()
        .filter(|name| !known.contains(name.as_str()));
    wrong.extend(strange.map(|name| format!("{name}: in no row")));
    let all: Vec<String> = verdicts
        .iter()
        .map(|(name, verdict)| format!("- {name}: {}", verdict.trim()))
        .collect();
    eprintln!("{}", all.join("\n"));
    let count = wrong.len();
    assert!(
        wrong.is_empty(),
        "{count} attacks went otherwise at {}\n  {}",
        level.title(),
        wrong.join("\n  ")
    );
}

/// The judgement is worth what it notices.
#[test]
fn a_verdict_that_is_not_expected_is_noticed() {
    let row = contained("S0", "", &["one", "?two"]);
    let said = |one: &str, two: &str| {
        Verdicts::from([
            ("one".to_owned(), one.to_owned()),
            ("two".to_owned(), two.to_owned()),
        ])
    };
    let count = |level, one, two| row.check(level, &said(one, two)).len();
    assert_eq!(count(Level::None, "reached: x", "blocked: x"), 0);
    assert_eq!(count(Level::None, "blocked: x", "reached: x"), 1);
    assert_eq!(count(Level::Root, "blocked: x", "blocked: x"), 0);
    assert_eq!(count(Level::Root, "blocked: x", "reached: x"), 1);
    assert_eq!(count(Level::Root, "mistaken: x", ""), 2);
    let open = open("S0", "", &["one", "?two"], "why");
    assert_eq!(
        open.check(Level::Plain, &said("blocked: x", "blocked: x"))
            .len(),
        1
    );
}
