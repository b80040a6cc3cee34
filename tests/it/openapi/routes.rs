//! The OpenAPI file and the server have the same routes and methods.

use std::collections::BTreeSet;

use hearth_test_support::description::{DOCUMENT, TEXT, operations};
use hearth_test_support::{Exchange, PREFIXES, TestServer, repository};
use reqwest::Method;

const UNKNOWN_ID: &str = "01920000-0000-7000-8000-000000000000";

/// Reads the public router's paths from its source, without those that differ only in a trailing
/// slash.
fn routes() -> BTreeSet<String> {
    let source = std::fs::read_to_string(repository().join("crates/server/src/http/router.rs"))
        .expect("router.rs exists");
    let (public, _) = source
        .split_once("pub(crate) fn internal")
        .expect("the kernels have another router");
    let mut routes = BTreeSet::new();
    for rest in public.split(".route(").skip(1) {
        let rest = rest.trim_start();
        let (template, is_prefixed) = match rest.strip_prefix("&format!(") {
            Some(rest) => (
                quoted(rest)
                    .expect("a template")
                    .replace("{{", "{")
                    .replace("}}", "}")
                    // A path of a file has slashes, which OpenAPI has no notation for.
                    .replace("{*", "{"),
                true,
            ),
            None => match quoted(rest) {
                Some(path) => (path.to_owned(), false),
                None if rest.starts_with("prefix,") => ("{prefix}".to_owned(), true),
                None => panic!(
                    "this route cannot be parsed: {}",
                    rest.lines().next().unwrap_or_default()
                ),
            },
        };
        let prefixes = if is_prefixed {
            PREFIXES.as_slice()
        } else {
            &[""]
        };
        routes.extend(
            prefixes
                .iter()
                .map(|prefix| template.replace("{prefix}", prefix)),
        );
    }
    assert!(
        routes.len() > 15,
        "found too few routes in router.rs: {routes:?}"
    );
    let shorter = routes.clone();
    routes.retain(|route| {
        route
            .strip_suffix('/')
            .is_none_or(|short| !shorter.contains(short))
    });
    routes
}

fn quoted(text: &str) -> Option<&str> {
    text.strip_prefix('"')?.split('"').next()
}

#[test]
fn the_file_has_exactly_the_routers_routes() {
    let described: BTreeSet<String> = operations().map(|(path, _)| path.to_owned()).collect();
    let routes = routes();
    assert_eq!(described, routes, "openapi.json (left), router.rs (right)");
}

/// Sends every method to every path: methods that the file lacks get 405 with an `Allow` header
/// that lists exactly the file's methods.
#[tokio::test]
async fn every_path_accepts_exactly_the_files_methods() {
    let server = TestServer::builder()
        .without_browser()
        .setting("HEARTH_API_KEYS", "secret")
        .start()
        .await;
    let methods = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::OPTIONS,
        Method::TRACE,
    ];
    for (path, operations) in operations() {
        let mut expected: BTreeSet<String> =
            operations.into_iter().map(|(method, _)| method).collect();
        if expected.contains("GET") {
            expected.insert("HEAD".to_owned());
        }
        let address = path
            .replace("{id}", UNKNOWN_ID)
            .replace("{jobId}", UNKNOWN_ID)
            .replace("{target}", "x")
            .replace(
                "{part}",
                if path.starts_with("/live") {
                    "view.js"
                } else {
                    "page.js"
                },
            );
        for method in &methods {
            // The key is unknown, so that the server runs no operation.
            let answer = Exchange::of(server.request_outside(method.clone(), &address)).await;
            assert_eq!(
                answer.status != 405,
                expected.contains(method.as_str()),
                "{method} {path}: {}",
                answer.text
            );
            if answer.status == 405 {
                let allow = answer
                    .headers
                    .get("allow")
                    .and_then(|allow| allow.to_str().ok())
                    .expect("an Allow header");
                let allowed: BTreeSet<String> = allow
                    .split(',')
                    .map(|method| method.trim().to_owned())
                    .collect();
                assert_eq!(allowed, expected, "{path}");
            }
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn the_file_is_served_unchanged_to_all_clients() {
    let server = TestServer::builder()
        .without_browser()
        .setting("HEARTH_API_KEYS", "secret")
        .start()
        .await;
    let answer = Exchange::of(server.request_outside(Method::GET, "/openapi.json")).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(answer.text, TEXT);
    assert_eq!(answer.json(), *DOCUMENT);
    server.stop().await;
}
