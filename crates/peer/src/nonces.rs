//! The nonces of signatures, so that each signature is valid once.

use std::collections::HashSet;
use std::mem;

/// The length of a nonce.
pub(crate) const NONCE_BYTES: usize = 16;

/// The nonces of recent signatures, in two generations. A generation is forgotten when every
/// signature in it has expired.
#[derive(Debug)]
pub(crate) struct Nonces {
    /// The duration of a generation, in seconds.
    period: u64,
    /// The maximum number of nonces in one generation.
    max: usize,
    began: u64,
    current: HashSet<[u8; NONCE_BYTES]>,
    previous: HashSet<[u8; NONCE_BYTES]>,
}

impl Nonces {
    pub fn new(period: u64, max: usize) -> Nonces {
        Nonces {
            period,
            max,
            began: 0,
            current: HashSet::new(),
            previous: HashSet::new(),
        }
    }

    /// Returns true, once, for a nonce that is new. Returns false when there are too many, because
    /// a signature that cannot be checked is not valid.
    pub fn use_once(&mut self, nonce: [u8; NONCE_BYTES], now: u64) -> bool {
        if now.saturating_sub(self.began) >= self.period {
            let elapsed = now.saturating_sub(self.began);
            self.previous = mem::take(&mut self.current);
            if elapsed >= 2 * self.period {
                self.previous.clear();
            }
            self.began = now;
        }
        self.current.len() < self.max
            && !self.previous.contains(&nonce)
            && self.current.insert(nonce)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_used_once_within_its_period_and_the_next() {
        let mut nonces = Nonces::new(60, 10);
        assert!(nonces.use_once([1; NONCE_BYTES], 1000));
        assert!(!nonces.use_once([1; NONCE_BYTES], 1059));
        assert!(
            !nonces.use_once([1; NONCE_BYTES], 1060),
            "the previous generation"
        );
        assert!(!nonces.use_once([1; NONCE_BYTES], 1119));
        assert!(nonces.use_once([1; NONCE_BYTES], 1180), "expired");
    }

    #[test]
    fn no_nonce_is_new_when_there_are_too_many() {
        let mut nonces = Nonces::new(60, 2);
        assert!(nonces.use_once([1; NONCE_BYTES], 1000));
        assert!(nonces.use_once([2; NONCE_BYTES], 1000));
        assert!(!nonces.use_once([3; NONCE_BYTES], 1000));
        assert!(nonces.use_once([3; NONCE_BYTES], 1060));
    }
}
