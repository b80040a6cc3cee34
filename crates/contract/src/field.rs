//! Parses the fields of a JSON object and collects issues.
//!
//! Values are not coerced: `"60"` is not a number, and `null` differs from a missing field. Numbers
//! follow JavaScript, so `60.0` is an integer and `1e21` is an integer outside the safe range.

use std::ops::RangeInclusive;
use std::time::Duration;

use url::Url;

use crate::body::{Field, Fields};
use crate::issue::{Bound, Issue, Path};

/// A collector of the issues of one request, whose fields are parsed in schema order.
#[derive(Debug, Default)]
pub(crate) struct IssueCollector(Vec<Issue>);

impl IssueCollector {
    pub(crate) fn push(&mut self, issue: Issue) {
        self.0.push(issue);
    }

    /// Returns `request` if there are no issues, else all issues.
    pub(crate) fn into_result<T>(self, request: T) -> Result<T, Vec<Issue>> {
        if self.0.is_empty() {
            Ok(request)
        } else {
            Err(self.0)
        }
    }

    /// Returns all issues, which may be none.
    pub(crate) fn into_issues(self) -> Vec<Issue> {
        self.0
    }

    /// Returns true if a value has the wrong type. zod then skips the rules that combine fields.
    pub(crate) fn is_aborted(&self) -> bool {
        self.0.iter().any(Issue::aborts)
    }

    /// Returns all issues, for a request that cannot be parsed any further.
    pub(crate) fn into_err<T>(self) -> Result<T, Vec<Issue>> {
        Err(self.0)
    }

    /// Returns the object in `value`. Any other type is an issue at `path`.
    pub(crate) fn object<'a>(&mut self, path: Path, value: &'a Field) -> Option<&'a Fields> {
        let Field::Object(fields) = value else {
            self.push(Issue::wrong_type(path, "object", type_name(Some(value))));
            return None;
        };
        Some(fields)
    }

    /// Returns the elements in `value`. Any other type is an issue at `path`.
    pub(crate) fn elements<'a>(&mut self, path: Path, value: &'a Field) -> Option<&'a [Field]> {
        let Field::Array(elements) = value else {
            self.push(Issue::wrong_type(path, "array", type_name(Some(value))));
            return None;
        };
        Some(elements)
    }

    /// Parses an array of strings. A missing one is empty.
    pub(crate) fn strings(
        &mut self,
        path: Path,
        value: Option<&Field>,
        max_elements: usize,
        max_chars: usize,
    ) -> Vec<String> {
        let Some(elements) = value.and_then(|value| self.elements(path, value)) else {
            return Vec::new();
        };
        if elements.len() > max_elements {
            let name = path.join(".");
            self.push(Issue::custom(
                path,
                format!("Number of {name} cannot exceed {max_elements}"),
            ));
        }
        let mut strings = Vec::new();
        for (index, element) in elements.iter().enumerate().take(max_elements) {
            let mut issues = Self::default();
            strings.extend(issues.string(path, Some(element), 0..=max_chars));
            self.0
                .extend(issues.0.into_iter().map(|issue| issue.at(index)));
        }
        strings
    }

    /// Parses a boolean field. Returns `default` if it is missing.
    pub(crate) fn boolean(&mut self, path: Path, value: Option<&Field>, default: bool) -> bool {
        match value {
            None => default,
            Some(Field::Bool(given)) => *given,
            Some(_) => {
                self.push(Issue::wrong_type(path, "boolean", type_name(value)));
                default
            }
        }
    }

    /// Parses a boolean field. Returns `None` if it is missing.
    pub(crate) fn optional_boolean(&mut self, path: Path, value: Option<&Field>) -> Option<bool> {
        value.map(|value| self.boolean(path, Some(value), false))
    }

    /// Parses an integer field within `range`. Returns `default` if it is missing.
    pub(crate) fn integer(
        &mut self,
        path: Path,
        value: Option<&Field>,
        range: RangeInclusive<u32>,
        default: u32,
    ) -> u32 {
        let Some(value) = value else { return default };
        let Field::Number(number) = value else {
            self.push(Issue::wrong_type(path, "number", type_name(Some(value))));
            return default;
        };
        self.check_integer(path, *number, range).unwrap_or(default)
    }

    /// Parses an integer field of milliseconds within `range`. Returns `default` if it is missing.
    pub(crate) fn milliseconds(
        &mut self,
        path: Path,
        value: Option<&Field>,
        range: RangeInclusive<u32>,
        default: u32,
    ) -> u32 {
        let mut issues = Self::default();
        let milliseconds = issues.integer(path, value, range, default);
        let issues = issues.0.into_iter().map(Issue::in_milliseconds);
        self.0.extend(issues);
        milliseconds
    }

    fn check_integer(
        &mut self,
        path: Path,
        number: f64,
        range: RangeInclusive<u32>,
    ) -> Option<u32> {
        const MAX_SAFE: f64 = 9_007_199_254_740_991.0;
        if number.fract() != 0.0 {
            self.push(Issue::not_an_integer(path));
            return None;
        }
        if number > MAX_SAFE {
            self.push(Issue::unsafe_positive(path));
        } else if number < -MAX_SAFE {
            self.push(Issue::unsafe_negative(path));
        }
        let (start, end) = range.into_inner();
        if number < f64::from(start) {
            self.push(Issue::number_range(path, Bound::TooSmall(start.into())));
            None
        } else if number > f64::from(end) {
            self.push(Issue::number_range(path, Bound::TooBig(end.into())));
            None
        } else {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a whole number between two u32 limits"
            )]
            Some(number as u32)
        }
    }

    /// Parses a number field. Returns `default` if it is missing.
    pub(crate) fn number(&mut self, path: Path, value: Option<&Field>, default: f64) -> f64 {
        match value {
            None => default,
            Some(Field::Number(number)) => *number,
            Some(_) => {
                self.push(Issue::wrong_type(path, "number", type_name(value)));
                default
            }
        }
    }

    /// Parses an optional string field, whose length is in Unicode code points.
    pub(crate) fn optional_string(
        &mut self,
        path: Path,
        value: Option<&Field>,
        length: RangeInclusive<usize>,
    ) -> Option<String> {
        self.string(path, Some(value?), length)
    }

    /// Parses a required string field, whose length is in Unicode code points.
    pub(crate) fn string(
        &mut self,
        path: Path,
        value: Option<&Field>,
        length: RangeInclusive<usize>,
    ) -> Option<String> {
        let Some(Field::String(text)) = value else {
            self.push(Issue::wrong_type(path, "string", type_name(value)));
            return None;
        };
        // Counting stops after `max + 1` code points, which avoids iterating over megabytes.
        let count = text.chars().take(length.end() + 1).count();
        if count < *length.start() {
            self.push(Issue::string_length(
                path,
                Bound::TooSmall(to_i64(*length.start())),
            ));
            None
        } else if count > *length.end() {
            self.push(Issue::string_length(
                path,
                Bound::TooBig(to_i64(*length.end())),
            ));
            None
        } else {
            Some(text.clone())
        }
    }

    /// Parses a required string field of any length.
    pub(crate) fn text<'a>(&mut self, path: Path, value: Option<&'a Field>) -> Option<&'a str> {
        let Some(Field::String(text)) = value else {
            self.push(Issue::wrong_type(path, "string", type_name(value)));
            return None;
        };
        Some(text)
    }

    /// Parses an optional string field of any length.
    pub(crate) fn any_string(&mut self, path: Path, value: Option<&Field>) -> Option<String> {
        self.optional_string(path, value, 0..=usize::MAX - 1)
    }

    /// Parses an optional field with the URL of a page.
    pub(crate) fn http_url(&mut self, path: Path, value: Option<&Field>) -> Option<String> {
        let text = self.any_string(path, value)?;
        match Url::parse(text.trim()) {
            Ok(url) if ["http", "https"].contains(&url.scheme()) => return Some(url.into()),
            Ok(_) => self.push(Issue::unsupported_protocol(path)),
            Err(_) => self.push(Issue::invalid_url(path)),
        }
        None
    }

    /// Parses an optional number of seconds, which may have a fraction.
    pub(crate) fn seconds(
        &mut self,
        path: Path,
        value: Option<&Field>,
        range: RangeInclusive<u32>,
    ) -> Option<Duration> {
        let Field::Number(number) = value? else {
            self.push(Issue::wrong_type(path, "number", type_name(value)));
            return None;
        };
        let (start, end) = range.into_inner();
        if *number < f64::from(start) {
            self.push(Issue::number_range(path, Bound::TooSmall(start.into())));
            None
        } else if *number > f64::from(end) {
            self.push(Issue::number_range(path, Bound::TooBig(end.into())));
            None
        } else {
            Some(Duration::from_secs_f64(*number))
        }
    }

    /// Checks the type of an optional string field that is not used.
    pub(crate) fn check_string(&mut self, path: Path, value: Option<&Field>) {
        if value.is_some_and(|value| !matches!(value, Field::String(_))) {
            self.push(Issue::wrong_type(path, "string", type_name(value)));
        }
    }
}

fn to_i64(length: usize) -> i64 {
    i64::try_from(length).expect("length limits are small constants")
}

/// Returns the name that zod uses for the type of a value. A missing value is `undefined`.
pub(crate) fn type_name(value: Option<&Field>) -> &'static str {
    match value {
        None => "undefined",
        Some(Field::Null) => "null",
        Some(Field::Bool(_)) => "boolean",
        Some(Field::Number(_)) => "number",
        Some(Field::String(_)) => "string",
        Some(Field::Array(_)) => "array",
        Some(Field::Object(_) | Field::Entries(_)) => "object",
    }
}
