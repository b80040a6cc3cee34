//! Runs a parser on hostile input: on a checked-in corpus, on generated input, and on mutations of
//! both.
//!
//! A [`Target`] is a test in the crate of the parser, in a module named `fuzz`. By default it runs
//! the corpus and a fixed number of inputs from fixed seeds. With `HEARTH_FUZZ_SECONDS` in the
//! environment, it runs for that long with new seeds. A failing input is minimized and printed as
//! the command that adds it to the corpus.

mod guard;
mod json;
mod mutate;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub use arbitrary::{Result, Unstructured};

pub use self::json::Vocabulary;

use self::guard::{Watchdog, catch_panic};

/// The range of the random bytes from which one input is generated.
const ENTROPY_BYTES: std::ops::RangeInclusive<u32> = 128..=16 * 1024;

/// The time limit for one input. It is far above the time of any input, so that only an endless
/// loop exceeds it.
const INPUT_TIMEOUT: Duration = Duration::from_mins(1);

/// The time limit for minimizing a failing input.
const MINIMIZE_TIMEOUT: Duration = Duration::from_secs(10);

/// A parser to fuzz.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name of its directory in `tests/fuzz/corpus`.
    pub name: &'static str,
    /// Pieces of input that mutations insert.
    pub words: &'static [&'static str],
    /// The number of generated inputs, unless a duration is set.
    pub inputs: u32,
    /// The maximum size of a generated input.
    pub max_bytes: usize,
}

impl Target {
    /// Runs `check` on the corpus and on generated inputs. `check` panics if an input breaks an
    /// invariant. `generate` creates an input that is close to valid.
    ///
    /// # Panics
    ///
    /// Panics if `check` panicked, in any task that runs on this thread, and if there is no corpus.
    pub fn run(
        &self,
        mut generate: impl FnMut(&mut Unstructured<'_>) -> Result<Vec<u8>>,
        mut check: impl FnMut(&[u8]),
    ) {
        let corpus = self.corpus();
        let watchdog = Watchdog::start(INPUT_TIMEOUT, self.name);
        let mut count = 0_u64;
        let mut try_input = |input: &[u8]| {
            count += 1;
            watchdog.begin(input);
            let Err(mut message) = catch_panic(|| check(input)) else {
                return;
            };
            let smallest = minimize(input.to_vec(), |shorter| {
                watchdog.begin(shorter);
                let failure = catch_panic(|| check(shorter)).err();
                let fails = failure.is_some();
                message = failure.unwrap_or(std::mem::take(&mut message));
                fails
            });
            panic!("{}", self.report(&message, &smallest));
        };
        for input in &corpus {
            try_input(input);
        }
        let mut property = |random: &mut Unstructured<'_>| {
            // An error means that the random bytes ran out, which is not a finding.
            if let Ok(input) = self.input(random, &corpus, &mut generate) {
                try_input(&input);
            }
            Ok(())
        };
        match duration() {
            None => (0..self.inputs).for_each(|number| {
                arbtest::arbtest(&mut property)
                    .seed(fixed_seed(number))
                    .run();
            }),
            Some(duration) => arbtest::arbtest(&mut property)
                .size_min(*ENTROPY_BYTES.start())
                .size_max(*ENTROPY_BYTES.end())
                .budget(duration)
                .run(),
        }
        println!("{}: {count} inputs", self.name);
    }

    /// Returns an input: generated, generated and mutated, or a mutated file of the corpus.
    fn input(
        &self,
        random: &mut Unstructured<'_>,
        corpus: &[Vec<u8>],
        generate: &mut impl FnMut(&mut Unstructured<'_>) -> Result<Vec<u8>>,
    ) -> Result<Vec<u8>> {
        let way = random.int_in_range(0..=3)?;
        let mut input = if way == 0 {
            random.choose(corpus)?.clone()
        } else {
            generate(random)?
        };
        if way < 2 {
            let other = random.choose(corpus)?;
            mutate::mutate(random, &mut input, other, self.words)?;
        }
        input.truncate(self.max_bytes);
        Ok(input)
    }

    fn dir(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("corpus")
            .join(self.name)
    }

    /// Reads the files of the corpus, in the order of their names.
    fn corpus(&self) -> Vec<Vec<u8>> {
        let dir = self.dir();
        let entries = fs::read_dir(&dir)
            .unwrap_or_else(|error| panic!("cannot read {}: {error}", dir.display()));
        let mut paths: Vec<PathBuf> = entries
            .map(|entry| entry.expect("the directory can be read").path())
            .collect();
        paths.sort();
        assert!(!paths.is_empty(), "{} has no files", dir.display());
        let read = |path: &PathBuf| {
            fs::read(path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
        };
        paths.iter().map(read).collect()
    }

    /// Describes a failure, with the command that adds its input to the corpus.
    fn report(&self, message: &str, input: &[u8]) -> String {
        format!(
            "the fuzz target {} failed: {message}\n\n\
             The smallest input has {} bytes. This adds it to the corpus:\n  {}\n",
            self.name,
            input.len(),
            command(input, self.name)
        )
    }
}

/// Returns the command that writes `input` to the corpus. Bash's `printf` understands the escapes.
fn command(input: &[u8], name: &str) -> String {
    let escaped = input.escape_ascii().to_string();
    let escaped = escaped.replace("\\'", "\\x27").replace("\\\"", "\\x22");
    format!("printf '%b' '{escaped}' >tests/fuzz/corpus/{name}/NAME")
}

/// Returns a seed for `arbtest`: the number of random bytes and the start of their generator.
fn fixed_seed(number: u32) -> u64 {
    let (start, end) = ENTROPY_BYTES.into_inner();
    let size = start + (number * 97) % (end - start);
    let random = (number + 1).wrapping_mul(0x9e37_79b9);
    u64::from(random) << 32 | u64::from(size)
}

/// Returns the duration from `HEARTH_FUZZ_SECONDS`, if it is set.
fn duration() -> Option<Duration> {
    let seconds = std::env::var("HEARTH_FUZZ_SECONDS").ok()?;
    let seconds = seconds
        .parse()
        .expect("HEARTH_FUZZ_SECONDS is a number of seconds");
    Some(Duration::from_secs(seconds))
}

/// Removes parts of a failing input for as long as the rest still fails.
fn minimize(mut input: Vec<u8>, mut fails: impl FnMut(&[u8]) -> bool) -> Vec<u8> {
    let deadline = Instant::now() + MINIMIZE_TIMEOUT;
    let mut part = input.len().div_ceil(2);
    while part > 0 {
        let before = input.len();
        let mut at = 0;
        while at < input.len() {
            if Instant::now() > deadline {
                return input;
            }
            let end = input.len().min(at + part);
            let shorter = [&input[..at], &input[end..]].concat();
            if fails(&shorter) {
                input = shorter;
            } else {
                at = end;
            }
        }
        let has_shrunk = input.len() < before;
        part = if has_shrunk {
            part.min(input.len())
        } else {
            part / 2
        };
    }
    input
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: Target = Target {
        name: "self-test",
        words: &["needle"],
        inputs: 2000,
        max_bytes: 1000,
    };

    fn lines(random: &mut Unstructured<'_>) -> Result<Vec<u8>> {
        let count = random.int_in_range(1..=5)?;
        Ok(b"line\n".repeat(count))
    }

    #[test]
    fn a_failing_input_is_minimized_and_printed_for_the_corpus() {
        let find = || {
            TARGET.run(lines, |input| {
                assert!(!String::from_utf8_lossy(input).contains("needle"), "found");
            });
        };
        let report = catch_panic(find).expect_err("mutations insert the word");
        assert!(report.contains("found"), "{report}");
        let expected = "printf '%b' 'needle' >tests/fuzz/corpus/self-test/NAME";
        assert!(report.contains(expected), "{report}");
    }

    #[test]
    fn a_panic_in_a_callee_that_catches_it_is_found() {
        let swallowed = || drop(std::panic::catch_unwind(|| panic!("swallowed")));
        let report = catch_panic(swallowed).expect_err("the panic is recorded");
        assert!(report.contains("swallowed"), "{report}");
        assert_eq!(catch_panic(|| {}), Ok(()));
    }

    #[test]
    fn every_byte_survives_the_printed_command() {
        let input: Vec<u8> = (0..=u8::MAX).collect();
        let printed = command(&input, "x");
        let script = printed.replace(">tests/fuzz/corpus/x/NAME", "");
        let output = std::process::Command::new("bash")
            .args(["-c", &script])
            .output()
            .expect("bash runs");
        assert_eq!(output.stdout, input);
    }

    #[test]
    fn minimizing_keeps_only_what_fails() {
        let has_both = |input: &[u8]| input.contains(&b'a') && input.contains(&b'z');
        let minimized = minimize(b"xxxxaxxxxxxxxzxxxxxxxx".to_vec(), has_both);
        assert_eq!(minimized, b"az");
    }
}
