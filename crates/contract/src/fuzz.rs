//! A fuzz target for the bodies of requests.

use hearth_fuzz::{Target, Unstructured, Vocabulary};
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::body::{Body, FIELDS, Field, replace_lone_surrogates};
use crate::schema::{NONE, Schema};
use crate::{
    CreateRequest, ExecuteRequest, Issue, ScrapeContext, ScrapeInteractRequest, ScrapeRequest,
};

/// The number of rules for the fields of a request. None yields two issues.
const MAX_ISSUES: usize = 12;

/// The maximum number of issues of a scrape, whose lists can have one for each element.
const MAX_SCRAPE_ISSUES: usize = 1300;

const BODIES: Vocabulary = Vocabulary {
    names: &[
        "ttl",
        "activityTtl",
        "streamWebView",
        "recordSession",
        "zeroDataRetention",
        "blockAds",
        "location",
        "country",
        "profile",
        "name",
        "saveChanges",
        "code",
        "language",
        "timeout",
        "origin",
        "prompt",
        "integration",
        "existingSessionId",
        "url",
        "formats",
        "type",
        "actions",
        "headers",
        "includeTags",
        "waitFor",
        "selector",
        "milliseconds",
        "viewport",
        "other",
        "",
    ],
    strings: &[
        "http://a",
        "wait",
        "click",
        "screenshot",
        "markdown",
        "node",
        "python",
        "bash",
        "de",
        "XX",
        "1+1",
        "",
        "\u{1f36a}",
        "\"\\\n\0",
    ],
};

/// Asserts that a parsed field is what a parser that keeps everything returns.
fn assert_same(field: &Field, value: &Value, schema: Schema) {
    match (field, value) {
        (Field::Null, Value::Null) => {}
        (Field::Bool(field), Value::Bool(value)) => assert_eq!(field, value),
        (Field::String(field), Value::String(value)) => assert_eq!(field, value),
        (Field::Number(field), Value::Number(value)) => {
            assert_eq!(Some(field.to_bits()), value.as_f64().map(f64::to_bits));
        }
        (Field::Array(kept), Value::Array(elements)) => {
            let Schema::Elements(schema, max) = schema else {
                assert!(kept.is_empty(), "{kept:?}");
                return;
            };
            assert_eq!(kept.len(), elements.len().min(max + 1));
            for (field, value) in kept.iter().zip(elements) {
                assert_same(field, value, *schema);
            }
        }
        (Field::Entries(kept), Value::Object(members)) => {
            let Schema::Entries(max) = schema else {
                panic!("{kept:?}");
            };
            assert!(kept.len() <= max + 1);
            if members.len() <= max {
                assert_eq!(kept.len(), members.len());
            }
            for (name, field) in kept {
                assert_same(field, &members[name], NONE);
            }
        }
        (Field::Object(fields), Value::Object(members)) => {
            for (name, schema) in schema.members() {
                match (fields.get(name), members.get(*name)) {
                    (Some(field), Some(value)) => assert_same(field, value, *schema),
                    (None, None) => {}
                    pair => panic!("{name}: {pair:?}"),
                }
            }
        }
        pair => panic!("{pair:?}"),
    }
}

/// Returns the bytes of all strings that a field keeps.
fn kept_bytes(field: &Field) -> usize {
    match field {
        Field::String(text) => text.len(),
        Field::Object(fields) => {
            let known = BODIES.names.iter().filter_map(|name| fields.get(name));
            let unknown = fields.unknown().iter().map(String::len);
            known.map(kept_bytes).chain(unknown).sum()
        }
        Field::Array(kept) => kept.iter().map(kept_bytes).sum(),
        Field::Entries(kept) => {
            let names: usize = kept.keys().map(String::len).sum();
            names + kept.values().map(kept_bytes).sum::<usize>()
        }
        Field::Null | Field::Bool(_) | Field::Number(_) => 0,
    }
}

fn assert_issues(issues: &[Issue], max: usize) {
    assert!((1..=max).contains(&issues.len()), "{issues:?}");
    serde_json::to_string(issues).expect("issues are JSON");
}

#[test]
fn bodies_are_parsed_as_by_a_parser_that_keeps_everything() {
    let target = Target {
        name: "request-body",
        words: &[
            "\"code\":\"1\"",
            "\"ttl\":60",
            "\"profile\":{",
            "\\ud800",
            "null",
            "\u{feff}",
        ],
        inputs: 3000,
        max_bytes: 16 * 1024,
    };
    let generate = |random: &mut Unstructured<'_>| BODIES.value(random).map(String::into_bytes);
    target.run(generate, |input| {
        let parsed = Body::parse(input);
        let input = input.strip_prefix("\u{feff}".as_bytes()).unwrap_or(input);
        let input = &*replace_lone_surrogates(input);
        let reference = serde_json::from_slice::<Value>(input);
        let Ok(body) = parsed else {
            let is_container = reference.is_ok_and(|value| value.is_object() || value.is_array());
            assert!(!is_container, "a valid body was rejected");
            return;
        };
        // The parser does not look into the values of unknown members, where the reference rejects
        // deep nesting and huge numbers.
        serde_json::from_slice::<IgnoredAny>(input).expect("only JSON is accepted");
        if let Ok(value) = &reference {
            assert_same(body.root(), value, FIELDS);
        }
        assert!(kept_bytes(body.root()) <= input.len());
        match CreateRequest::parse(&body) {
            Ok(request) => {
                assert!((30..=3600).contains(&request.ttl_seconds));
                assert!((10..=3600).contains(&request.activity_ttl_seconds));
                let name = request.profile.map(|profile| profile.name.len());
                assert!(name.is_none_or(|length| (1..=128).contains(&length)));
            }
            Err(issues) => assert_issues(&issues, MAX_ISSUES),
        }
        match ExecuteRequest::parse(&body) {
            Ok(request) => {
                assert!((1..=100_000).contains(&request.code.chars().count()));
                assert!((1..=300).contains(&request.timeout.as_secs()));
            }
            Err(issues) => assert_issues(&issues, MAX_ISSUES),
        }
        match ScrapeInteractRequest::parse(&body) {
            Ok(request) => {
                let seconds = request.timeout.map(|timeout| timeout.as_secs_f64());
                assert!(seconds.is_none_or(|seconds| (1.0..=300.0).contains(&seconds)));
            }
            Err(issues) => assert_issues(&issues, MAX_ISSUES),
        }
        match ScrapeRequest::parse(&body) {
            Ok(request) => {
                assert!((1000..=300_000).contains(&request.timeout_ms));
                assert!(request.actions.len() <= 50);
                // The front learns the same context.
                let context = ScrapeContext::from_accepted(&body);
                assert_eq!(context, Some(ScrapeContext::of(&request)));
            }
            Err(issues) => assert_issues(&issues, MAX_SCRAPE_ISSUES),
        }
    });
}
