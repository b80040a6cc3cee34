//! Parses a JSON body into the fields that requests have. Everything else is skipped, so a body
//! needs little more memory than its known fields.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The fields of requests, and of the one nested object.
const FIELDS: Schema = Schema(&[
    ("ttl", NONE),
    ("activityTtl", NONE),
    ("streamWebView", NONE),
    ("recordSession", NONE),
    ("profile", Schema(&[("name", NONE), ("saveChanges", NONE)])),
    ("code", NONE),
    ("language", NONE),
    ("timeout", NONE),
    ("origin", NONE),
]);

const NONE: Schema = Schema(&[]);

/// The names of the fields that an object may have here, with the fields of each.
#[derive(Clone, Copy)]
struct Schema(&'static [(&'static str, Schema)]);

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
    /// No field of a request is an array, so the elements are not kept.
    Array,
    Object(Fields),
}

/// The known fields of an object.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Fields(BTreeMap<&'static str, Field>);

impl Body {
    /// Parses a body. Takes time and no memory for unknown members.
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidJson> {
        let mut deserializer = serde_json::Deserializer::from_slice(bytes);
        let field = FIELDS
            .deserialize(&mut deserializer)
            .map_err(|_| InvalidJson)?;
        deserializer.end().map_err(|_| InvalidJson)?;
        match field {
            Field::Object(_) | Field::Array => Ok(Self(field)),
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

impl Fields {
    pub(crate) fn get(&self, name: &str) -> Option<&Field> {
        self.0.get(name)
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
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Field::Array)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Field, A::Error> {
        let mut fields = BTreeMap::new();
        while let Some(known) = members.next_key_seed(Key(self))? {
            match known {
                // A repeated member replaces the earlier one, as in JavaScript.
                Some((name, schema)) => {
                    fields.insert(name, members.next_value_seed(schema)?);
                }
                None => {
                    members.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Field::Object(Fields(fields)))
    }
}

/// Finds the name of a member in a schema, without keeping unknown names.
struct Key(Schema);

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Option<(&'static str, Schema)>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key {
    type Value = Option<(&'static str, Schema)>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a member name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.0.iter().find(|(known, _)| *known == name).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Field, InvalidJson> {
        Body::parse(text.as_bytes()).map(|body| body.0)
    }

    #[test]
    fn known_fields_are_kept_and_others_are_skipped() {
        let body =
            parse(r#" {"code":"1","other":[{"":0}],"profile":{"name":"a","x":{}},"ttl":60.5} "#);
        let profile = Fields(BTreeMap::from([("name", Field::String("a".to_owned()))]));
        let expected = BTreeMap::from([
            ("code", Field::String("1".to_owned())),
            ("profile", Field::Object(profile)),
            ("ttl", Field::Number(60.5)),
        ]);
        assert_eq!(body, Ok(Field::Object(Fields(expected))));
    }

    #[test]
    fn the_last_of_repeated_members_counts() {
        let expected = BTreeMap::from([("ttl", Field::Null)]);
        assert_eq!(
            parse(r#"{"ttl":1,"ttl":null}"#),
            Ok(Field::Object(Fields(expected)))
        );
    }

    #[test]
    fn nested_values_keep_only_their_type() {
        let expected = BTreeMap::from([
            ("code", Field::Object(Fields::default())),
            ("timeout", Field::Array),
        ]);
        assert_eq!(
            parse(r#"{"code":{"code":{}},"timeout":[[1],{"a":2}]}"#),
            Ok(Field::Object(Fields(expected)))
        );
        assert_eq!(parse(r#"[{"":0},{"":0}]"#), Ok(Field::Array));
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
