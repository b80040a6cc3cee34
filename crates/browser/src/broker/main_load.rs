//! Delays the report of a page that did not load until the browser shows its error page.
//!
//! Chromium reports a failed navigation first and replaces the document by the error page up to
//! half a second later. A client that navigates again in between mistakes the error page for its
//! new page: Playwright reports an interrupted navigation, Puppeteer a page that has loaded. So
//!
//! - `Network.loadingFailed` reaches the client directly before the error page, because Playwright
//!   has to see the failure first,
//! - and the reply to `Page.navigate` reaches it when the error page has loaded.
//!
//! Pure. The broker's lock protects the state, which belongs to one session of a client.

use hearth_budget::{Budget, Reservation};
use tokio::time::{Duration, Instant};

/// The maximum delay, if no error page follows.
const MAX_DELAY: Duration = Duration::from_secs(2);

/// The maximum size of a delayed message. The messages of real failures have a few hundred bytes.
const MAX_BYTES: usize = 16 * 1024;

/// The load of the main frame's document, as one session of a client sees it.
#[derive(Debug, Default)]
pub(crate) struct MainLoad {
    /// `None` if the client does not listen to requests.
    request: Option<MainRequest>,
    /// True if the main frame shows the result of the load.
    is_committed: bool,
    /// The event about the failure.
    event: Option<Delayed>,
    /// The reply to the call that navigated.
    reply: Option<Delayed>,
}

/// The request for the main frame's document.
#[derive(Debug)]
struct MainRequest {
    id: String,
    /// The origin that the request was last sent to; redirects change it.
    origin: String,
}

/// A message that waits for the error page.
#[derive(Debug)]
struct Delayed {
    text: String,
    until: Instant,
    /// Counts the text in the session's budget.
    _reserved: Reservation,
}

impl Delayed {
    /// Delays a message. Returns it if it is too large.
    fn new(text: String, budget: &Budget) -> Result<Delayed, String> {
        let mut reserved = budget.empty();
        if text.len() > MAX_BYTES || reserved.grow(text.len()).is_err() {
            return Err(text);
        }
        Ok(Delayed {
            text,
            until: Instant::now() + MAX_DELAY,
            _reserved: reserved,
        })
    }
}

impl MainLoad {
    /// Records a call that navigates, which starts another load.
    pub(crate) fn navigates(&mut self) {
        self.is_committed = false;
    }

    /// Records a request for the document. If it starts another load, returns the messages about
    /// the previous one, because its error page will not be shown.
    pub(crate) fn requested(&mut self, id: &str, url: &str) -> Vec<String> {
        let origin = origin_of(url).to_owned();
        match &mut self.request {
            // A redirect.
            Some(request) if request.id == id => {
                request.origin = origin;
                Vec::new()
            }
            _ => {
                self.request = Some(MainRequest {
                    id: id.to_owned(),
                    origin,
                });
                self.is_committed = false;
                self.take_all()
            }
        }
    }

    /// Returns the origin that a request for the document was last sent to.
    pub(crate) fn origin_of(&self, request: &str) -> Option<&str> {
        let current = self.request.as_ref()?;
        (current.id == request).then_some(&*current.origin)
    }

    /// Delays the event about the failure of a request. Returns it if the client gets it now.
    pub(crate) fn delay_event(
        &mut self,
        request: &str,
        text: String,
        budget: &Budget,
    ) -> Result<(), String> {
        if self.is_committed || self.event.is_some() || self.origin_of(request).is_none() {
            return Err(text);
        }
        self.event = Some(Delayed::new(text, budget)?);
        Ok(())
    }

    /// Delays the reply to the call that navigated. Returns it if the client gets it now.
    pub(crate) fn delay_reply(&mut self, text: String, budget: &Budget) -> Result<(), String> {
        if self.is_committed || self.reply.is_some() {
            return Err(text);
        }
        self.reply = Some(Delayed::new(text, budget)?);
        Ok(())
    }

    /// Records that the main frame shows another document. Returns the event about the failure,
    /// which the client gets before the event about the document.
    pub(crate) fn committed(&mut self) -> Option<String> {
        self.is_committed = true;
        self.event.take().map(|delayed| delayed.text)
    }

    /// Records that the main frame has loaded. Returns the reply, which the client gets after the
    /// event about that.
    pub(crate) fn stopped(&mut self) -> Option<String> {
        if !self.is_committed {
            return None;
        }
        self.reply.take().map(|delayed| delayed.text)
    }

    /// Returns when the first delay ends.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.event
            .iter()
            .chain(&self.reply)
            .map(|delayed| delayed.until)
            .min()
    }

    /// Returns all delayed messages.
    pub(crate) fn take_all(&mut self) -> Vec<String> {
        let delayed = self.event.take().into_iter().chain(self.reply.take());
        delayed.map(|delayed| delayed.text).collect()
    }
}

/// Returns a URL without its path, which can be long. Returns nothing for pages that are not from
/// the network.
pub(super) fn origin_of(url: &str) -> &str {
    let Some(begin) = ["http://", "https://"]
        .iter()
        .find_map(|scheme| url.starts_with(scheme).then_some(scheme.len()))
    else {
        return "";
    };
    let end = url[begin..].find(['/', '?', '#']);
    &url[..end.map_or(url.len(), |end| begin + end)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget() -> Budget {
        Budget::new("this test", 1 << 20)
    }

    fn failed(budget: &Budget) -> MainLoad {
        let mut load = MainLoad::default();
        assert_eq!(load.requested("1", "https://a.example/"), [""; 0]);
        load.delay_event("1", "event".to_owned(), budget)
            .expect("delayed");
        load.delay_reply("reply".to_owned(), budget)
            .expect("delayed");
        load
    }

    #[test]
    fn the_event_precedes_the_error_page_and_the_reply_follows_it() {
        let budget = budget();
        let mut load = failed(&budget);
        assert_eq!(load.stopped(), None, "the previous document has stopped");
        assert_eq!(load.committed().as_deref(), Some("event"));
        assert_eq!(load.stopped().as_deref(), Some("reply"));
        assert_eq!((load.due(), budget.used()), (None, 0));
    }

    #[test]
    fn another_load_ends_the_delay_and_a_redirect_does_not() {
        let mut load = failed(&budget());
        assert_eq!(load.requested("1", "http://b.example/x"), [""; 0]);
        assert_eq!(load.origin_of("1"), Some("http://b.example"));
        assert_eq!(
            load.requested("2", "https://c.example/"),
            ["event", "reply"]
        );
        assert_eq!(load.origin_of("1"), None);
    }

    #[test]
    fn nothing_is_delayed_after_the_error_page_or_for_other_requests() {
        let budget = budget();
        let mut load = MainLoad::default();
        load.requested("1", "https://a.example/");
        load.delay_event("of an image", String::new(), &budget)
            .expect_err("not delayed");
        load.committed();
        load.delay_event("1", String::new(), &budget)
            .expect_err("not delayed");
        load.delay_reply(String::new(), &budget)
            .expect_err("not delayed");
        load.navigates();
        load.delay_reply("x".repeat(MAX_BYTES + 1), &budget)
            .expect_err("too large");
        load.delay_reply("reply".to_owned(), &budget)
            .expect("delayed");
    }

    #[test]
    fn an_origin_is_a_url_without_its_path() {
        for (url, origin) in [
            ("https://a.example:1/b?c", "https://a.example:1"),
            ("http://a.example?c", "http://a.example"),
            ("http://a.example", "http://a.example"),
            ("data:text/html,x/y", ""),
        ] {
            assert_eq!(origin_of(url), origin);
        }
    }
}
