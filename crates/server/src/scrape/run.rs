//! The handling of one scrape: a session, the page, its actions and its formats.

use std::sync::Arc;
use std::time::Duration;

use hearth_budget::{Exhausted, Reservation};
use hearth_contract::action::Screenshot;
use hearth_contract::{
    ActionResults, CreateRequest, Format, Profile, ScrapeContext, ScrapeData, ScrapeRequest,
    ScrapeResponse,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};
use url::Url;
use uuid::Uuid;

use super::failure::ScrapeError;
use super::owned_session::OwnedSession;
use super::record::ScrapeRecord;
use super::scrapes::Scrapes;
use crate::page_driver::{ActionResult, Document, PageDriver, PageError, Until};
use crate::sessions::{Session, SessionError};
use crate::team::Team;

/// The lifetime of a session that continues a scrape, in seconds.
const TTL_SECONDS: u32 = 600;
const ACTIVITY_TTL_SECONDS: u32 = 300;

/// The maximum size of all text formats of a page together, in bytes of JSON.
const MAX_PAGE_BYTES: usize = 32 << 20;

/// A program whose requests get the scrape's id at the top level too.
const WEBSITE: &str = "website";

/// The kinds of files that the browser shows, but that have no text.
const FILES: &[&str] = &["image/", "audio/", "video/", "font/", "application/pdf"];

/// The kind of picture that is text.
const TEXT_PICTURE: &str = "image/svg+xml";

/// The result of a scrape.
#[derive(Debug)]
pub(crate) struct Scraped {
    /// The response as JSON.
    pub json: Vec<u8>,
    /// The memory of the response.
    pub reserved: Reservation,
}

/// The value of the script that reads the page.
#[derive(Deserialize)]
struct ReadPage {
    url: String,
    page: ScrapeData,
}

/// A page that was read, and its results that are too large to hold without a reservation.
struct Scrape<'a> {
    request: &'a ScrapeRequest,
    driver: PageDriver,
    deadline: Instant,
    reserved: Reservation,
    results: ActionResults,
}

impl Scrapes {
    /// Scrapes a page in its own session, which is kept for an interaction or ends. If the caller
    /// drops the future, the session ends at once.
    pub async fn scrape(&self, team: Team, request: ScrapeRequest) -> Result<Scraped, ScrapeError> {
        let record = ScrapeRecord::new(self.registry.metrics());
        let scraped = self.run(team, &request).await;
        record.finish(match &scraped {
            Ok((scraped, page_status)) => Ok((*page_status, scraped.json.len())),
            Err(error) => Err(error),
        });
        scraped.map(|(scraped, _)| scraped)
    }

    async fn run(
        &self,
        team: Team,
        request: &ScrapeRequest,
    ) -> Result<(Scraped, u16), ScrapeError> {
        let deadline = Instant::now() + Duration::from_millis(request.timeout_ms.into());
        let texts = self.registry.buffers().reserve(request.text_bytes());
        let _texts = texts.map_err(overloaded)?;
        let _busy = self.registry.begin_page();
        let job = self.registry.new_scrape_id();
        let creating = self
            .registry
            .create_unlisted(Team::clone(&team), session_request(request));
        let session = timeout_at(deadline, creating)
            .await
            .map_err(|_| ScrapeError::TimedOut(request.timeout_ms))?
            .map_err(ScrapeError::Session)?;
        let session = OwnedSession::new(session, self.registry.tracker().clone());
        let failed = |error| ScrapeError::of(error, &session, request.timeout_ms);
        let mut scrape = Scrape::begin(&session, request, deadline)
            .await
            .map_err(failed)?;
        scrape.open().await?;
        let (data, status) = scrape.read(self.page_source.as_str(), job).await?;
        let (json, reserved) = scrape.finish(data, job).map_err(overloaded)?;
        let context = ScrapeContext::of(request);
        self.contexts.remember(job, &team, &context).await;
        self.kept.offer(job, session);
        Ok((Scraped { json, reserved }, status))
    }
}

impl<'a> Scrape<'a> {
    async fn begin(
        session: &Arc<Session>,
        request: &'a ScrapeRequest,
        deadline: Instant,
    ) -> Result<Scrape<'a>, PageError> {
        let reserved = session.budget()?.empty();
        if request.skip_tls_verification {
            session.ignore_certificate_errors().await?;
        }
        let mut driver = PageDriver::attach(session).await?;
        if request.mobile {
            driver.emulate_mobile(deadline).await?;
        }
        if let Ok(url) = Url::parse(&request.url) {
            driver.set_headers(&url, &request.headers, deadline).await?;
        }
        Ok(Scrape {
            request,
            driver,
            deadline,
            reserved,
            results: ActionResults::default(),
        })
    }

    /// Opens the address, waits, and performs the actions.
    async fn open(&mut self) -> Result<(), ScrapeError> {
        let (request, deadline) = (self.request, self.deadline);
        let opened = self
            .driver
            .goto(&request.url, Until::Loaded, deadline)
            .await;
        opened.map_err(|error| self.failed(error))?;
        if let Some(kind) = self.driver.document().and_then(file_kind) {
            return Err(ScrapeError::UnsupportedFile(kind));
        }
        if request.wait_for_ms > 0 {
            let wait = u64::from(request.wait_for_ms);
            let waited = self.driver.wait_ms(wait, deadline).await;
            waited.map_err(|error| self.failed(error))?;
        }
        // A page can open another one as soon as it is loaded.
        let settled = self.driver.settle(deadline).await;
        settled.map_err(|error| self.failed(error))?;
        for (index, action) in request.actions.iter().enumerate() {
            let result = self.driver.perform(action, deadline).await;
            let kept = result.and_then(|result| result.map_or(Ok(()), |result| self.keep(result)));
            kept.map_err(|error| {
                let session = self.driver.session();
                ScrapeError::of_action(index + 1, error, session, request.timeout_ms)
            })?;
        }
        Ok(())
    }

    fn keep(&mut self, result: ActionResult) -> Result<(), PageError> {
        self.reserved.grow(result.bytes())?;
        match result {
            ActionResult::Screenshot(url) => self.results.screenshots.push(url),
            ActionResult::Pdf(url) => self.results.pdfs.push(url),
            ActionResult::Scrape(page) => self.results.scrapes.push(page),
            ActionResult::Script(value) => self.results.javascript_returns.push(value),
        }
        Ok(())
    }

    /// Reads the page in the requested formats. Also returns the status of the page.
    async fn read(&mut self, source: &str, job: Uuid) -> Result<(ScrapeData, u16), ScrapeError> {
        let (mut data, url) = match self.read_page(source).await {
            Ok(ReadPage { url, page }) => (page, url),
            Err(error) => return Err(self.failed(error)),
        };
        if url.starts_with("chrome-error:") {
            let reason = "an address that the page opened was not loaded".to_owned();
            return Err(ScrapeError::Site(reason));
        }
        if let Some(options) = self.request.formats.iter().find_map(screenshot_of) {
            let picture = self.picture(options).await;
            data.screenshot = Some(picture.map_err(|error| self.failed(error))?);
        }
        if !self.request.actions.is_empty() {
            data.actions = Some(std::mem::take(&mut self.results));
        }
        let document = self.driver.document().cloned().unwrap_or_default();
        let status = match document.status {
            0 => 200,
            status => status,
        };
        self.add_metadata(&mut data, &document, (status, url), job);
        Ok((data, status))
    }

    async fn read_page(&mut self, source: &str) -> Result<ReadPage, PageError> {
        self.driver.show(self.deadline).await?;
        let formats: Vec<&str> = self.request.formats.iter().map(Format::as_str).collect();
        let options = json!({
            "formats": formats,
            "onlyMainContent": self.request.only_main_content,
            "includeTags": self.request.include_tags,
            "excludeTags": self.request.exclude_tags,
        });
        let limit = ("text of the page", MAX_PAGE_BYTES);
        let read = self
            .driver
            .evaluate_isolated(source, &options, limit, self.deadline);
        let read: ReadPage = read.await?;
        self.reserved.grow(bytes_of(&read.page))?;
        Ok(read)
    }

    async fn picture(&mut self, options: &Screenshot) -> Result<String, PageError> {
        let picture = self.driver.screenshot(options, self.deadline).await?;
        self.reserved.grow(picture.len())?;
        Ok(picture)
    }

    fn add_metadata(
        &self,
        data: &mut ScrapeData,
        document: &Document,
        (status, url): (u16, String),
        job: Uuid,
    ) {
        let metadata = &mut data.metadata;
        let mut set = |name: &str, value: Value| metadata.insert(name.to_owned(), value);
        set("sourceURL", self.request.source_url.clone().into());
        set("url", url.into());
        set("statusCode", status.into());
        set("scrapeId", job.to_string().into());
        set("proxyUsed", "basic".into());
        set("creditsUsed", 0.into());
        set("concurrencyLimited", false.into());
        if let Some(content_type) = &document.content_type {
            set("contentType", content_type.as_str().into());
        }
        if status >= 400 {
            let text = match document.status_text.as_str() {
                // HTTP/2 has no texts.
                "" => format!("HTTP {status}"),
                text => text.to_owned(),
            };
            set("error", text.into());
        }
    }

    /// Writes the response. Its memory replaces that of the data.
    fn finish(self, data: ScrapeData, job: Uuid) -> Result<(Vec<u8>, Reservation), Exhausted> {
        let Scrape {
            request,
            mut reserved,
            ..
        } = self;
        let origin = request.origin.as_deref();
        let is_website = origin.is_some_and(|origin| origin.contains(WEBSITE));
        let response = ScrapeResponse::new(data, is_website.then(|| job.to_string()));
        // Escapes make it somewhat larger than the data.
        let held = usize::try_from(reserved.bytes()).unwrap_or(usize::MAX);
        reserved.grow(held)?;
        let json = serde_json::to_vec(&response).expect("the response has only names as keys");
        drop(response);
        reserved.grow(json.len().saturating_sub(held.saturating_mul(2)))?;
        reserved.shrink_to(json.len());
        Ok((json, reserved))
    }

    fn failed(&self, error: PageError) -> ScrapeError {
        ScrapeError::of(error, self.driver.session(), self.request.timeout_ms)
    }
}

fn overloaded(full: Exhausted) -> ScrapeError {
    ScrapeError::Session(SessionError::Overloaded(full))
}

/// Returns the request for the session of a scrape. It reads a profile, but does not save it.
fn session_request(request: &ScrapeRequest) -> CreateRequest {
    CreateRequest {
        ttl_seconds: TTL_SECONDS,
        activity_ttl_seconds: ACTIVITY_TTL_SECONDS,
        stream_web_view: true,
        record_session: false,
        zero_data_retention: request.zero_data_retention,
        block_ads: request.block_ads,
        profile: request.profile.as_ref().map(|profile| Profile {
            name: profile.name.clone(),
            save_changes: false,
        }),
        location: request.location.clone(),
    }
}

fn screenshot_of(format: &Format) -> Option<&Screenshot> {
    match format {
        Format::Screenshot(options) => Some(options),
        _ => None,
    }
}

/// Returns the media type of a document that has no text.
fn file_kind(document: &Document) -> Option<String> {
    let kind = document.mime_type.to_ascii_lowercase();
    let is_file = FILES.iter().any(|file| kind.starts_with(file)) && kind != TEXT_PICTURE;
    is_file.then_some(kind)
}

/// Returns about the bytes that the text formats of a page take in memory.
fn bytes_of(page: &ScrapeData) -> usize {
    let texts = [&page.markdown, &page.html, &page.raw_html];
    let texts = texts.into_iter().flatten().map(String::len);
    let lists = [&page.links, &page.images].into_iter().flatten().flatten();
    let lists = lists.map(|text| text.len() + size_of::<String>());
    let metadata = page.metadata.iter();
    let metadata = metadata.map(|(name, value)| name.len() + value.to_string().len() + 64);
    texts.chain(lists).chain(metadata).sum()
}
