//! Validation issues in the format of zod 4, which the official clients print unchanged.
//!
//! This module defines the keys, their order and the messages. The requests define which rule
//! applies to which field.

use std::borrow::Cow;

use serde::Serialize;
use serde::ser::{SerializeMap, SerializeSeq, Serializer};

/// The location of an issue: the keys from the outermost object inwards. Empty for the body itself.
pub(crate) type Path = &'static [&'static str];

/// The largest integer that JavaScript represents exactly, `Number.MAX_SAFE_INTEGER`.
const MAX_SAFE_INTEGER: i64 = 9_007_199_254_740_991;

/// The fields that are a number of seconds.
const SECONDS: [&str; 3] = ["ttl", "activityTtl", "timeout"];

/// A validation error of a request.
///
/// Serializes to the keys of a zod 4 issue, in zod's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    path: Path,
    /// The name in the summary: the path, unless the value has another name.
    field: Path,
    /// The part of an array or of an object with any names that has the issue.
    part: Option<Part>,
    /// True if the field is a number of milliseconds.
    is_in_milliseconds: bool,
    kind: IssueKind,
}

/// The last part of a path that is not known in advance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum Part {
    Index(usize),
    Name(String),
}

impl From<usize> for Part {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

/// The kind of an issue, which determines its keys on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
enum IssueKind {
    /// The JSON type is wrong, or the field is missing (`undefined`).
    WrongType {
        expected: &'static str,
        received: &'static str,
    },
    /// The number has a fraction, but an integer is required.
    NotAnInteger,
    /// The integer is outside the range that JavaScript represents exactly.
    Unsafe(Bound),
    /// The number is out of range.
    NumberRange(Bound),
    /// The string has too few or too many characters.
    StringLength(Bound),
    /// The value is not one of the allowed options.
    NotAnOption(&'static [&'static str]),
    /// The object has fields that it must not have.
    UnknownFields(Vec<String>),
    /// The string is no URL.
    InvalidUrl,
    /// The URL is neither `http` nor `https`.
    UnsupportedProtocol,
    /// The value is none of several kinds. Holds the issues of each kind that it could be, with
    /// paths within the value.
    NoneOf(Vec<Vec<Issue>>),
    /// The value violates a rule with its own message.
    Custom(Cow<'static, str>),
}

/// The limit that was violated. Limits are inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound {
    TooSmall(i64),
    TooBig(i64),
}

impl Issue {
    fn new(path: Path, kind: IssueKind) -> Self {
        Self {
            path,
            field: path,
            part: None,
            is_in_milliseconds: false,
            kind,
        }
    }

    pub(crate) fn wrong_type(path: Path, expected: &'static str, received: &'static str) -> Self {
        Self::new(path, IssueKind::WrongType { expected, received })
    }

    pub(crate) fn not_an_integer(path: Path) -> Self {
        Self::new(path, IssueKind::NotAnInteger)
    }

    pub(crate) fn unsafe_positive(path: Path) -> Self {
        Self::new(path, IssueKind::Unsafe(Bound::TooBig(MAX_SAFE_INTEGER)))
    }

    pub(crate) fn unsafe_negative(path: Path) -> Self {
        Self::new(path, IssueKind::Unsafe(Bound::TooSmall(-MAX_SAFE_INTEGER)))
    }

    pub(crate) fn number_range(path: Path, bound: Bound) -> Self {
        Self::new(path, IssueKind::NumberRange(bound))
    }

    pub(crate) fn string_length(path: Path, bound: Bound) -> Self {
        Self::new(path, IssueKind::StringLength(bound))
    }

    pub(crate) fn not_an_option(path: Path, options: &'static [&'static str]) -> Self {
        Self::new(path, IssueKind::NotAnOption(options))
    }

    pub(crate) fn invalid_url(path: Path) -> Self {
        Self::new(path, IssueKind::InvalidUrl)
    }

    pub(crate) fn unsupported_protocol(path: Path) -> Self {
        Self::new(path, IssueKind::UnsupportedProtocol)
    }

    pub(crate) fn none_of(path: Path, kinds: Vec<Vec<Issue>>) -> Self {
        Self::new(path, IssueKind::NoneOf(kinds))
    }

    pub(crate) fn custom(path: Path, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(path, IssueKind::Custom(message.into()))
    }

    /// Sets the field of an issue whose path is relative to it.
    pub(crate) fn under(self, path: Path) -> Self {
        Self {
            path,
            field: path,
            ..self
        }
    }

    /// Sets the unit of the field to milliseconds.
    pub(crate) fn in_milliseconds(self) -> Self {
        Self {
            is_in_milliseconds: true,
            ..self
        }
    }

    /// Sets the part of the field that has the issue.
    pub(crate) fn at(self, part: impl Into<Part>) -> Self {
        Self {
            part: Some(part.into()),
            ..self
        }
    }

    pub(crate) fn unknown_fields(path: Path, names: Vec<String>) -> Self {
        Self::new(path, IssueKind::UnknownFields(names))
    }

    /// Returns true if zod skips the rules that combine fields after this issue.
    pub(crate) fn aborts(&self) -> bool {
        matches!(
            self.kind,
            IssueKind::WrongType { .. }
                | IssueKind::NotAnOption(_)
                | IssueKind::NotAnInteger
                | IssueKind::UnknownFields(_)
                | IssueKind::NoneOf(_)
        )
    }

    /// Returns true if the object has fields that it must not have.
    pub(crate) fn is_unknown_fields(&self) -> bool {
        matches!(self.kind, IssueKind::UnknownFields(_))
    }

    /// Returns the message of a rule that has its own one.
    pub(crate) fn custom_message(&self) -> Option<&str> {
        match &self.kind {
            IssueKind::Custom(message) => Some(message),
            _ => None,
        }
    }

    /// Sets the name of a value that is validated alone, so that its path is empty.
    pub(crate) fn named(self, field: Path) -> Self {
        Self { field, ..self }
    }

    /// Returns the field, the message and the unit, such as `timeout: Too big: expected number to
    /// be <=300 (seconds)`. Most clients show only this.
    pub(crate) fn summary(&self) -> String {
        let part = self.part.as_ref().map(|part| match part {
            Part::Index(index) => Cow::Owned(index.to_string()),
            Part::Name(name) => Cow::Borrowed(name.as_str()),
        });
        let names = self.field.iter().copied().chain(part.as_deref());
        let field = match names.collect::<Vec<_>>().join(".") {
            field if field.is_empty() => field,
            field => format!("{field}: "),
        };
        let is_in_seconds = || self.path.last().is_some_and(|name| SECONDS.contains(name));
        let unit = match self.is_in_milliseconds {
            true => " (milliseconds)",
            false if is_in_seconds() => " (seconds)",
            false => "",
        };
        format!("{field}{}{unit}", self.message())
    }

    /// Returns the message that clients show, without the field name.
    pub fn message(&self) -> String {
        match &self.kind {
            IssueKind::WrongType { expected, received } => {
                format!("Invalid input: expected {expected}, received {received}")
            }
            IssueKind::NotAnInteger => "Invalid input: expected int, received number".to_owned(),
            // zod omits `inclusive` here, so its message has no `=` although the limit is allowed.
            IssueKind::Unsafe(Bound::TooBig(limit)) => {
                format!("Too big: expected int to be <{limit}")
            }
            IssueKind::Unsafe(Bound::TooSmall(limit)) => {
                format!("Too small: expected int to be >{limit}")
            }
            IssueKind::NumberRange(Bound::TooBig(limit)) => {
                format!("Too big: expected number to be <={limit}")
            }
            IssueKind::NumberRange(Bound::TooSmall(limit)) => {
                format!("Too small: expected number to be >={limit}")
            }
            IssueKind::StringLength(Bound::TooBig(limit)) => {
                format!("Too big: expected string to have <={limit} characters")
            }
            IssueKind::StringLength(Bound::TooSmall(limit)) => {
                format!("Too small: expected string to have >={limit} characters")
            }
            IssueKind::NotAnOption(options) => {
                let quoted: Vec<String> = options
                    .iter()
                    .map(|option| format!("\"{option}\""))
                    .collect();
                format!("Invalid option: expected one of {}", quoted.join("|"))
            }
            IssueKind::UnknownFields(names) => {
                let unit = if names.len() == 1 { "key" } else { "keys" };
                let quoted: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
                format!("Unrecognized {unit}: {}", quoted.join(", "))
            }
            IssueKind::InvalidUrl => "Invalid URL".to_owned(),
            IssueKind::UnsupportedProtocol => "URL uses unsupported protocol".to_owned(),
            IssueKind::NoneOf(_) => "Invalid input".to_owned(),
            IssueKind::Custom(message) => message.clone().into_owned(),
        }
    }
}

impl Bound {
    fn code(self) -> &'static str {
        match self {
            Self::TooSmall(_) => "too_small",
            Self::TooBig(_) => "too_big",
        }
    }

    /// Writes `minimum` or `maximum`.
    fn write<M: SerializeMap>(self, map: &mut M) -> Result<(), M::Error> {
        match self {
            Self::TooSmall(limit) => map.serialize_entry("minimum", &limit),
            Self::TooBig(limit) => map.serialize_entry("maximum", &limit),
        }
    }
}

impl Serialize for Issue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match &self.kind {
            IssueKind::WrongType { expected, .. } => {
                map.serialize_entry("expected", expected)?;
                map.serialize_entry("code", "invalid_type")?;
            }
            IssueKind::NotAnInteger => {
                map.serialize_entry("expected", "int")?;
                map.serialize_entry("format", "safeint")?;
                map.serialize_entry("code", "invalid_type")?;
            }
            IssueKind::Unsafe(bound) => {
                map.serialize_entry("code", bound.code())?;
                bound.write(&mut map)?;
                map.serialize_entry("note", "Integers must be within the safe integer range.")?;
                map.serialize_entry("origin", "int")?;
            }
            IssueKind::NumberRange(bound) => write_range(&mut map, "number", *bound)?,
            IssueKind::StringLength(bound) => write_range(&mut map, "string", *bound)?,
            IssueKind::NotAnOption(options) => {
                map.serialize_entry("code", "invalid_value")?;
                map.serialize_entry("values", options)?;
            }
            IssueKind::InvalidUrl => {
                map.serialize_entry("code", "invalid_format")?;
                map.serialize_entry("format", "url")?;
            }
            IssueKind::UnsupportedProtocol => {
                map.serialize_entry("origin", "string")?;
                map.serialize_entry("code", "invalid_format")?;
                map.serialize_entry("format", "regex")?;
                map.serialize_entry("pattern", r"/^https?:\/\//i")?;
            }
            IssueKind::NoneOf(kinds) => {
                map.serialize_entry("code", "invalid_union")?;
                map.serialize_entry("errors", kinds)?;
            }
            IssueKind::UnknownFields(names) => {
                map.serialize_entry("code", "unrecognized_keys")?;
                map.serialize_entry("keys", names)?;
            }
            IssueKind::Custom(_) => map.serialize_entry("code", "custom")?,
        }
        map.serialize_entry("path", &FullPath(self))?;
        map.serialize_entry("message", &self.message())?;
        map.end()
    }
}

/// The path of an issue with its last part.
struct FullPath<'a>(&'a Issue);

impl Serialize for FullPath<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let length = self.0.path.len() + usize::from(self.0.part.is_some());
        let mut path = serializer.serialize_seq(Some(length))?;
        for name in self.0.path {
            path.serialize_element(name)?;
        }
        if let Some(part) = &self.0.part {
            path.serialize_element(part)?;
        }
        path.end()
    }
}

fn write_range<M: SerializeMap>(map: &mut M, origin: &str, bound: Bound) -> Result<(), M::Error> {
    map.serialize_entry("origin", origin)?;
    map.serialize_entry("code", bound.code())?;
    bound.write(map)?;
    map.serialize_entry("inclusive", &true)
}
