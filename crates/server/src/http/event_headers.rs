//! The headers of responses that are server-sent events.

use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName};

const EVENT_STREAM: &str = "text/event-stream";

/// Tells nginx to pass each event on at once.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// The headers of a response with events. Proxies pass it on unchanged and at once.
pub(crate) const EVENT_HEADERS: [(HeaderName, &str); 3] = [
    (CONTENT_TYPE, EVENT_STREAM),
    (CACHE_CONTROL, "no-store, no-transform"),
    (ACCEL_BUFFERING, "no"),
];

/// Returns true if a client prefers events to JSON. It has to name their type, because clients that
/// know nothing of events send `*/*`.
pub(crate) fn wants_events(headers: &HeaderMap) -> bool {
    let ranges = headers.get_all(ACCEPT).iter();
    let ranges = ranges.filter_map(|value| value.to_str().ok());
    let ranges: Vec<&str> = ranges.flat_map(|value| value.split(',')).collect();
    let quality = |wanted| {
        let named = ranges.iter().filter_map(|range| quality_of(range, wanted));
        named.reduce(f32::max)
    };
    quality(EVENT_STREAM).is_some_and(|events| {
        events > 0.0 && quality("application/json").is_none_or(|json| events >= json)
    })
}

/// Returns the quality of a media range, if it names this type.
fn quality_of(range: &str, wanted: &str) -> Option<f32> {
    let mut parts = range.split(';').map(str::trim);
    if !parts.next()?.eq_ignore_ascii_case(wanted) {
        return None;
    }
    let quality = parts.find_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.trim().eq_ignore_ascii_case("q").then(|| value.trim())
    });
    Some(quality.map_or(1.0, |value| value.parse().unwrap_or(0.0)))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn wants(accept: &[&'static str]) -> bool {
        let mut headers = HeaderMap::new();
        for value in accept {
            headers.append(ACCEPT, HeaderValue::from_static(value));
        }
        wants_events(&headers)
    }

    #[test]
    fn only_clients_that_name_events_get_them() {
        for accept in [
            &["text/event-stream"][..],
            &["Text/Event-Stream; charset=utf-8"],
            &["application/json, text/event-stream"],
            &["application/json;q=0.5,text/event-stream;q=0.9"],
            &["application/json;q=0", "*/*, text/event-stream;Q=0.1"],
        ] {
            assert!(wants(accept), "{accept:?}");
        }
        for accept in [
            &[][..],
            &[""],
            &["*/*"],
            &["text/*"],
            &["application/json, text/plain, */*"],
            &["text/event-stream;q=0"],
            &["text/event-stream;q=much"],
            &["text/event-stream-2"],
            &["application/json", "text/event-stream;q=0.9"],
        ] {
            assert!(!wants(accept), "{accept:?}");
        }
    }
}
