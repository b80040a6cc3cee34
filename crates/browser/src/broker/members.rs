//! The members of a JSON object, without a tree of what they contain.
//!
//! A tree needs up to a hundred times the memory of its text, and a client may send 80 MiB. So only
//! the names of an object's members are read, and their values stay text.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The maximum number of members, also of those with the same name. The calls of the protocol have
/// at most 20.
const MAX_MEMBERS: usize = 200;

/// The members of an object, in their order. Each name is unique.
#[derive(Debug, Default)]
pub(super) struct Members<'a> {
    all: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// True if the text has a name twice or with escapes, or a member was replaced.
    differs: bool,
}

/// The name of a member. Has no escapes in most cases, and then borrows its text.
#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> Members<'a> {
    /// Parses an object. The last one of members with the same name counts.
    pub(super) fn parse(json: &'a str) -> Option<Members<'a>> {
        serde_json::from_str(json).ok()
    }

    /// Returns the text of a member.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let mut members = self.all.iter();
        members.find_map(|(each, value)| (each == name).then_some(&**value))
    }

    /// Returns a member that is a string. Returns an error for a string that is not valid.
    pub(super) fn string(&self, name: &str) -> Result<Option<String>, serde_json::Error> {
        self.get(name).map_or(Ok(None), string)
    }

    /// Replaces the text of a member that exists.
    pub(super) fn replace(&mut self, name: &str, text: String) {
        let mut members = self.all.iter_mut();
        if let Some((_, value)) = members.find(|(each, _)| each == name) {
            *value = Cow::Owned(text);
            self.differs = true;
        }
    }

    /// Returns the object as JSON in which each name occurs once, so that every parser reads the
    /// same. This is `text`, from which the members were parsed, if that is such JSON.
    pub(super) fn to_json<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if !self.differs {
            return Cow::Borrowed(text);
        }
        let bytes = self
            .all
            .iter()
            .map(|(name, value)| name.len() + value.len());
        let mut json = String::with_capacity(bytes.sum::<usize>() + 16 * self.all.len() + 2);
        json.push('{');
        for (name, value) in &self.all {
            if json.len() > 1 {
                json.push(',');
            }
            json += &serde_json::Value::from(&**name).to_string();
            json.push(':');
            json += value;
        }
        json.push('}');
        Cow::Owned(json)
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Members<'de>, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
        let mut members = Members::default();
        let mut count = 0;
        while let Some((Name(name), value)) = map.next_entry::<Name<'de>, &'de RawValue>()? {
            count += 1;
            if count > MAX_MEMBERS {
                return Err(A::Error::custom("too many members"));
            }
            let earlier = members.all.len();
            members.all.retain(|(each, _)| *each != name);
            members.differs |= members.all.len() < earlier || matches!(name, Cow::Owned(_));
            members.all.push((name, Cow::Borrowed(value.get())));
        }
        Ok(members)
    }
}

/// Returns the value of JSON text if it is a string. Returns an error for a string that is not
/// valid.
fn string(json: &str) -> Result<Option<String>, serde_json::Error> {
    if json.starts_with('"') {
        serde_json::from_str(json).map(Some)
    } else {
        Ok(None)
    }
}

/// Returns a string member of an object, without memory for its other members.
pub(super) fn string_member(json: &str, name: &str) -> Option<String> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let found = deserializer.deserialize_map(MemberVisitor(name)).ok()??;
    string(found.get()).ok()?
}

struct MemberVisitor<'n>(&'n str);

impl<'de> Visitor<'de> for MemberVisitor<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(Name(name)) = map.next_key::<Name<'de>>()? {
            if name == self.0 {
                found = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// Returns true if `is_allowed` is true for every string of a list. Values of other types pass,
/// because the browser rejects them. A string that is not valid does not pass.
pub(super) fn all_strings(json: &str, is_allowed: impl Fn(&str) -> bool) -> bool {
    if !json.starts_with('[') {
        return true;
    }
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let checked = deserializer.deserialize_seq(StringsVisitor(is_allowed));
    checked.unwrap_or(false)
}

struct StringsVisitor<F>(F);

impl<'de, F: Fn(&str) -> bool> Visitor<'de> for StringsVisitor<F> {
    type Value = bool;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<bool, A::Error> {
        let mut is_allowed = true;
        while let Some(each) = list.next_element::<&'de RawValue>()? {
            is_allowed &= match string(each.get()) {
                Ok(Some(text)) => (self.0)(&text),
                Ok(None) => true,
                Err(_) => false,
            };
        }
        Ok(is_allowed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_one_of_equal_names_counts_and_is_the_only_one_that_is_sent() {
        let text = r#" {"a": [1, 2], "b\u0061": "x", "a" : {"c":null}} "#;
        let mut members = Members::parse(text).expect("an object");
        assert_eq!(members.get("a"), Some(r#"{"c":null}"#));
        assert_eq!(members.string("ba").expect("valid").as_deref(), Some("x"));
        assert_eq!(members.string("a").expect("no string"), None);
        assert_eq!(members.to_json(text), r#"{"ba":"x","a":{"c":null}}"#);
        members.replace("ba", r#""y""#.to_owned());
        assert_eq!(members.to_json(text), r#"{"ba":"y","a":{"c":null}}"#);
        let unique = r#"{ "a": 1,"b":[] }"#;
        let members = Members::parse(unique).expect("an object");
        assert!(matches!(members.to_json(unique), Cow::Borrowed(text) if text == unique));
        let escaped = r#"{"\u0061":1}"#;
        let members = Members::parse(escaped).expect("an object");
        assert_eq!(members.to_json(escaped), r#"{"a":1}"#);
    }

    #[test]
    fn anything_else_is_rejected() {
        let many: Vec<String> = (0..=MAX_MEMBERS).map(|at| format!(r#""{at}":0"#)).collect();
        let many = format!("{{{}}}", many.join(","));
        for text in [
            "",
            "[]",
            "null",
            r#"{"a":}"#,
            r#"{"a":1} x"#,
            r#"{"\ud800":1}"#,
            &many,
        ] {
            assert!(Members::parse(text).is_none(), "{text}");
        }
        let lone = Members::parse(r#"{"a":"\ud800"}"#).expect("an object");
        assert!(lone.string("a").is_err());
    }

    #[test]
    fn one_member_is_found() {
        let json = r#"{"url":"a","x":[{"url":"b"}],"url":"c"}"#;
        assert_eq!(string_member(json, "url").as_deref(), Some("c"));
        assert_eq!(string_member(json, "x"), None);
        assert_eq!(string_member("[]", "url"), None);
        assert_eq!(string_member(r#"{"url":"\ud800"}"#, "url"), None);
    }

    #[test]
    fn every_string_of_a_list_is_checked() {
        let allows = |json| all_strings(json, |text| text != "bad");
        for json in ["[]", "1", r#"["a",1,["bad"],null]"#, r#""bad""#] {
            assert!(allows(json), "{json}");
        }
        for json in [r#"["a","bad"]"#, r#"["\u0062ad","a"]"#, r#"["\ud800"]"#] {
            assert!(!allows(json), "{json}");
        }
    }
}
