//! The chromiumoxide crate as a third-party client of a session. It is a library, so its steps run
//! in this process.

use std::error::Error;
use std::time::Duration;

use chromiumoxide::cdp::browser_protocol::browser::{
    DownloadProgressState, EventDownloadProgress, EventDownloadWillBegin,
    SetDownloadBehaviorBehavior, SetDownloadBehaviorParams,
};
use chromiumoxide::cdp::browser_protocol::dom::SetFileInputFilesParams;
use chromiumoxide::cdp::browser_protocol::fetch::{
    DisableParams, EnableParams, EventRequestPaused, FulfillRequestParams, RequestPattern,
};
use chromiumoxide::cdp::browser_protocol::io::ReadParams;
use chromiumoxide::cdp::browser_protocol::page::{
    EventFileChooserOpened, EventJavascriptDialogOpening, HandleJavaScriptDialogParams,
    SetInterceptFileChooserDialogParams,
};
use chromiumoxide::cdp::browser_protocol::target::{
    CreateBrowserContextParams, CreateTargetParams, EventTargetInfoChanged,
};
use chromiumoxide::cdp::browser_protocol::tracing::{
    EndParams, EventTracingComplete, StartParams, StartTransferMode,
};
use chromiumoxide::page::ScreenshotParams;
use chromiumoxide::{Browser, Page};
use futures_util::StreamExt;
use hearth_test_support::eventually;
use hearth_test_support::report::{Outcome, Report};
use tokio::task::JoinSet;

use super::client::{Client, STEPS};

/// Timeout for the client to find a page.
const PAGE_TIMEOUT: Duration = Duration::from_mins(1);
const NAME: &str = "chromiumoxide";

type Step = Result<(), Box<dyn Error>>;

/// A connection, the page that the steps use, and the arguments of [`run`].
struct Visit<'a> {
    browser: Browser,
    /// The task that drives the connection.
    driving: JoinSet<()>,
    /// `None` after the step that closes it.
    page: Option<Page>,
    cdp_url: &'a str,
    site: &'a str,
    dir: &'a str,
}

/// Runs all steps with a cdpUrl, the test site's address and a session dir that contains files.
pub async fn run([cdp_url, site, dir]: [&str; 3]) -> Report {
    let (browser, driving) = open(cdp_url).await;
    let mut visit = Visit {
        browser,
        driving,
        page: None,
        cdp_url,
        site,
        dir,
    };
    let mut steps = Vec::new();
    for step in STEPS {
        let outcome = match why_not(step) {
            Some(why) => Outcome::NotOffered(why.to_owned()),
            None => Outcome::of(visit.outcome(step)).await,
        };
        steps.push((step.to_owned(), outcome));
    }
    Report {
        title: Client::Chromiumoxide.title().to_owned(),
        version: version(),
        steps,
    }
}

/// Reads the version from the lock file.
fn version() -> String {
    let lock =
        std::fs::read_to_string(hearth_test_support::repository().join("Cargo.lock")).unwrap();
    let (_, rest) = lock
        .split_once("name = \"chromiumoxide\"\nversion = \"")
        .unwrap();
    rest.split('"').next().unwrap().to_owned()
}

fn why_not(step: &str) -> Option<&'static str> {
    (step == "cross-site iframe").then_some("its pages cannot access frames of other processes")
}

async fn open(cdp_url: &str) -> (Browser, JoinSet<()>) {
    let (browser, mut handler) = Browser::connect(cdp_url).await.unwrap();
    let mut driving = JoinSet::new();
    // Messages that this version cannot parse arrive as errors and do not end the connection.
    driving.spawn(async move { while handler.next().await.is_some() {} });
    (browser, driving)
}

impl Visit<'_> {
    async fn outcome(&mut self, step: &str) -> Outcome {
        match self.take(step).await {
            Ok(()) => Outcome::Good(String::new()),
            Err(error) => Outcome::Failed(error.to_string()),
        }
    }

    async fn take(&mut self, step: &str) -> Step {
        match step {
            "connect" => self.connect().await,
            "navigate" => self.navigate().await,
            "click" => self.click().await,
            "fill" => self.fill().await,
            "screenshot" => self.screenshot().await,
            "route" => self.route().await,
            "popup" => self.popup().await,
            "download" => self.download().await,
            "upload of 40 MB" => self.upload().await,
            "dialog" => self.dialog().await,
            "file chooser" => self.file_chooser().await,
            "new context" => self.new_context().await,
            "tracing" => self.tracing().await,
            "close" => self.close().await,
            "disconnect" => self.disconnect().await,
            other => Err(format!("there is no step {other}").into()),
        }
    }

    fn page(&self) -> &Page {
        self.page.as_ref().expect("the page is open")
    }

    async fn goto(&self, path: &str) -> Result<&Page, Box<dyn Error>> {
        Ok(self.page().goto(format!("{}{path}", self.site)).await?)
    }

    async fn evaluate(&self, expression: &str) -> Result<String, Box<dyn Error>> {
        Ok(self.page().evaluate(expression).await?.into_value()?)
    }

    async fn press(&self, selector: &str) -> Step {
        self.page().find_element(selector).await?.click().await?;
        Ok(())
    }

    async fn assert_first_page_is_there(&mut self) -> Step {
        let targets = self.browser.fetch_targets().await?;
        let first = format!("{}/title/first", self.site);
        assert!(
            targets.iter().any(|target| target.url == first),
            "the session's page is not among {targets:?}"
        );
        Ok(())
    }

    async fn connect(&mut self) -> Step {
        self.assert_first_page_is_there().await?;
        self.page = Some(self.browser.new_page("about:blank").await?);
        Ok(())
    }

    async fn navigate(&self) -> Step {
        let page = self.goto(&format!("/title/{NAME}")).await?;
        assert_eq!(page.get_title().await?.as_deref(), Some(NAME));
        Ok(())
    }

    async fn click(&self) -> Step {
        self.goto("/button").await?;
        self.press("button").await?;
        assert_eq!(self.page().get_title().await?.as_deref(), Some("pressed"));
        Ok(())
    }

    async fn fill(&self) -> Step {
        let page = self.goto("/form").await?;
        page.find_element("#name")
            .await?
            .click()
            .await?
            .type_str("I am oxide")
            .await?;
        self.press("button").await?;
        assert_eq!(self.evaluate("out.textContent").await?, "I am oxide");
        Ok(())
    }

    async fn screenshot(&self) -> Step {
        let png = self
            .page()
            .screenshot(ScreenshotParams::builder().build())
            .await?;
        assert_eq!(&png[1..4], b"PNG");
        // Width and height from the image header.
        assert_eq!(
            png[16..24],
            [1280_u32.to_be_bytes(), 720_u32.to_be_bytes()].concat()
        );
        Ok(())
    }

    async fn route(&self) -> Step {
        let page = self.page();
        let pattern = RequestPattern::builder()
            .url_pattern("*/title/original")
            .build();
        page.execute(EnableParams::builder().pattern(pattern).build())
            .await?;
        let mut paused = page.event_listener::<EventRequestPaused>().await?;
        let replacing = async {
            let request = paused.next().await.ok_or("the connection has ended")?;
            // <title>replaced</title>
            let body = "PHRpdGxlPnJlcGxhY2VkPC90aXRsZT4=".to_owned();
            let answer = FulfillRequestParams::builder().request_id(request.request_id.clone());
            page.execute(answer.response_code(200).body(body).build()?)
                .await?;
            Ok(())
        };
        tokio::try_join!(replacing, self.goto("/title/original"))?;
        assert_eq!(page.get_title().await?.as_deref(), Some("replaced"));
        page.execute(DisableParams::default()).await?;
        Ok(())
    }

    async fn popup(&self) -> Step {
        self.goto("/popup").await?;
        let mut changes = self
            .browser
            .event_listener::<EventTargetInfoChanged>()
            .await?;
        self.press("a").await?;
        let popup = loop {
            let change = changes.next().await.ok_or("the connection has ended")?;
            let target = &change.target_info;
            if target.opener_id.as_ref() == Some(self.page().target_id())
                && target.url.ends_with("/title/popped")
            {
                break target.target_id.clone();
            }
        };
        // The client emits no event after it has created a page object for the new target.
        let is_titled = async || {
            let popup = self
                .browser
                .get_page(popup.clone())
                .await
                .map_err(|error| error.to_string())?;
            let title = popup.get_title().await.map_err(|error| error.to_string())?;
            if title.as_deref() == Some("popped") {
                Ok(())
            } else {
                Err(format!("its title is {title:?}"))
            }
        };
        eventually(PAGE_TIMEOUT, "the popup is a page", is_titled).await;
        let popup = self.browser.get_page(popup.clone()).await?;
        popup.close().await?;
        Ok(())
    }

    async fn download(&self) -> Step {
        let here = std::env::temp_dir().to_string_lossy().into_owned();
        let behavior =
            SetDownloadBehaviorParams::builder().behavior(SetDownloadBehaviorBehavior::Allow);
        self.browser
            .execute(behavior.download_path(here).events_enabled(true).build()?)
            .await?;
        let mut begun = self
            .browser
            .event_listener::<EventDownloadWillBegin>()
            .await?;
        let mut progress = self
            .browser
            .event_listener::<EventDownloadProgress>()
            .await?;
        self.goto(&format!("/downloads/{NAME}")).await?;
        self.press("a").await?;
        let mine = loop {
            let event = begun.next().await.ok_or("the connection has ended")?;
            if event.suggested_filename == format!("{NAME}.bin") {
                break event.guid.clone();
            }
        };
        loop {
            let event = progress.next().await.ok_or("the connection has ended")?;
            if event.guid == mine && event.state != DownloadProgressState::InProgress {
                assert_eq!(event.state, DownloadProgressState::Completed);
                return Ok(());
            }
        }
    }

    /// Reads the text that `/upload` shows once it has read a file.
    async fn read_by_the_page(&self) -> Result<String, Box<dyn Error>> {
        self.evaluate(
            "out.textContent || new Promise(resolve => addEventListener('read', () => resolve(out.textContent)))",
        )
        .await
    }

    async fn upload(&self) -> Step {
        let page = self.goto("/upload").await?;
        let input = page.find_element("#file").await?;
        let file = format!("{}/upload.bin", self.dir);
        let files = SetFileInputFilesParams::builder()
            .file(file)
            .backend_node_id(input.backend_node_id)
            .build()?;
        let giving = async { page.execute(files).await.map_err(Box::from) };
        let (read, _) = tokio::try_join!(self.read_by_the_page(), giving)?;
        assert_eq!(read, "upload.bin: 40000000 bytes");
        Ok(())
    }

    async fn dialog(&self) -> Step {
        let page = self.goto("/dialog").await?;
        let mut opening = page
            .event_listener::<EventJavascriptDialogOpening>()
            .await?;
        let answering = async {
            let dialog = opening.next().await.ok_or("the connection has ended")?;
            page.execute(HandleJavaScriptDialogParams::new(true))
                .await?;
            Ok(dialog.message.clone())
        };
        let (message, ()) = tokio::try_join!(answering, self.press("button"))?;
        assert_eq!(message, "Shall we?");
        assert_eq!(self.evaluate("out.textContent").await?, "accepted");
        Ok(())
    }

    async fn file_chooser(&self) -> Step {
        let page = self.goto("/upload").await?;
        page.execute(SetInterceptFileChooserDialogParams::new(true))
            .await?;
        let mut opened = page.event_listener::<EventFileChooserOpened>().await?;
        let choosing = async {
            let chooser = opened.next().await.ok_or("the connection has ended")?;
            let input = chooser
                .backend_node_id
                .ok_or("the chooser belongs to no input")?;
            let file = format!("{}/note.txt", self.dir);
            page.execute(
                SetFileInputFilesParams::builder()
                    .file(file)
                    .backend_node_id(input)
                    .build()?,
            )
            .await?;
            Ok(())
        };
        let (read, ..) = tokio::try_join!(self.read_by_the_page(), choosing, self.press("#file"))?;
        assert_eq!(read, "note.txt: 5 bytes");
        Ok(())
    }

    async fn new_context(&self) -> Step {
        self.evaluate(&format!("document.cookie = '{NAME}=outside'"))
            .await?;
        let context = self
            .browser
            .create_browser_context(CreateBrowserContextParams::default())
            .await?;
        let target = CreateTargetParams::builder()
            .url("about:blank")
            .browser_context_id(context)
            .build()?;
        let other = self.browser.new_page(target).await?;
        other.goto(format!("{}/title/other", self.site)).await?;
        assert_eq!(
            other
                .evaluate("document.cookie")
                .await?
                .into_value::<String>()?,
            ""
        );
        other.evaluate("document.cookie = 'inside=1'").await?;
        assert!(!self.evaluate("document.cookie").await?.contains("inside"));
        Ok(())
    }

    async fn tracing(&self) -> Step {
        let start = StartParams::builder()
            .transfer_mode(StartTransferMode::ReturnAsStream)
            .build();
        // Chromium rejects a second trace. The client that holds this response has the turn until
        // it is dropped.
        let _turn = reqwest::get(format!("{}/turn", self.site)).await?;
        self.browser.execute(start).await?;
        self.goto("/title/traced").await?;
        let mut complete = self
            .browser
            .event_listener::<EventTracingComplete>()
            .await?;
        self.browser.execute(EndParams::default()).await?;
        let complete = complete.next().await.ok_or("the connection has ended")?;
        let stream = complete.stream.clone().ok_or("the trace has no stream")?;
        let mut trace = String::new();
        loop {
            let part = self
                .browser
                .execute(ReadParams::new(stream.clone()))
                .await?;
            trace += &part.data;
            if part.eof {
                break;
            }
        }
        // Titles and sources in it may contain lone surrogates, which this JSON parser rejects.
        assert!(
            trace.starts_with("{\"traceEvents\":[") && trace.contains("\"ph\":"),
            "{} bytes",
            trace.len()
        );
        Ok(())
    }

    async fn close(&mut self) -> Step {
        self.page.take().ok_or("there is no page")?.close().await?;
        self.browser.close().await?;
        self.disconnect().await
    }

    /// Drops the connection and opens another one.
    async fn disconnect(&mut self) -> Step {
        self.driving.shutdown().await;
        (self.browser, self.driving) = open(self.cdp_url).await;
        self.assert_first_page_is_there().await
    }
}
