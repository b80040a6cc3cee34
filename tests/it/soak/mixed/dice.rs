//! Seeded decisions: the same seed yields the same decisions on every machine.

use std::time::Duration;

/// A sequence of decisions (the generator `SplitMix64`).
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    /// Returns the sequence of one actor in one round. It does not depend on how many decisions
    /// others have taken.
    pub fn of(seed: u64, round: u64, actor: u64) -> Dice {
        let mut dice = Dice(seed);
        for part in [round, actor] {
            dice = Dice(dice.next() ^ part.wrapping_mul(0xd6e8_feb8_6659_fd93));
        }
        dice
    }

    /// Returns a sequence for one action. The decisions after it do not depend on how many
    /// decisions the action takes.
    pub fn fork(&mut self) -> Dice {
        Dice(self.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below `count`, which is not 0.
    pub fn below(&mut self, count: usize) -> usize {
        let count = u64::try_from(count).expect("usize has at most 64 bits");
        usize::try_from(self.next() % count).expect("it is below a usize")
    }

    /// Returns true in `percent` of all calls.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// Returns one of the items, which are not empty.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// Returns a duration from `min` to `max` milliseconds.
    pub fn millis(&mut self, min: u64, max: u64) -> Duration {
        Duration::from_millis(min + self.next() % (max - min + 1))
    }
}

#[test]
fn decisions_depend_only_on_the_seed_the_round_and_the_actor() {
    let decisions = |mut dice: Dice| (0..50).map(|_| dice.below(1000)).collect::<Vec<_>>();
    assert_eq!(
        decisions(Dice::of(7, 3, 1)),
        decisions(Dice::of(7, 3, 1)),
        "replayed"
    );
    for other in [Dice::of(8, 3, 1), Dice::of(7, 4, 1), Dice::of(7, 3, 2)] {
        assert_ne!(decisions(Dice::of(7, 3, 1)), decisions(other));
    }
    // An action that takes more decisions changes none of the later ones.
    let (mut one, mut two) = (Dice::new(9), Dice::new(9));
    one.fork();
    two.fork().below(5);
    assert_eq!(decisions(one), decisions(two));
}
