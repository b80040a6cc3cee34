//! Parses the broker's messages to a screencast. Values are borrowed, because a frame has some
//! hundred kilobytes of text.

use serde::Deserialize;
use serde_json::value::RawValue;

/// A message from the broker.
pub(super) enum Incoming<'a> {
    Reply {
        id: i64,
        answer: Result<&'a RawValue, String>,
    },
    Event {
        method: &'a str,
        params: &'a RawValue,
    },
}

#[derive(Deserialize)]
struct Raw<'a> {
    id: Option<i64>,
    #[serde(borrow)]
    method: Option<&'a str>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    error: Option<ErrorBody>,
}

#[derive(Deserialize)]
struct ErrorBody {
    message: String,
}

impl<'a> Incoming<'a> {
    /// Returns `None` for any other message, which the broker does not send.
    pub(super) fn parse(text: &'a str) -> Option<Incoming<'a>> {
        let raw: Raw<'a> = serde_json::from_str(text).ok()?;
        match raw {
            Raw {
                id: Some(id),
                error: Some(error),
                ..
            } => Some(Incoming::Reply {
                id,
                answer: Err(error.message),
            }),
            Raw {
                id: Some(id),
                result: Some(result),
                ..
            } => Some(Incoming::Reply {
                id,
                answer: Ok(result),
            }),
            Raw {
                method: Some(method),
                params: Some(params),
                ..
            } => Some(Incoming::Event { method, params }),
            _ => None,
        }
    }
}

/// `Page.screencastFrame`.
#[derive(Deserialize)]
pub(super) struct FrameEvent<'a> {
    /// Base64, which needs no escapes.
    #[serde(borrow)]
    pub(super) data: &'a str,
    pub(super) metadata: Metadata,
    #[serde(rename = "sessionId")]
    pub(super) ticket: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Metadata {
    device_width: f64,
    device_height: f64,
}

impl Metadata {
    /// Returns the size in whole CSS pixels, at least one.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to the range of the type"
    )]
    pub(super) fn size(&self) -> (u16, u16) {
        let whole = |length: f64| length.round().clamp(1.0, f64::from(u16::MAX)) as u16;
        (whole(self.device_width), whole(self.device_height))
    }
}

/// `Page.screencastVisibilityChanged`.
#[derive(Deserialize)]
pub(super) struct Visibility {
    pub(super) visible: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_errors_and_events_are_distinguished() {
        let reply = Incoming::parse(r#"{"id":1,"result":{"a":1}}"#);
        assert!(
            matches!(reply, Some(Incoming::Reply { id: 1, answer: Ok(result) }) if result.get() == r#"{"a":1}"#)
        );
        let error = Incoming::parse(r#"{"id":2,"error":{"code":-32000,"message":"no"}}"#);
        assert!(matches!(error, Some(Incoming::Reply { id: 2, answer: Err(why) }) if why == "no"));
        let event = Incoming::parse(r#"{"method":"Page.x","params":{}}"#);
        assert!(matches!(
            event,
            Some(Incoming::Event {
                method: "Page.x",
                ..
            })
        ));
        assert!(Incoming::parse("{}").is_none());
    }

    #[test]
    fn invalid_frame_sizes_become_one_pixel() {
        let size = |width, height| {
            Metadata {
                device_width: width,
                device_height: height,
            }
            .size()
        };
        assert_eq!(size(1280.0, 719.6), (1280, 720));
        assert_eq!(size(0.0, f64::NAN.max(-5.0)), (1, 1));
        assert_eq!(size(1e9, 1.0), (u16::MAX, 1));
    }
}
