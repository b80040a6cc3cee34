//! Tracks the current tab: the one last opened, activated or navigated by any client. Chromium does
//! not report it, so it is derived from the messages that pass. Pure; independent of the protocol.

use std::collections::BTreeSet;

use super::send_queue::ClientId;

/// The open tabs, the current one last.
#[derive(Debug, Default)]
pub(crate) struct TabList {
    /// A short list, because a browser has few open tabs.
    by_recency: Vec<Tab>,
    /// The context of the first tab, which Chromium opens itself.
    default_context: Option<String>,
    /// The number of tabs opened so far.
    opened: u64,
}

#[derive(Debug)]
struct Tab {
    target: String,
    context: Option<String>,
    /// The client that opened the tab, if a page did not.
    opener: Option<ClientId>,
    /// Opening order, starting at 1.
    number: u64,
    /// The broker's session on the tab.
    session: Option<String>,
    /// True if the tab has no document yet, not even the initial empty one.
    blank: bool,
}

impl TabList {
    /// Adds a tab, which becomes the current one.
    pub(crate) fn opened(&mut self, target: &str, context: Option<&str>) {
        if self.default_context.is_none() {
            self.default_context = context.map(str::to_owned);
        }
        self.closed(target);
        self.opened += 1;
        let (target, context) = (target.to_owned(), context.map(str::to_owned));
        self.by_recency.push(Tab {
            target,
            context,
            opener: None,
            number: self.opened,
            session: None,
            blank: false,
        });
    }

    /// Records the client that opened a tab.
    pub(crate) fn opened_by(&mut self, target: &str, client: ClientId) {
        if let Some(tab) = self.find(target) {
            tab.opener = Some(client);
        }
    }

    /// Returns true if this client opened a tab.
    pub(crate) fn is_opened_by(&self, target: &str, client: ClientId) -> bool {
        let mut tabs = self.by_recency.iter();
        tabs.any(|tab| tab.target == target && tab.opener == Some(client))
    }

    /// Records the broker's session on a tab.
    pub(crate) fn attached(&mut self, target: &str, session: String) {
        if let Some(tab) = self.find(target) {
            tab.session = Some(session);
        }
    }

    /// Returns the broker's session on a tab, if it is attached.
    pub(crate) fn session_of(&self, target: &str) -> Option<&str> {
        self.by_recency
            .iter()
            .find(|tab| tab.target == target)?
            .session
            .as_deref()
    }

    /// Returns the broker's sessions on the tabs of the default context.
    pub(crate) fn shared_sessions(&self) -> Vec<String> {
        let tabs = self.by_recency.iter();
        tabs.filter(|tab| tab.context == self.default_context)
            .filter_map(|tab| tab.session.clone())
            .collect()
    }

    /// Returns the browser context of a tab.
    pub(crate) fn context_of(&self, target: &str) -> Option<&str> {
        self.by_recency
            .iter()
            .find(|tab| tab.target == target)?
            .context
            .as_deref()
    }

    /// Returns true for the default context, which every new client sees.
    pub(crate) fn is_default(&self, context: &str) -> bool {
        self.default_context.as_deref() == Some(context)
    }

    /// Returns true if a tab is in the default context.
    pub(crate) fn is_shared(&self, target: &str) -> bool {
        self.context_of(target)
            .is_none_or(|context| self.is_default(context))
    }

    /// Records the address that a tab shows.
    pub(crate) fn shows(&mut self, target: &str, url: &str) {
        if let Some(tab) = self.find(target) {
            tab.blank = url.is_empty();
        }
    }

    /// Returns true if a tab exists and has no document yet.
    pub(crate) fn is_blank(&self, target: &str) -> bool {
        self.by_recency
            .iter()
            .any(|tab| tab.target == target && tab.blank)
    }

    fn find(&mut self, target: &str) -> Option<&mut Tab> {
        self.by_recency.iter_mut().find(|tab| tab.target == target)
    }

    /// Makes a tab the current one. Ignores targets that are not tabs (frames, workers).
    pub(crate) fn touched(&mut self, target: &str) {
        if let Some(at) = self.by_recency.iter().position(|tab| tab.target == target) {
            self.by_recency[at..].rotate_left(1);
        }
    }

    /// Removes a tab. If it was the current one, the most recent remaining tab becomes current.
    pub(crate) fn closed(&mut self, target: &str) {
        self.by_recency.retain(|tab| tab.target != target);
    }

    /// Removes all tabs of a context that is gone.
    pub(crate) fn context_disposed(&mut self, context: &str) {
        self.by_recency
            .retain(|tab| tab.context.as_deref() != Some(context));
    }

    /// Returns the contexts that have tabs.
    pub(crate) fn contexts(&self) -> Vec<String> {
        let contexts: BTreeSet<&String> = self
            .by_recency
            .iter()
            .filter_map(|tab| tab.context.as_ref())
            .collect();
        contexts.into_iter().cloned().collect()
    }

    /// Returns the target ids of all tabs.
    pub(crate) fn all(&self) -> impl Iterator<Item = &str> {
        self.by_recency.iter().map(|tab| tab.target.as_str())
    }

    /// Returns the target ids of all tabs in the order in which they were opened.
    pub(crate) fn in_order(&self) -> Vec<String> {
        let mut tabs: Vec<&Tab> = self.by_recency.iter().collect();
        tabs.sort_by_key(|tab| tab.number);
        tabs.into_iter().map(|tab| tab.target.clone()).collect()
    }

    /// Returns the target id of the current tab. A crashed tab is current only if all tabs have
    /// crashed.
    pub(crate) fn current(&self, has_crashed: impl Fn(&str) -> bool) -> Option<&str> {
        let targets = || self.by_recency.iter().rev().map(|tab| tab.target.as_str());
        targets()
            .find(|target| !has_crashed(target))
            .or_else(|| targets().next())
    }

    /// Returns the target id of the current tab of the default context.
    pub(crate) fn current_shared(&self, has_crashed: impl Fn(&str) -> bool) -> Option<&str> {
        let shared = || {
            let tabs = self.by_recency.iter().rev();
            tabs.filter(|tab| tab.context == self.default_context)
                .map(|tab| tab.target.as_str())
        };
        shared()
            .find(|target| !has_crashed(target))
            .or_else(|| shared().next())
    }

    /// Returns true if the default context has a tab that has not crashed.
    pub(crate) fn default_context_has_one(&self, has_crashed: impl Fn(&str) -> bool) -> bool {
        self.by_recency
            .iter()
            .any(|tab| tab.context == self.default_context && !has_crashed(&tab.target))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn none(_: &str) -> bool {
        false
    }

    fn three() -> TabList {
        let mut tabs = TabList::default();
        tabs.opened("A", Some("default"));
        tabs.opened("B", Some("default"));
        tabs.opened("C", Some("other"));
        tabs
    }

    #[test]
    fn last_opened_tab_is_current() {
        assert_eq!(three().current(none), Some("C"));
    }

    #[test]
    fn touched_tab_becomes_current() {
        let mut tabs = three();
        tabs.touched("A");
        assert_eq!(tabs.current(none), Some("A"));
    }

    #[test]
    fn closing_the_current_tab_falls_back_to_the_most_recent() {
        let mut tabs = three();
        tabs.touched("A");
        tabs.closed("A");
        assert_eq!(tabs.current(none), Some("C"));
        tabs.closed("C");
        assert_eq!(tabs.current(none), Some("B"));
    }

    #[test]
    fn closing_another_tab_changes_nothing() {
        let mut tabs = three();
        tabs.closed("B");
        assert_eq!(tabs.current(none), Some("C"));
    }

    #[test]
    fn current_shared_tab_is_in_the_default_context() {
        let mut tabs = three();
        assert_eq!(tabs.current_shared(none), Some("B"));
        tabs.touched("A");
        tabs.touched("C");
        assert_eq!(tabs.current_shared(none), Some("A"));
        assert_eq!(tabs.current_shared(|target| target == "A"), Some("B"));
    }

    #[test]
    fn tabs_of_a_disposed_context_are_closed() {
        let mut tabs = three();
        tabs.context_disposed("other");
        assert_eq!(tabs.current(none), Some("B"));
    }

    #[test]
    fn tabs_keep_their_opening_order() {
        let mut tabs = three();
        tabs.touched("A");
        tabs.opened("D", Some("default"));
        tabs.closed("B");
        assert_eq!(tabs.in_order(), ["A", "C", "D"]);
    }

    #[test]
    fn touching_other_targets_changes_nothing() {
        let mut tabs = three();
        tabs.touched("frame");
        assert_eq!(tabs.current(none), Some("C"));
    }

    #[test]
    fn tabs_of_other_contexts_do_not_count_for_the_default_one() {
        let mut tabs = three();
        tabs.closed("A");
        assert!(tabs.default_context_has_one(none));
        tabs.closed("B");
        assert!(!tabs.default_context_has_one(none));
        assert_eq!(tabs.current(none), Some("C"));
    }

    #[test]
    fn tab_that_is_announced_twice_exists_once() {
        let mut tabs = three();
        tabs.opened("A", Some("default"));
        tabs.closed("A");
        assert_eq!(tabs.current(none), Some("C"));
    }

    #[test]
    fn crashed_tab_is_current_only_if_all_have_crashed() {
        let tabs = three();
        assert_eq!(tabs.current(|target| target == "C"), Some("B"));
        assert_eq!(tabs.current(|_| true), Some("C"));
        assert!(!tabs.default_context_has_one(|target| target != "C"));
    }
}
