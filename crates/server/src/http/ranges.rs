//! The `Range` of a request for a file (RFC 9110, section 14).

use std::ops::Range;

use axum::http::HeaderMap;
use axum::http::header::{IF_RANGE, RANGE};

/// The part of a file that a request wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Whole,
    Part(Range<u64>),
    /// The file has no such bytes.
    Unsatisfiable,
}

impl Wanted {
    /// Returns what a request wants of a file with `size` bytes. `etag` names its content.
    ///
    /// A header that is not understood counts as missing, and so does one with several ranges.
    pub fn of(headers: &HeaderMap, size: u64, etag: &str) -> Wanted {
        // The client has a part of another content.
        let is_other = headers
            .get(IF_RANGE)
            .is_some_and(|known| known.as_bytes() != etag.as_bytes());
        let mut ranges = headers.get_all(RANGE).iter();
        let (Some(range), None) = (ranges.next(), ranges.next()) else {
            return Wanted::Whole;
        };
        let range = range.to_str().ok().filter(|_| !is_other);
        range
            .and_then(|range| parse(range, size))
            .unwrap_or(Wanted::Whole)
    }
}

/// Parses a header with one range of bytes. Returns none for every other header.
fn parse(range: &str, size: u64) -> Option<Wanted> {
    let (unit, range) = range.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = range.trim().split_once('-')?;
    let range = match (first, last) {
        ("", suffix) => size.saturating_sub(number(suffix)?)..size,
        (first, "") => number(first)?..size,
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            if last < first {
                return None;
            }
            first..last.saturating_add(1).min(size)
        }
    };
    Some(if range.start < range.end {
        Wanted::Part(range)
    } else {
        Wanted::Unsatisfiable
    })
}

/// Parses a number of digits. One that is too large is larger than every file.
fn number(digits: &str) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn wanted(range: &'static str, size: u64) -> Wanted {
        let range = (RANGE, HeaderValue::from_static(range));
        Wanted::of(&HeaderMap::from_iter([range]), size, "\"x\"")
    }

    #[test]
    fn a_range_is_part_of_the_file() {
        for (range, part) in [
            ("bytes=0-0", 0..1),
            ("bytes=0-9", 0..10),
            ("bytes=2-5", 2..6),
            ("bytes=9-", 9..10),
            ("bytes=5-99999999999999999999999", 5..10),
            ("bytes=-3", 7..10),
            ("bytes=-99", 0..10),
            ("BYTES=1-1", 1..2),
        ] {
            assert_eq!(wanted(range, 10), Wanted::Part(part), "{range}");
        }
    }

    #[test]
    fn a_range_behind_the_file_is_unsatisfiable() {
        for (range, size) in [
            ("bytes=10-", 10),
            ("bytes=10-12", 10),
            ("bytes=99999999999999999999-", 10),
            ("bytes=-0", 10),
            ("bytes=0-", 0),
            ("bytes=-1", 0),
        ] {
            assert_eq!(wanted(range, size), Wanted::Unsatisfiable, "{range}");
        }
    }

    #[test]
    fn other_headers_are_ignored() {
        for range in [
            "bytes=5-2",
            "bytes=0-1,3-4",
            "bytes=a-b",
            "bytes=1-+2",
            "bytes=-",
            "bytes=",
            "lines=1-2",
            "1-2",
            "",
        ] {
            assert_eq!(wanted(range, 10), Wanted::Whole, "{range}");
        }
        assert_eq!(Wanted::of(&HeaderMap::new(), 10, "\"x\""), Wanted::Whole);
    }

    #[test]
    fn a_range_of_another_content_is_ignored() {
        let with = |known: &'static str| {
            let range = (RANGE, HeaderValue::from_static("bytes=1-2"));
            let known = (IF_RANGE, HeaderValue::from_static(known));
            Wanted::of(&HeaderMap::from_iter([range, known]), 10, "\"x\"")
        };
        assert_eq!(with("\"x\""), Wanted::Part(1..3));
        assert_eq!(with("\"y\""), Wanted::Whole);
        assert_eq!(with("W/\"x\""), Wanted::Whole);
    }
}
