//! Tests of the decision which nodes have lost their lease, also with a model.

use std::collections::BTreeMap;
use std::time::Duration;

use arbtest::arbtest;
use hearth_fuzz::{Result, Unstructured};

use crate::cluster::referee::{Observed, Referee, RefereeTimes, Verdict};
use crate::cluster::{Life, Moment};

const TIMES: RefereeTimes = RefereeTimes::STANDARD;

fn at(milliseconds: u64) -> Moment {
    Moment::default().after(Duration::from_millis(1_000_000 + milliseconds))
}

fn observed(name: &str, beat: i64) -> Observed {
    let name = name.to_owned();
    Observed {
        life: Life { name, epoch: 1 },
        beat,
    }
}

/// Looks at one node every second, from `from` to `to`, and returns the time of the first verdict.
fn first_verdict(referee: &mut Referee, beat: i64, from: u64, to: u64) -> Option<u64> {
    (from..=to).step_by(1_000).find(|time| {
        let look = referee.look("own", &[observed("a", beat)], at(*time), at(*time));
        !look.is_empty()
    })
}

#[test]
fn a_beat_that_stands_still_ends_the_lease_after_six_seconds() {
    let mut referee = Referee::new(TIMES);
    assert_eq!(first_verdict(&mut referee, 1, 0, 60_000), Some(7_000));
}

#[test]
fn a_beat_that_moves_keeps_the_lease() {
    let mut referee = Referee::new(TIMES);
    for beat in 0..40_u64 {
        let moved = i64::try_from(beat / 5).expect("small");
        let time = beat * 1_000;
        assert_eq!(first_verdict(&mut referee, moved, time, time), None);
    }
}

#[test]
fn a_gap_begins_the_count_again() {
    let mut referee = Referee::new(TIMES);
    assert_eq!(first_verdict(&mut referee, 1, 0, 6_000), None);
    // The store or this node was away.
    assert_eq!(first_verdict(&mut referee, 1, 16_000, 60_000), Some(23_000));
}

#[test]
fn few_looks_decide_nothing() {
    let times = RefereeTimes {
        max_gap: Duration::from_mins(1),
        ..TIMES
    };
    let mut referee = Referee::new(times);
    for time in [0, 10_000, 20_000, 30_000] {
        let look = referee.look("own", &[observed("a", 1)], at(time), at(time));
        assert_eq!(look, [], "after {time} ms");
    }
    let look = referee.look("own", &[observed("a", 1)], at(40_000), at(40_000));
    assert_eq!(look, [observed("a", 1)]);
}

#[test]
fn a_node_does_not_judge_itself_and_a_new_life_begins_anew() {
    let mut referee = Referee::new(TIMES);
    let mut second = observed("a", 1);
    for time in (0..60_000).step_by(1_000) {
        let nodes = [observed("own", 1)];
        assert_eq!(referee.look("own", &nodes, at(time), at(time)), []);
    }
    assert_eq!(first_verdict(&mut referee, 1, 60_000, 66_000), None);
    second.life.epoch = 2;
    let look = referee.look("own", &[second], at(67_000), at(67_000));
    assert_eq!(look, []);
}

/// The store and the processes of a cluster, in a simulated time.
struct Model {
    now: u64,
    rows: BTreeMap<String, Row>,
    observers: Vec<Observer>,
}

struct Row {
    epoch: i64,
    beat: i64,
    is_alive: bool,
    /// The time at which the beat has last moved.
    moved_at: u64,
    /// True while the process runs.
    is_running: bool,
}

struct Observer {
    name: String,
    referee: Referee,
    /// Verdicts that are not written yet.
    pending: Vec<Verdict>,
}

const NAMES: [&str; 3] = ["a", "b", "c"];

impl Model {
    fn new() -> Model {
        let row = || Row {
            epoch: 1,
            beat: 0,
            is_alive: true,
            moved_at: 0,
            is_running: true,
        };
        let observer = |name: &&str| Observer {
            name: (*name).to_owned(),
            referee: Referee::new(TIMES),
            pending: Vec::new(),
        };
        Model {
            now: 0,
            rows: NAMES
                .iter()
                .map(|name| ((*name).to_owned(), row()))
                .collect(),
            observers: NAMES.iter().map(observer).collect(),
        }
    }

    /// Returns the nodes that are alive, as an observer reads them.
    fn alive(&self) -> Vec<Observed> {
        let alive = self.rows.iter().filter(|(_, row)| row.is_alive);
        let observed = alive.map(|(name, row)| Observed {
            life: Life {
                name: name.clone(),
                epoch: row.epoch,
            },
            beat: row.beat,
        });
        observed.collect()
    }

    /// Reads the nodes that are alive, and passes them to the referee of an observer. Reading takes
    /// time, and so does the way of the answer.
    fn look(&mut self, which: usize, random: &mut Unstructured<'_>) -> Result<()> {
        let asked = self.now;
        self.now += random.int_in_range(0..=800)?;
        let nodes = self.alive();
        // Others act before the answer arrives.
        let delay = random.int_in_range(0..=3_000)?;
        if random.arbitrary()? {
            self.beat_all();
        }
        self.now += delay;
        let observer = &mut self.observers[which];
        let verdicts = observer
            .referee
            .look(&observer.name, &nodes, at(asked), at(self.now));
        observer.pending.extend(verdicts);
        Ok(())
    }

    fn beat_all(&mut self) {
        for row in self
            .rows
            .values_mut()
            .filter(|row| row.is_running && row.is_alive)
        {
            row.beat += 1;
            row.moved_at = self.now;
        }
    }

    /// Writes the verdicts of an observer, as the store does: a verdict counts only if the beat is
    /// still the observed one.
    fn declare(&mut self, which: usize) {
        for Observed { life, beat } in std::mem::take(&mut self.observers[which].pending) {
            let row = self.rows.get_mut(&life.name).expect("every name has a row");
            if row.epoch != life.epoch || row.beat != beat || !row.is_alive {
                continue;
            }
            let stood = self.now - row.moved_at;
            assert!(
                stood > 6_000,
                "{life:?} was declared dead {stood} ms after its beat"
            );
            row.is_alive = false;
        }
    }

    /// Begins a new life of a process.
    fn register(&mut self, name: &str) {
        let now = self.now;
        let row = self.rows.get_mut(name).expect("every name has a row");
        *row = Row {
            epoch: row.epoch + 1,
            beat: 0,
            is_alive: true,
            moved_at: now,
            is_running: true,
        };
    }

    fn step(&mut self, random: &mut Unstructured<'_>) -> Result<()> {
        let which = random.choose_index(NAMES.len())?;
        match random.int_in_range(0..=9)? {
            0..=3 => self.look(which, random)?,
            4 | 5 => self.beat_all(),
            6 => self.declare(which),
            7 => {
                let row = self
                    .rows
                    .get_mut(NAMES[which])
                    .expect("every name has a row");
                row.is_running = !row.is_running;
            }
            8 => self.register(NAMES[which]),
            _ => self.now += random.int_in_range(0..=4_000)?,
        }
        self.now += random.int_in_range(0..=900)?;
        Ok(())
    }
}

#[test]
fn no_node_is_declared_dead_unless_its_beat_stood_still() {
    arbtest(|random| {
        let mut model = Model::new();
        while !random.is_empty() {
            model.step(random)?;
        }
        Ok(())
    });
}

#[test]
fn a_stopped_node_is_always_declared_dead() {
    arbtest(|random| {
        let mut model = Model::new();
        for _ in 0..random.int_in_range(0..=30)? {
            model.step(random)?;
        }
        model.register("a");
        model.rows.get_mut("a").expect("it is known").is_running = false;
        let stopped = model.now;
        // An observer that looks regularly needs six seconds and the looks around them.
        while model.rows["a"].is_alive {
            model.look_at_once(1);
            model.declare(1);
            model.now += random.int_in_range(500..=1_500)?;
            let passed = model.now - stopped;
            assert!(passed < 10_500, "not declared dead after {passed} ms");
        }
        Ok(())
    });
}

impl Model {
    /// Looks without a delay.
    fn look_at_once(&mut self, which: usize) {
        let nodes = self.alive();
        let observer = &mut self.observers[which];
        let (name, now) = (&observer.name, at(self.now));
        let verdicts = observer.referee.look(name, &nodes, now, now);
        observer.pending.extend(verdicts);
    }
}
