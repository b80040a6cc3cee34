//! Parses a JSON body into the fields that requests have. Everything else is skipped, so a body
//! needs little more memory than its known fields.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::schema::{NONE, Schema};
use crate::scrape_fields as scrape;

/// The fields of requests, and of nested objects.
pub(crate) const FIELDS: Schema = Schema::Fields(&[
    ("ttl", NONE),
    ("activityTtl", NONE),
    ("streamWebView", NONE),
    ("recordSession", NONE),
    ("zeroDataRetention", NONE),
    ("blockAds", NONE),
    (
        "profile",
        Schema::Fields(&[("name", NONE), ("saveChanges", NONE)]),
    ),
    ("location", Schema::Closed(&[("country", NONE)])),
    ("code", NONE),
    ("language", NONE),
    ("timeout", NONE),
    ("origin", NONE),
    // Of interactions with scrapes:
    ("prompt", NONE),
    ("integration", NONE),
    ("existingSessionId", NONE),
    // Of scrapes:
    ("url", NONE),
    (
        "formats",
        Schema::Elements(&scrape::FORMAT, scrape::MAX_FORMATS),
    ),
    ("onlyMainContent", NONE),
    (
        "includeTags",
        Schema::Elements(&NONE, scrape::MAX_SELECTORS),
    ),
    (
        "excludeTags",
        Schema::Elements(&NONE, scrape::MAX_SELECTORS),
    ),
    ("headers", Schema::Entries(scrape::MAX_HEADERS)),
    ("waitFor", NONE),
    ("mobile", NONE),
    (
        "actions",
        Schema::Elements(&scrape::ACTION, scrape::MAX_ACTIONS),
    ),
    ("skipTlsVerification", NONE),
    ("lockdown", NONE),
    ("redactPII", NONE),
    // Of the test mode:
    ("fault", NONE),
    ("session", NONE),
    ("requests", NONE),
    ("on", NONE),
    ("delayMs", NONE),
    ("speed", NONE),
]);

/// The maximum number of unknown names of an object that are kept, and their maximum length in
/// characters.
const MAX_UNKNOWN: usize = 16;
const MAX_UNKNOWN_CHARS: usize = 100;

/// A parsed body: a JSON object or array.
#[derive(Clone, Debug, PartialEq)]
pub struct Body(Field);

/// An error: the text is not a JSON object or array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidJson;

/// A value of a known field. Parts that no request has are left out.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Field {
    Null,
    Bool(bool),
    Number(f64),
    String(String),
    /// The elements that the schema keeps.
    Array(Vec<Field>),
    Object(Fields),
    /// The members of an object with any names.
    Entries(BTreeMap<String, Field>),
}

/// The known fields of an object.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Fields {
    known: BTreeMap<&'static str, Field>,
    /// The names of other members, in an object that must not have any.
    unknown: Vec<String>,
}

impl Body {
    /// Parses a body. Takes time and no memory for unknown members.
    ///
    /// Accepts a byte order mark, and replaces escapes of lone surrogates by U+FFFD. Clients in
    /// JavaScript write such an escape for a text that was cut within an emoji.
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidJson> {
        let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
        let bytes = replace_lone_surrogates(bytes);
        let mut deserializer = serde_json::Deserializer::from_slice(&bytes);
        let field = FIELDS
            .deserialize(&mut deserializer)
            .map_err(|_| InvalidJson)?;
        deserializer.end().map_err(|_| InvalidJson)?;
        match field {
            Field::Object(_) | Field::Array(_) => Ok(Self(field)),
            _ => Err(InvalidJson),
        }
    }

    /// Returns the body of a request without one: `{}`.
    pub fn empty() -> Self {
        Self(Field::Object(Fields::default()))
    }

    pub(crate) fn root(&self) -> &Field {
        &self.0
    }
}

impl From<&Value> for Body {
    fn from(value: &Value) -> Self {
        Self(FIELDS.of(value))
    }
}

impl Schema {
    /// Returns the known parts of a value that is parsed already.
    pub(crate) fn of(self, value: &Value) -> Field {
        // Unlike text, a value cannot be malformed.
        self.deserialize(value).unwrap_or(Field::Null)
    }
}

/// Replaces each escape of a surrogate without its other half by an escape of U+FFFD, which has the
/// same length.
pub(crate) fn replace_lone_surrogates(bytes: &[u8]) -> Cow<'_, [u8]> {
    const ESCAPE: usize = r"\ud800".len();
    let mut replaced = Cow::Borrowed(bytes);
    let mut at = 0;
    // JSON has backslashes only in strings.
    while let Some(found) = bytes[at..].iter().position(|byte| *byte == b'\\') {
        at += found;
        match surrogate_at(&bytes[at..]) {
            None => at += 2,
            Some(Surrogate::High)
                if surrogate_at(&bytes[at + ESCAPE..]) == Some(Surrogate::Low) =>
            {
                at += 2 * ESCAPE;
            }
            Some(_) => {
                replaced.to_mut()[at..at + ESCAPE].copy_from_slice(br"\ufffd");
                at += ESCAPE;
            }
        }
        if at >= bytes.len() {
            break;
        }
    }
    replaced
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Surrogate {
    High,
    Low,
}

/// Returns the kind of surrogate whose escape `bytes` starts with, if any.
fn surrogate_at(bytes: &[u8]) -> Option<Surrogate> {
    let digits = bytes.strip_prefix(br"\u")?.get(..4)?;
    let code = u16::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?;
    match code {
        0xd800..=0xdbff => Some(Surrogate::High),
        0xdc00..=0xdfff => Some(Surrogate::Low),
        _ => None,
    }
}

impl Field {
    /// Returns true for an empty string.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::String(text) if text.is_empty())
    }
}

impl Fields {
    pub(crate) fn get(&self, name: &str) -> Option<&Field> {
        self.known.get(name)
    }

    /// Returns the names of members that the object must not have: the first 16, each cut at 100
    /// characters.
    pub(crate) fn unknown(&self) -> &[String] {
        &self.unknown
    }
}

impl<'de> DeserializeSeed<'de> for Schema {
    type Value = Field;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Field, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Schema {
    type Value = Field;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Field, E> {
        Ok(Field::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Field, E> {
        Ok(Field::Bool(value))
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "JavaScript has only this type of number"
    )]
    fn visit_i64<E: Error>(self, value: i64) -> Result<Field, E> {
        Ok(Field::Number(value as f64))
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "JavaScript has only this type of number"
    )]
    fn visit_u64<E: Error>(self, value: u64) -> Result<Field, E> {
        Ok(Field::Number(value as f64))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Field, E> {
        Ok(Field::Number(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Field, E> {
        Ok(Field::String(value.to_owned()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Field, E> {
        Ok(Field::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Field, A::Error> {
        let mut kept = Vec::new();
        if let Self::Elements(schema, max) = self {
            while kept.len() <= max {
                let Some(element) = elements.next_element_seed(*schema)? else {
                    return Ok(Field::Array(kept));
                };
                kept.push(element);
            }
        }
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Field::Array(kept))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Field, A::Error> {
        if let Self::Entries(max) = self {
            let mut entries = BTreeMap::new();
            while entries.len() <= max {
                let Some(name) = members.next_key::<String>()? else {
                    return Ok(Field::Entries(entries));
                };
                entries.insert(name, members.next_value_seed(NONE)?);
            }
            while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(Field::Entries(entries));
        }
        let mut fields = Fields::default();
        while let Some(name) = members.next_key_seed(Key(self))? {
            match name {
                // A repeated member replaces the earlier one, as in JavaScript.
                Name::Known(name, schema) => {
                    fields.known.insert(name, members.next_value_seed(schema)?);
                }
                Name::Unknown(name) => {
                    members.next_value::<IgnoredAny>()?;
                    let is_new = |name: &String| !fields.unknown.contains(name);
                    if fields.unknown.len() < MAX_UNKNOWN
                        && let Some(name) = name.filter(is_new)
                    {
                        fields.unknown.push(name);
                    }
                }
            }
        }
        Ok(Field::Object(fields))
    }
}

/// Finds the name of a member in a schema. Keeps an unknown name only if it is an error.
struct Key(Schema);

enum Name {
    Known(&'static str, Schema),
    Unknown(Option<String>),
}

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Name;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key {
    type Value = Name;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a member name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        let known = self.0.members().iter().find(|(known, _)| *known == name);
        let is_closed = matches!(self.0, Schema::Closed(_));
        let kept = || is_closed.then(|| name.chars().take(MAX_UNKNOWN_CHARS).collect());
        Ok(known.map_or_else(
            || Name::Unknown(kept()),
            |(name, schema)| Name::Known(name, *schema),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Field, InvalidJson> {
        Body::parse(text.as_bytes()).map(|body| body.0)
    }

    fn object<const N: usize>(known: [(&'static str, Field); N]) -> Field {
        Field::Object(Fields {
            known: BTreeMap::from(known),
            unknown: Vec::new(),
        })
    }

    #[test]
    fn known_fields_are_kept_and_others_are_skipped() {
        let body =
            parse(r#" {"code":"1","other":[{"":0}],"profile":{"name":"a","x":{}},"ttl":60.5} "#);
        let expected = object([
            ("code", Field::String("1".to_owned())),
            ("profile", object([("name", Field::String("a".to_owned()))])),
            ("ttl", Field::Number(60.5)),
        ]);
        assert_eq!(body, Ok(expected));
    }

    #[test]
    fn a_closed_object_keeps_a_few_unknown_names() {
        let unknown = |location: &str| {
            let root = parse(&format!(r#"{{"location":{location},"x":{{"y":1}}}}"#));
            let Ok(Field::Object(root)) = root else {
                panic!("{root:?}");
            };
            assert!(root.unknown().is_empty());
            match root.get("location") {
                Some(Field::Object(location)) => location.unknown().to_vec(),
                other => panic!("{other:?}"),
            }
        };
        assert!(unknown(r#"{"country":"de"}"#).is_empty());
        assert_eq!(
            unknown(r#"{"b":[{"c":1}],"country":"de","a":1,"b":2}"#),
            ["b", "a"]
        );
        let many: Vec<String> = (0..100).map(|n| format!(r#""{n}":0"#)).collect();
        assert_eq!(
            unknown(&format!("{{{}}}", many.join(","))).len(),
            MAX_UNKNOWN
        );
        let long = unknown(&format!(r#"{{"{}":0}}"#, "\u{1f36a}".repeat(1000)));
        assert_eq!(long, ["\u{1f36a}".repeat(MAX_UNKNOWN_CHARS)]);
    }

    #[test]
    fn the_last_of_repeated_members_counts() {
        assert_eq!(
            parse(r#"{"ttl":1,"ttl":null}"#),
            Ok(object([("ttl", Field::Null)]))
        );
    }

    #[test]
    fn nested_values_keep_only_their_type() {
        let expected = object([
            ("code", Field::Object(Fields::default())),
            ("timeout", Field::Array(Vec::new())),
        ]);
        assert_eq!(
            parse(r#"{"code":{"code":{}},"timeout":[[1],{"a":2}]}"#),
            Ok(expected)
        );
        assert_eq!(parse(r#"[{"":0},{"":0}]"#), Ok(Field::Array(Vec::new())));
    }

    #[test]
    fn a_byte_order_mark_is_skipped() {
        assert_eq!(parse("\u{feff}{}"), Ok(Field::Object(Fields::default())));
        assert_eq!(parse("\u{feff}"), Err(InvalidJson));
        assert_eq!(parse("\u{feff}\u{feff}{}"), Err(InvalidJson));
    }

    #[test]
    fn lone_surrogates_are_replaced() {
        let code = |text: &str| match parse(&format!(r#"{{"code":"{text}"}}"#)) {
            Ok(Field::Object(fields)) => match fields.get("code") {
                Some(Field::String(code)) => code.clone(),
                other => panic!("{other:?}"),
            },
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(code(r"a\ud83d"), "a\u{fffd}");
        assert_eq!(code(r"\ude00b"), "\u{fffd}b");
        assert_eq!(code(r"\ud83d\ude00"), "\u{1f600}");
        assert_eq!(code(r"\ud83d\ud83d\ude00"), "\u{fffd}\u{1f600}");
        assert_eq!(code(r"\uD83D\n"), "\u{fffd}\n");
        assert_eq!(code(r"\\ud83d"), r"\ud83d");
        assert_eq!(code(r"\\\ud83d"), "\\\u{fffd}");
        assert_eq!(code("\u{1f600}"), "\u{1f600}");
        assert_eq!(
            parse(r#"{"\ud83d":1}"#),
            Ok(Field::Object(Fields::default()))
        );
        for incomplete in [
            r#"{"a":"\"#,
            r#"{"a":"\u"#,
            r#"{"a":"\ud83"#,
            r#"{"a":"\ud83d"#,
            r#"{"a":"\ud83x"}"#,
        ] {
            assert_eq!(parse(incomplete), Err(InvalidJson), "{incomplete}");
        }
    }

    #[test]
    fn other_text_is_invalid() {
        for text in [
            "", "1", "null", "\"a\"", "{", "{}x", "{\"a\":}", "[1,]", "{'a':1}",
        ] {
            assert_eq!(parse(text), Err(InvalidJson), "{text}");
        }
    }
}
