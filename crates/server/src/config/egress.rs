//! The way out of sessions.

use hearth_egress::{AllowList, Mode, Upstream};

use super::{ConfigError, bad};

pub(super) fn parse_mode(text: &str) -> Result<Mode, ConfigError> {
    text.parse().map_err(|()| ConfigError(format!("HEARTH_EGRESS: {text:?} is neither filtered nor off nor open")))
}

pub(super) fn parse_allow(text: &str) -> Result<AllowList, ConfigError> {
    text.parse().map_err(bad("HEARTH_EGRESS_ALLOW"))
}

pub(super) fn parse_allow_metadata(text: &str) -> Result<bool, ConfigError> {
    let error = |_| ConfigError(format!("HEARTH_EGRESS_ALLOW_METADATA: {text:?} is neither true nor false"));
    text.parse().map_err(error)
}

pub(super) fn parse_upstream(text: &str) -> Result<Upstream, ConfigError> {
    text.parse().map_err(bad("HEARTH_EGRESS_PROXY"))
}
