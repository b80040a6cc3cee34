//! Tracks the current tab and enforces the tab limit.

use tokio::sync::watch;

use super::pending::Pending;
use super::{Broker, State};
use crate::cdp::envelope;

impl Broker {
    /// Returns a channel with the target id of the current tab.
    pub(crate) fn current_tab(&self) -> watch::Receiver<Option<String>> {
        self.current_tab.subscribe()
    }

    /// Returns the target id of the current tab of the default context.
    pub(crate) fn current_shared_tab(&self) -> Option<String> {
        let state = self.lock();
        let has_crashed = |target: &str| state.routes.has_crashed(target);
        state.tabs.current_shared(has_crashed).map(str::to_owned)
    }

    /// Returns the tabs of all contexts that have not crashed.
    pub(crate) fn open_tabs(&self) -> Vec<String> {
        let state = self.lock();
        state
            .tabs
            .all()
            .filter(|target| !state.routes.has_crashed(target))
            .map(str::to_owned)
            .collect()
    }

    /// Returns a channel that is notified when any tab shows another address.
    pub(crate) fn tab_shows(&self) -> watch::Receiver<()> {
        self.tab_shows.subscribe()
    }

    /// Returns true if a tab's renderer has crashed and was not replaced yet.
    pub(crate) fn has_crashed(&self, target: &str) -> bool {
        self.lock().routes.has_crashed(target)
    }

    /// Returns the target ids of all tabs in the order in which they were opened.
    pub(crate) fn tabs_in_order(&self) -> Vec<String> {
        self.lock().tabs.in_order()
    }

    /// Makes a tab the current one.
    pub(crate) fn make_current(&self, target: &str) {
        self.touch_tab(&mut self.lock(), target);
    }

    /// Returns the broker's session on a tab.
    pub(crate) fn broker_session_on(&self, target: &str) -> Option<String> {
        self.lock().tabs.session_of(target).map(str::to_owned)
    }

    /// Returns true if a tab has no document yet.
    pub(crate) fn is_blank(&self, target: &str) -> bool {
        self.lock().tabs.is_blank(target)
    }

    /// Waits until a tab has a document or is gone.
    pub(crate) async fn has_document(&self, target: &str) {
        let mut changes = self.tab_shows.subscribe();
        while self.is_blank(target) {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Attaches a session of the broker to a tab while it still responds, because a later session
    /// does not reach a page whose script never ends. At most the language and a mobile device are
    /// set on the session, so it costs nothing.
    pub(super) fn attach_broker_session(&self, target: &str) {
        let params = serde_json::json!({ "targetId": target, "flatten": true }).to_string();
        // If the browser takes no more frames, it is about to end.
        let _ = self.send_command(
            "Target.attachToTarget",
            &params,
            None,
            Pending::Tab(target.to_owned()),
        );
    }

    /// Sets the language in which a tab formats numbers and dates, on the broker's session. Pages
    /// in a client's own context have the language that the client chooses.
    pub(super) fn set_format_language(&self, session: &str) {
        let Some(language) = &self.format_language else {
            return;
        };
        let params = serde_json::json!({ "locale": language }).to_string();
        // Pages of one renderer share the language, and Chromium rejects it for the second one.
        self.send_unanswered("Emulation.setLocaleOverride", &params, session);
    }

    pub(crate) fn default_context_has_a_tab(&self) -> bool {
        self.lock().has_default_tab()
    }

    /// Returns true if the tab limit is reached.
    pub(crate) fn has_all_tabs(&self) -> bool {
        self.lock().tabs.all().count() >= self.limits.max_tabs
    }

    /// Closes tabs beyond the limit: the one that now shows something, or all. A tab that shows
    /// nothing yet may be paused by a client. If such a tab is closed, Chromium 156 never resumes
    /// its opener.
    pub(super) fn close_excess(&self, state: &mut State, shown: Option<(&str, &str)>) {
        let due: Vec<String> = match shown {
            Some((_, "")) => return,
            Some((target, _)) => state.excess.take(target).into_iter().collect(),
            None => state.excess.drain().collect(),
        };
        for target in due {
            tracing::debug!("excess tab closed");
            let id = state.routes.add_pending(Pending::Nobody);
            let params = serde_json::json!({ "targetId": target }).to_string();
            // If the browser takes no more frames, it is about to end.
            let _ = self.writer.push(envelope::frame(
                id,
                "Target.closeTarget",
                Some(&params),
                None,
            ));
        }
    }

    /// Closes all tabs beyond the limit, including those that show nothing yet.
    pub(crate) fn close_all_excess(&self) {
        self.close_excess(&mut self.lock(), None);
    }

    pub(super) fn touch_tab(&self, state: &mut State, target: &str) {
        state.tabs.touched(target);
        self.publish_tab(state);
    }

    pub(super) fn publish_tab(&self, state: &State) {
        let now = state
            .tabs
            .current(|target| state.routes.has_crashed(target));
        self.current_tab.send_if_modified(|current| {
            let changed = current.as_deref() != now;
            if changed {
                *current = now.map(str::to_owned);
            }
            changed
        });
    }

    /// Returns true if a tab that was just opened, for example by a page, must be closed again. The
    /// default context always keeps one tab for new clients.
    pub(super) fn is_tab_too_many(&self, state: &State, context: Option<&str>) -> bool {
        let is_needed = context.is_none_or(|context| state.tabs.is_default(context))
            && !state.has_default_tab();
        state.tabs.all().count() >= self.limits.max_tabs && !is_needed
    }

    /// Returns the error message for the tab limit.
    pub(crate) fn too_many_tabs(&self) -> String {
        format!(
            "a session is limited to {} tabs (HEARTH_MAX_TABS): close some",
            self.limits.max_tabs
        )
    }
}

impl State {
    /// Returns true if the default context has a tab that has not crashed.
    pub(super) fn has_default_tab(&self) -> bool {
        self.tabs
            .default_context_has_one(|target| self.routes.has_crashed(target))
    }
}
