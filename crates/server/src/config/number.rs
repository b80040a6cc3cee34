//! Whole numbers within bounds. Their bounds also appear in `--help` and docs/CONFIGURATION.md.

use std::ffi::OsStr;
use std::ops::RangeInclusive;
use std::time::Duration;

use clap::builder::{PossibleValue, TypedValueParser};
use clap::{Arg, Command, Error};

/// A value parser for a whole number within bounds, which it converts to `T`.
#[derive(Clone)]
pub(crate) struct Number<T> {
    bounds: RangeInclusive<u64>,
    convert: fn(u64) -> T,
}

/// Returns a parser for a count.
pub(super) fn number(bounds: RangeInclusive<u64>) -> Number<u64> {
    Number {
        bounds,
        convert: |number| number,
    }
}

/// Returns a parser for the size of something in memory.
pub(super) fn size(bounds: RangeInclusive<u64>) -> Number<usize> {
    Number {
        bounds,
        convert: |number| usize::try_from(number).unwrap_or(usize::MAX),
    }
}

/// Returns a parser for a number of seconds.
pub(super) fn seconds(bounds: RangeInclusive<u64>) -> Number<Duration> {
    Number {
        bounds,
        convert: Duration::from_secs,
    }
}

impl<T> Number<T> {
    fn parse(&self, text: &str) -> Result<T, String> {
        let number = text.trim().parse().ok();
        number
            .filter(|number| self.bounds.contains(number))
            .map(self.convert)
            .ok_or_else(|| {
                let (min, max) = (self.bounds.start(), self.bounds.end());
                format!("{text:?} is not a whole number from {min} to {max}")
            })
    }

    /// Returns a parser with the same bounds and another result type.
    pub(super) fn map_to<U>(self, convert: fn(u64) -> U) -> Number<U> {
        Number {
            bounds: self.bounds,
            convert,
        }
    }
}

impl<T: Clone + Send + Sync + 'static> TypedValueParser for Number<T> {
    type Value = T;

    fn parse_ref(
        &self,
        command: &Command,
        argument: Option<&Arg>,
        value: &OsStr,
    ) -> Result<T, Error> {
        let number = self.clone();
        // clap turns the message of a closure into an error that names the argument.
        (move |text: &str| number.parse(text)).parse_ref(command, argument, value)
    }

    /// Describes the bounds in one hidden value, because clap has no other way to read them from a
    /// parser.
    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let bounds = format!("{} to {}", self.bounds.start(), self.bounds.end());
        let value = PossibleValue::new(bounds).hide(true);
        Some(Box::new(std::iter::once(value)))
    }
}

/// Units in the names of variables, with other units and the number of units that each is.
const UNITS: [(&str, &[(&str, f64)]); 4] = [
    (
        "_SECONDS",
        &[("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)],
    ),
    (
        "_HOURS",
        &[("m", 1.0 / 60.0), ("h", 1.0), ("d", 24.0), ("w", 168.0)],
    ),
    ("_MB", &[("k", 1.0 / 1024.0), ("m", 1.0), ("g", 1024.0)]),
    (
        "_BYTES",
        &[
            ("b", 1.0),
            ("k", 1024.0),
            ("m", 1_048_576.0),
            ("g", 1_073_741_824.0),
        ],
    ),
];

/// Returns the whole number within `bounds` that is closest to `text`, which may have a fraction,
/// separators and a unit. Returns `None` if `text` is not a number.
pub(super) fn closest_number(variable: &str, bounds: &str, text: &str) -> Option<String> {
    let (min, max) = bounds.split_once(" to ")?;
    let (min, max): (u64, u64) = (min.parse().ok()?, max.parse().ok()?);
    let text = text.replace([',', '_'], "").to_lowercase();
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
    let number = number.or_else(|| {
        let end = text.find(|letter: char| letter.is_ascii_alphabetic() || letter == ' ')?;
        let (number, unit) = text.split_at(end);
        Some(number.parse::<f64>().ok()? * factor(variable, unit.trim())?)
    })?;
    let whole = format!("{:.0}", number.max(0.0)).parse();
    Some(whole.unwrap_or(max).clamp(min, max).to_string())
}

/// Returns the number of the variable's units in one `unit`, such as 60 for `min` and seconds.
fn factor(variable: &str, unit: &str) -> Option<f64> {
    let (_, units) = UNITS.iter().find(|(end, _)| variable.ends_with(end))?;
    // `min`, `minutes`, `MB` and `MiB` begin with the letter of their unit.
    let starts_with = |(name, _): &&(&str, f64)| unit.starts_with(name);
    units.iter().find(starts_with).map(|(_, factor)| *factor)
}

/// Returns the bounds of a setting that takes a [`Number`], such as `1 to 300`.
pub(super) fn bounds_of(argument: &Arg) -> Option<String> {
    let mut values = argument.get_possible_values().into_iter();
    let only = values.next().filter(PossibleValue::is_hide_set)?;
    Some(only.get_name().to_owned())
}
