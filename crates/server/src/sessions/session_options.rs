//! The effects of the options of a request on its session.

use hearth_browser::Locale;
use hearth_contract::{CreateRequest, FieldWarning};
use hearth_egress::SessionRules;

use super::builder::BrowserStart;
use super::spec::RegistrySpec;
use crate::countries::locale_of;
use crate::metrics::ColdReason;

impl RegistrySpec {
    /// Returns the rules of the session's proxy.
    pub fn rules_of(&self, request: &CreateRequest) -> SessionRules {
        let country = country_of(request);
        SessionRules {
            blocks_ads: self.block_mode.blocks(request.block_ads),
            upstream: country.and_then(|country| self.country_proxies.of(country).cloned()),
            logs_hosts: !request.zero_data_retention,
        }
    }

    /// Returns the options that have less effect than the request asks for.
    pub fn field_warnings(&self, request: &CreateRequest) -> Vec<FieldWarning> {
        let rules = self.rules_of(request);
        let is_not_blocked = request.block_ads == Some(true) && !rules.blocks_ads;
        let is_same_address = request.location.is_some() && rules.upstream.is_none();
        [
            is_not_blocked.then_some(FieldWarning::AdsNotBlocked),
            is_same_address.then_some(FieldWarning::AddressUnchanged),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// Returns the time zone and the languages of the session.
pub(super) fn locale_for(request: &CreateRequest) -> Option<Locale> {
    country_of(request).and_then(locale_of)
}

/// Returns why the browser of a warm session cannot be used, if so.
pub(super) fn replaces_browser(start: &BrowserStart) -> Option<ColdReason> {
    match start {
        BrowserStart {
            locale: Some(_), ..
        } => Some(ColdReason::Location),
        BrowserStart {
            profile: Some(_), ..
        } => Some(ColdReason::Profile),
        BrowserStart { .. } => None,
    }
}

fn country_of(request: &CreateRequest) -> Option<&str> {
    let location = request.location.as_ref()?;
    Some(&location.country)
}
