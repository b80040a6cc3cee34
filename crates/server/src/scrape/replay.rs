//! The repetition of a scrape's steps in a new session.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hearth_contract::action::Action;
use hearth_contract::{CreateRequest, Location, ScrapeContext};
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::page_driver::{PageDriver, PageError, Until};
use crate::sessions::Session;

/// The lifetime of a session for interactions, and the time for which it may be idle.
const TTL_SECONDS: u32 = 600;
const ACTIVITY_TTL_SECONDS: u32 = 300;

/// The maximum time to wait after the page has opened. Later requests wait for it, too.
const MAX_WAIT_MS: u32 = 30_000;

/// The time that a replay may take besides the waits of the scrape, and its limits.
const STEPS_TIME: Duration = Duration::from_secs(45);
const MIN_TIME: Duration = Duration::from_secs(30);
const MAX_TIME: Duration = Duration::from_mins(5);

/// Returns the context of a page about which nothing else is known.
pub(super) fn page_context(url: String) -> ScrapeContext {
    ScrapeContext {
        url,
        wait_for_ms: 0,
        actions: Vec::new(),
        headers: BTreeMap::new(),
        mobile: false,
        profile: None,
        block_ads: true,
        country: None,
        zero_data_retention: false,
        skip_tls_verification: false,
    }
}

/// Returns the request for the session in which a scrape is repeated. A session of which nothing is
/// kept does not save to the profile.
pub(super) fn session_request(context: &ScrapeContext, zero_data_retention: bool) -> CreateRequest {
    let mut profile = context.profile.clone();
    if let Some(profile) = &mut profile {
        profile.save_changes &= !zero_data_retention;
    }
    let country = context.country.as_deref().and_then(Location::country);
    CreateRequest {
        ttl_seconds: TTL_SECONDS,
        activity_ttl_seconds: ACTIVITY_TTL_SECONDS,
        stream_web_view: true,
        record_session: false,
        zero_data_retention,
        // Otherwise the default of the server applies, as to the scrape.
        block_ads: (!context.block_ads).then_some(false),
        profile,
        location: country.map(|country| Location { country }),
    }
}

/// Opens the page of a scrape in a session, and performs its actions. The session's kernels take no
/// part in it.
pub(super) async fn replay(
    session: &Arc<Session>,
    context: &ScrapeContext,
) -> Result<(), PageError> {
    let deadline = Instant::now() + time_limit(context);
    let replayed = timeout_at(deadline, repeat(session, context, deadline)).await;
    replayed.unwrap_or(Err(PageError::TimedOut))
}

async fn repeat(
    session: &Arc<Session>,
    context: &ScrapeContext,
    deadline: Instant,
) -> Result<(), PageError> {
    if context.skip_tls_verification {
        session.ignore_certificate_errors().await?;
    }
    let mut driver = PageDriver::attach(session).await?;
    if context.mobile {
        driver.emulate_mobile(deadline).await?;
    }
    let url = Url::parse(&context.url).map_err(|error| PageError::NotLoaded(error.to_string()))?;
    driver.set_headers(&url, &context.headers, deadline).await?;
    driver.goto(url.as_str(), Until::Parsed, deadline).await?;
    let wait_ms = context.wait_for_ms.min(MAX_WAIT_MS);
    driver.wait_ms(wait_ms.into(), deadline).await?;
    for action in &context.actions {
        // These only read the page.
        let reads = matches!(
            action,
            Action::Screenshot(_) | Action::Scrape | Action::Pdf(_)
        );
        if !reads {
            driver.perform(action, deadline).await?;
        }
    }
    // The page may have opened a tab last, which is not the current one if it is empty.
    driver.show(deadline).await
}

/// Returns the time that a replay may take.
fn time_limit(context: &ScrapeContext) -> Duration {
    let waits_ms: u64 = context.actions.iter().map(Action::wait_ms).sum();
    let waits = Duration::from_millis(u64::from(context.wait_for_ms) + waits_ms);
    (waits + STEPS_TIME).clamp(MIN_TIME, MAX_TIME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_limit_grows_with_the_waits_of_the_scrape() {
        let mut context = page_context("http://a.example/".to_owned());
        assert_eq!(time_limit(&context), STEPS_TIME);
        context.wait_for_ms = 5000;
        context.actions = vec![
            Action::Wait { milliseconds: 2000 },
            Action::WaitFor {
                selector: "p".to_owned(),
            },
        ];
        assert_eq!(time_limit(&context), Duration::from_secs(53));
        context.actions = vec![
            Action::Wait {
                milliseconds: 60_000
            };
            50
        ];
        assert_eq!(time_limit(&context), MAX_TIME);
    }

    #[test]
    fn a_session_without_retention_does_not_save_its_profile() {
        let mut context = page_context("http://a.example/".to_owned());
        context.country = Some("de".to_owned());
        context.profile = Some(hearth_contract::Profile {
            name: "shop".to_owned(),
            save_changes: true,
        });
        let saves = |zero_data_retention| {
            let request = session_request(&context, zero_data_retention);
            assert_eq!(request.zero_data_retention, zero_data_retention);
            assert_eq!(request.location.expect("a country").country, "de");
            request.profile.expect("a profile").save_changes
        };
        assert!(saves(false) && !saves(true));
    }
}
