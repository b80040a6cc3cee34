//! Which tab is the current one: the one last opened, activated or navigated by anyone. Chromium
//! does not say, so it is kept from what is seen passing. Pure; knows no protocol.

use std::collections::BTreeSet;

/// The open tabs, the current one last.
#[derive(Debug, Default)]
pub(crate) struct TabList {
    /// Few: a browser's open tabs.
    by_recency: Vec<Tab>,
    /// The context of the first tab that there ever was, which Chromium opened by itself.
    default_context: Option<String>,
    /// How many there ever were.
    opened: u64,
}

#[derive(Debug)]
struct Tab {
    target: String,
    context: Option<String>,
    /// It was the how-manieth to be opened.
    number: u64,
    /// Our own session on it.
    session: Option<String>,
    /// It has no document yet: not even the empty one has been committed.
    blank: bool,
}

impl TabList {
    /// A tab was opened, and is the current one from now on.
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
            number: self.opened,
            session: None,
            blank: false,
        });
    }

    /// Our own session on a tab is there.
    pub(crate) fn attached(&mut self, target: &str, session: String) {
        if let Some(tab) = self.find(target) {
            tab.session = Some(session);
        }
    }

    /// Our own session on a tab, if it is there.
    pub(crate) fn session_of(&self, target: &str) -> Option<&str> {
        self.by_recency
            .iter()
            .find(|tab| tab.target == target)?
            .session
            .as_deref()
    }

    /// The browser context of a tab.
    pub(crate) fn context_of(&self, target: &str) -> Option<&str> {
        self.by_recency
            .iter()
            .find(|tab| tab.target == target)?
            .context
            .as_deref()
    }

    /// Whether a context is the one that every client finds when it comes.
    pub(crate) fn is_default(&self, context: &str) -> bool {
        self.default_context.as_deref() == Some(context)
    }

    /// A tab shows this address.
    pub(crate) fn shows(&mut self, target: &str, url: &str) {
        if let Some(tab) = self.find(target) {
            tab.blank = url.is_empty();
        }
    }

    /// Whether a tab is there and has no document yet.
    pub(crate) fn is_blank(&self, target: &str) -> bool {
        self.by_recency
            .iter()
            .any(|tab| tab.target == target && tab.blank)
    }

    fn find(&mut self, target: &str) -> Option<&mut Tab> {
        self.by_recency.iter_mut().find(|tab| tab.target == target)
    }

    /// A tab was activated or navigated. Targets that are no tabs (frames, workers) are ignored.
    pub(crate) fn touched(&mut self, target: &str) {
        if let Some(at) = self.by_recency.iter().position(|tab| tab.target == target) {
            self.by_recency[at..].rotate_left(1);
        }
    }

    /// A tab was closed; when it was the current one, the most recent other one is it now.
    pub(crate) fn closed(&mut self, target: &str) {
        self.by_recency.retain(|tab| tab.target != target);
    }

    /// A context is gone, and all its tabs with it.
    pub(crate) fn context_disposed(&mut self, context: &str) {
        self.by_recency
            .retain(|tab| tab.context.as_deref() != Some(context));
    }

    /// The contexts that have tabs.
    pub(crate) fn contexts(&self) -> Vec<String> {
        let contexts: BTreeSet<&String> = self
            .by_recency
            .iter()
            .filter_map(|tab| tab.context.as_ref())
            .collect();
        contexts.into_iter().cloned().collect()
    }

    /// The target ids of all tabs.
    pub(crate) fn all(&self) -> impl Iterator<Item = &str> {
        self.by_recency.iter().map(|tab| tab.target.as_str())
    }

    /// The target ids of all tabs, in the order in which they were opened.
    pub(crate) fn in_order(&self) -> Vec<String> {
        let mut tabs: Vec<&Tab> = self.by_recency.iter().collect();
        tabs.sort_by_key(|tab| tab.number);
        tabs.into_iter().map(|tab| tab.target.clone()).collect()
    }

    /// The target id of the current tab: one that has crashed is it only when all have.
    pub(crate) fn current(&self, has_crashed: impl Fn(&str) -> bool) -> Option<&str> {
        let targets = || self.by_recency.iter().rev().map(|tab| tab.target.as_str());
        targets()
            .find(|target| !has_crashed(target))
            .or_else(|| targets().next())
    }

    /// Whether a tab that works is left in the context that every client finds when it comes.
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
    fn the_tab_last_opened_is_the_current_one() {
        assert_eq!(three().current(none), Some("C"));
    }

    #[test]
    fn a_touched_tab_becomes_the_current_one() {
        let mut tabs = three();
        tabs.touched("A");
        assert_eq!(tabs.current(none), Some("A"));
    }

    #[test]
    fn closing_the_current_tab_falls_back_to_the_most_recent_other_one() {
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
    fn a_disposed_contexts_tabs_are_closed() {
        let mut tabs = three();
        tabs.context_disposed("other");
        assert_eq!(tabs.current(none), Some("B"));
    }

    #[test]
    fn tabs_stay_in_the_order_of_their_opening_whichever_is_used() {
        let mut tabs = three();
        tabs.touched("A");
        tabs.opened("D", Some("default"));
        tabs.closed("B");
        assert_eq!(tabs.in_order(), ["A", "C", "D"]);
    }

    #[test]
    fn touching_something_that_is_no_tab_changes_nothing() {
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
    fn a_tab_that_is_reported_twice_is_one_tab() {
        let mut tabs = three();
        tabs.opened("A", Some("default"));
        tabs.closed("A");
        assert_eq!(tabs.current(none), Some("C"));
    }

    #[test]
    fn a_crashed_tab_is_the_current_one_only_when_all_have_crashed() {
        let tabs = three();
        assert_eq!(tabs.current(|target| target == "C"), Some("B"));
        assert_eq!(tabs.current(|_| true), Some("C"));
        assert!(!tabs.default_context_has_one(|target| target != "C"));
    }
}
