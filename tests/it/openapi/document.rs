//! Checks of the OpenAPI file that need no server.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use hearth_test_support::description::{self, DOCUMENT, operations, validate};
use hearth_test_support::repository;
use serde_json::{Value, json};

/// Calls `visit` with every object of the file and its JSON pointer.
fn walk(value: &Value, pointer: &str, visit: &mut impl FnMut(&str, &Value)) {
    let inner: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, field)| (name.replace('/', "~1"), field))
            .collect(),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(index, item)| (index.to_string(), item))
            .collect(),
        _ => return,
    };
    if value.is_object() {
        visit(pointer, value);
    }
    for (name, field) in inner {
        walk(field, &format!("{pointer}/{name}"), visit);
    }
}

/// Validates the file against the schema that the OpenAPI Initiative publishes, which schemathesis
/// includes.
#[test]
fn the_file_conforms_to_the_published_openapi_schema() {
    let code = "import sys, schemathesis; schemathesis.openapi.from_path(sys.argv[1]).validate()";
    let python = repository().join("tests/.venv/bin/python");
    let mut command = Command::new(python);
    let output = command
        .args(["-I", "-c", code, "openapi/openapi.json"])
        .current_dir(repository())
        .output();
    let output = output.expect("`make setup-tests` makes the venv");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn every_reference_resolves_and_every_component_is_used() {
    let mut used = BTreeSet::from(
        [
            "/components/responses/UnknownPath",
            "/components/responses/WrongMethod",
        ]
        .map(str::to_owned),
    );
    walk(&DOCUMENT, "", &mut |at, object| {
        let Some(reference) = object.get("$ref").and_then(Value::as_str) else {
            return;
        };
        let target = reference
            .strip_prefix('#')
            .expect("references stay within the file");
        assert!(
            DOCUMENT.pointer(target).is_some(),
            "{at}: {reference} leads nowhere"
        );
        used.insert(target.to_owned());
    });
    for requirement in operations()
        .flat_map(|(_, operations)| operations)
        .flat_map(|(_, operation)| {
            operation
                .get("security")
                .unwrap_or(&DOCUMENT["security"])
                .as_array()
                .expect("a list")
                .iter()
        })
    {
        let schemes = requirement.as_object().expect("an object").keys();
        used.extend(schemes.map(|scheme| format!("/components/securitySchemes/{scheme}")));
    }
    let kinds = DOCUMENT["components"]
        .as_object()
        .expect("components")
        .iter();
    let components: BTreeSet<String> = kinds
        .flat_map(|(kind, all)| {
            let names = all.as_object().expect("components have names").keys();
            names.map(move |name| format!("/components/{kind}/{name}"))
        })
        .collect();
    assert_eq!(
        used, components,
        "referenced components (left), defined components (right)"
    );
}

#[test]
fn every_schema_is_valid() {
    for (name, schema) in DOCUMENT["components"]["schemas"]
        .as_object()
        .expect("schemas")
    {
        // Compiling a schema validates it against the meta-schema of its dialect; the outcome does
        // not matter.
        drop(validate(schema, &Value::Null));
        assert!(
            validate(
                &json!({"$ref": format!("#/components/schemas/{name}")}),
                &json!(0.5)
            )
            .is_err(),
            "{name} accepts any value"
        );
    }
}

#[test]
fn every_example_is_valid() {
    let mut seen = 0;
    walk(&DOCUMENT, "", &mut |at, object| {
        let Some(schema) = object.get("schema") else {
            return;
        };
        let one = object.get("example").into_iter();
        let named = object
            .get("examples")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .map(|(_, example)| &example["value"]);
        for example in one.chain(named) {
            validate(schema, example)
                .unwrap_or_else(|problem| panic!("{at}: {example}: {problem}"));
            seen += 1;
        }
    });
    assert!(seen > 40, "found only {seen} examples");
}

#[test]
fn every_json_response_has_an_example() {
    for (name, response) in DOCUMENT["components"]["responses"]
        .as_object()
        .expect("responses")
    {
        // The OpenAPI file is its own example.
        if let Some(media) = response["content"]
            .get("application/json")
            .filter(|_| name != "OpenApi")
        {
            assert!(
                media
                    .get("example")
                    .or_else(|| media.get("examples"))
                    .is_some(),
                "{name}"
            );
        }
    }
}

#[test]
fn operation_ids_are_unique_and_links_refer_to_them() {
    let mut ids = BTreeSet::new();
    for (path, operations) in operations() {
        for (method, operation) in operations {
            let id = operation["operationId"]
                .as_str()
                .unwrap_or_else(|| panic!("{method} {path} has no id"));
            assert!(ids.insert(id), "{id} is not unique");
            assert!(
                operation["summary"].is_string() && operation["description"].is_string(),
                "{id} has no summary or no description"
            );
        }
    }
    let mut links = 0;
    walk(
        &DOCUMENT["components"]["responses"],
        "",
        &mut |at, response| {
            for link in response
                .get("links")
                .and_then(Value::as_object)
                .into_iter()
                .flat_map(|links| links.values())
            {
                let id = link["operationId"]
                    .as_str()
                    .expect("a link names an operation");
                assert!(ids.contains(id), "{at}: the operation {id} does not exist");
                links += 1;
            }
        },
    );
    assert!(links >= 9, "found only {links} links");
}

#[test]
fn path_parameters_match_the_path_template() {
    for path in DOCUMENT["paths"].as_object().expect("paths").keys() {
        let named: Vec<&str> = path
            .split('/')
            .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
            .collect();
        let parameters = DOCUMENT["paths"][path]["parameters"].as_array();
        let given = parameters.into_iter().flatten().map(description::resolved);
        let given: Vec<&str> = given
            .filter_map(|parameter| parameter["name"].as_str())
            .collect();
        assert_eq!(named, given, "{path}");
    }
}

/// An operation has the same description under both prefixes.
#[test]
fn both_prefixes_have_the_same_description() {
    let paths = &DOCUMENT["paths"];
    for path in [
        "",
        "/{id}",
        "/{id}/execute",
        "/{id}/files",
        "/{id}/files/{path}",
    ] {
        let mut items =
            ["/v2/interact", "/v2/browser"].map(|prefix| paths[format!("{prefix}{path}")].clone());
        for item in &mut items {
            for operation in item
                .as_object_mut()
                .expect("a path")
                .values_mut()
                .filter_map(Value::as_object_mut)
            {
                operation.remove("operationId");
                operation.remove("description");
            }
        }
        assert_eq!(items[0], items[1], "{path}");
    }
}

#[test]
fn the_version_is_the_servers_version() {
    assert_eq!(
        DOCUMENT["info"]["version"],
        json!(env!("CARGO_PKG_VERSION"))
    );
}

/// Returns the sections of docs/API.md by their headings, such as `GET /health`.
fn sections() -> BTreeMap<String, String> {
    let page =
        std::fs::read_to_string(repository().join("docs/API.md")).expect("docs/API.md exists");
    let mut sections = BTreeMap::new();
    for part in page.split("\n### `").skip(1) {
        let (heading, rest) = part
            .split_once('`')
            .expect("a heading has a closing backtick");
        let text = rest.split("\n## ").next().unwrap_or_default();
        assert!(
            sections
                .insert(heading.to_owned(), text.to_owned())
                .is_none(),
            "{heading} occurs twice"
        );
    }
    sections
}

#[test]
fn the_api_page_has_exactly_the_files_operations_and_statuses() {
    // Documented once for all operations.
    const COMMON: [&str; 4] = ["200", "401", "403", "500"];
    let mut sections = sections();
    for (path, operations) in operations().filter(|(path, _)| !path.starts_with("/v2/browser")) {
        for (method, operation) in operations {
            let heading = format!("{method} {path}");
            let text = sections
                .remove(&heading)
                .unwrap_or_else(|| panic!("docs/API.md has no section {heading}"));
            for status in operation["responses"]
                .as_object()
                .expect("responses")
                .keys()
            {
                let is_mentioned =
                    COMMON.contains(&status.as_str()) || text.contains(status.as_str());
                assert!(
                    is_mentioned,
                    "docs/API.md: {heading} does not mention {status}"
                );
            }
        }
    }
    assert!(
        sections.is_empty(),
        "docs/API.md has sections without an operation: {:?}",
        sections.keys()
    );
}
