//! Random decisions that a seed repeats.

/// A generator of random numbers (`SplitMix64`).
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below `max`.
    pub fn below(&mut self, max: usize) -> usize {
        let max = u64::try_from(max).expect("small");
        usize::try_from(self.next() % max).expect("small")
    }

    /// Returns a number from 0 to 1.
    pub fn fraction(&mut self) -> f64 {
        let thousandths = u32::try_from(self.below(1_001)).expect("small");
        f64::from(thousandths) / 1_000.0
    }
}
