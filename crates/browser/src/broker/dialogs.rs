//! Decides which client receives a page's dialog (`alert`, `confirm`, `prompt`, `beforeunload`).
//!
//! Chromium announces a dialog to every client that listens to the page, and the first answer
//! counts for all. A Playwright client that only observes answers at once, with a dismissal. So
//! only the client that last drove the page receives the dialog, and the broker dismisses it when
//! that client goes.
//!
//! A client that stops listening answers for all too, because Chromium treats that as a dismissal.
//! So anything that would make an observer stop listening is deferred until the dialog is closed.
//!
//! This module contains only tables, which the broker's lock protects.

use std::collections::HashMap;
use std::sync::Arc;

use super::page_settings::EndedSettings;
use super::send_queue::ClientId;

/// The maximum number of characters that are kept of a dialog's message.
const MAX_MESSAGE_CHARS: usize = 200;

/// The open dialogs, by the target of their page. A page shows one dialog at a time.
#[derive(Debug, Default)]
pub(crate) struct Dialogs {
    open: HashMap<Arc<str>, Dialog>,
}

#[derive(Debug)]
struct Dialog {
    /// The client that receives the dialog and answers it.
    responder: ClientId,
    /// The sessions on which the browser has announced the dialog, but not its end.
    announced: Vec<(Arc<str>, ClientId)>,
    deferred: Vec<Deferred>,
    /// A dismissal was sent.
    is_dismissed: bool,
    /// The kind and the message, once they are known.
    text: Option<OpenDialog>,
}

/// A dialog that waits for an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenDialog {
    /// `alert`, `confirm`, `prompt` or `beforeunload`.
    pub kind: String,
    /// The beginning of the page's message.
    pub message: String,
}

/// An action that waits for the end of a dialog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Deferred {
    /// The detach of a client that has gone.
    Detach(Detach),
    /// A frame for the browser.
    Frame(Vec<u8>),
}

/// The pending detach of a client that has gone but whose root session still exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Detach {
    pub(crate) client: ClientId,
    pub(crate) root: Arc<str>,
    /// The settings of pages that are lost.
    pub(crate) settings: EndedSettings,
}

/// The effects of a change, for the broker to apply.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Effects {
    /// One session for each dialog without a client to answer it. The dialog can be dismissed on
    /// that session.
    pub(crate) dismiss_on: Vec<Arc<str>>,
    /// The deferred actions that are now due.
    pub(crate) due: Vec<Deferred>,
}

impl Dialogs {
    /// Records that the browser announces a dialog of `page` on a session of `client`, which it
    /// does once for each session that listens. Calls `driver` once per dialog. Returns true if the
    /// client receives the event.
    pub(crate) fn opens(
        &mut self,
        page: &Arc<str>,
        session: &Arc<str>,
        client: ClientId,
        driver: impl FnOnce() -> Option<ClientId>,
    ) -> bool {
        let known = self
            .open
            .get(page)
            .is_some_and(|dialog| !dialog.has_announced(session));
        if !known {
            // A second dialog opens only after the first is closed, even if its end was not seen.
            let responder = driver().unwrap_or(client);
            let deferred = self
                .open
                .remove(page)
                .map(|earlier| earlier.deferred)
                .unwrap_or_default();
            self.open.insert(
                Arc::clone(page),
                Dialog {
                    responder,
                    announced: Vec::new(),
                    deferred,
                    is_dismissed: false,
                    text: None,
                },
            );
        }
        self.open.get_mut(page).is_some_and(|dialog| {
            dialog.announced.push((Arc::clone(session), client));
            dialog.responder == client
        })
    }

    /// Records the text of the open dialog of `page`.
    pub(crate) fn describe(&mut self, page: &str, kind: &str, message: &str) {
        if let Some(dialog) = self.open.get_mut(page) {
            dialog.text.get_or_insert_with(|| OpenDialog {
                kind: kind.to_owned(),
                message: message.chars().take(MAX_MESSAGE_CHARS).collect(),
            });
        }
    }

    /// Returns the dialogs that wait for an answer.
    pub(crate) fn waiting(&self) -> Vec<OpenDialog> {
        let waiting = self.open.values().filter(|dialog| !dialog.is_dismissed);
        waiting.filter_map(|dialog| dialog.text.clone()).collect()
    }

    /// Records that the browser announces the end of a dialog. Returns true if the client receives
    /// the event, and the deferred actions that are now due.
    pub(crate) fn closes(
        &mut self,
        page: &str,
        session: &str,
        client: ClientId,
    ) -> (bool, Vec<Deferred>) {
        let Some(dialog) = self.open.get_mut(page) else {
            return (true, Vec::new());
        };
        let is_responder = dialog.responder == client;
        let waited = std::mem::take(&mut dialog.deferred);
        dialog
            .announced
            .retain(|(announced, _)| &**announced != session);
        if dialog.announced.is_empty() {
            self.open.remove(page);
        }
        (is_responder, self.due(waited))
    }

    /// Defers a detach if the client observes a dialog: if it listens to the page, even if the
    /// browser has not announced the dialog to it yet. Call this before
    /// [`left_by`](Dialogs::left_by).
    pub(crate) fn defer_detach(
        &mut self,
        detach: &Detach,
        listens_to: impl Fn(&str) -> bool,
    ) -> bool {
        let mut is_deferred = false;
        for (page, dialog) in &mut self.open {
            if dialog.has_observer(detach.client, |_| true, || listens_to(page)) {
                dialog.deferred.push(Deferred::Detach(detach.clone()));
                is_deferred = true;
            }
        }
        is_deferred
    }

    /// Defers a frame that would end some sessions of a client, or their listening, if the client
    /// observes a dialog with one of them. Otherwise returns the frame. `listens_to` returns true
    /// for the pages that these sessions listen to.
    pub(crate) fn defer_frame(
        &mut self,
        client: ClientId,
        ends: impl Fn(&str) -> bool,
        listens_to: impl Fn(&str) -> bool,
        frame: Vec<u8>,
    ) -> Option<Vec<u8>> {
        let observed =
            |page: &str, dialog: &Dialog| dialog.has_observer(client, &ends, || listens_to(page));
        match self
            .open
            .iter_mut()
            .find(|(page, dialog)| observed(page, dialog))
        {
            Some((_, dialog)) => {
                dialog.deferred.push(Deferred::Frame(frame));
                None
            }
            None => Some(frame),
        }
    }

    /// Returns a session on which the dialog of a page can be answered, if one is open.
    pub(crate) fn answerable_on(&self, page: &str) -> Option<Arc<str>> {
        let dialog = self.open.get(page)?;
        let responder = dialog
            .announced
            .iter()
            .find(|(_, client)| *client == dialog.responder);
        responder
            .or(dialog.announced.first())
            .map(|(session, _)| Arc::clone(session))
    }

    /// Returns a session for each dialog that this client received, and marks those dialogs as
    /// dismissed, because the client is leaving.
    pub(crate) fn dismiss_of(&mut self, client: ClientId) -> Vec<Arc<str>> {
        let responder = self
            .open
            .values_mut()
            .filter(|dialog| dialog.responder == client);
        let dismiss = |dialog: &mut Dialog| {
            let own = dialog
                .announced
                .iter()
                .find(|(_, heard)| *heard == client)
                .map(|(session, _)| Arc::clone(session));
            dialog.is_dismissed |= own.is_some();
            own
        };
        responder.filter_map(dismiss).collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Updates the dialogs after a client or one of its sessions has gone. If no other client
    /// listens, the browser dismisses the dialog itself.
    pub(crate) fn left_by(&mut self, client: ClientId, has_left: impl Fn(&str) -> bool) -> Effects {
        let (mut dismiss_on, mut waited) = (Vec::new(), Vec::new());
        self.open.retain(|_, dialog| {
            dialog.announced.retain(|(session, _)| !has_left(session));
            if dialog.responder == client
                && !dialog.is_dismissed
                && dialog
                    .announced
                    .iter()
                    .all(|(_, announced)| *announced != client)
            {
                dismiss_on.extend(
                    dialog
                        .announced
                        .first()
                        .map(|(session, _)| Arc::clone(session)),
                );
            }
            if dialog.announced.is_empty() {
                waited.append(&mut dialog.deferred);
            }
            // The browser still has to announce the end to the other sessions.
            !dialog.announced.is_empty()
        });
        Effects {
            dismiss_on,
            due: self.due(waited),
        }
    }

    /// Filters `waited` down to the actions that wait for no other dialog.
    fn due(&self, waited: Vec<Deferred>) -> Vec<Deferred> {
        let waits_still = |deferred: &Deferred| {
            self.open
                .values()
                .any(|dialog| dialog.deferred.contains(deferred))
        };
        waited
            .into_iter()
            .filter(|deferred| !waits_still(deferred))
            .collect()
    }
}

impl Dialog {
    fn has_announced(&self, session: &str) -> bool {
        self.announced
            .iter()
            .any(|(announced, _)| &**announced == session)
    }

    /// Returns true if another client answers the dialog, and this client has received it on one of
    /// these sessions or is about to.
    fn has_observer(
        &self,
        client: ClientId,
        on: impl Fn(&str) -> bool,
        listens: impl Fn() -> bool,
    ) -> bool {
        let has_received = || {
            self.announced
                .iter()
                .any(|(session, heard)| *heard == client && on(session))
        };
        self.responder != client && (has_received() || listens())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRIVER: ClientId = ClientId(1);
    const IDLER: ClientId = ClientId(2);

    fn names() -> (Arc<str>, Arc<str>, Arc<str>) {
        ("page".into(), "idler's".into(), "driver's".into())
    }

    fn two() -> (Dialogs, Arc<str>, Arc<str>, Arc<str>) {
        let (mut dialogs, (page, idlers, drivers)) = (Dialogs::default(), names());
        assert!(!dialogs.opens(&page, &idlers, IDLER, || Some(DRIVER)));
        assert!(dialogs.opens(&page, &drivers, DRIVER, || unreachable!("called once")));
        (dialogs, page, idlers, drivers)
    }

    fn detach(client: ClientId) -> Detach {
        Detach {
            client,
            root: "root".into(),
            settings: EndedSettings::default(),
        }
    }

    #[test]
    fn only_the_driver_receives_a_dialog_and_its_end() {
        let (mut dialogs, page, idlers, drivers) = two();
        assert_eq!(dialogs.closes(&page, &idlers, IDLER), (false, vec![]));
        assert_eq!(dialogs.closes(&page, &drivers, DRIVER), (true, vec![]));
        assert!(dialogs.open.is_empty());
    }

    #[test]
    fn dialog_waits_until_it_is_dismissed_or_closed() {
        let (mut dialogs, page, idlers, drivers) = two();
        assert_eq!(dialogs.waiting(), []);
        dialogs.describe(&page, "alert", &"m".repeat(1000));
        dialogs.describe(&page, "confirm", "announced on another session");
        let waiting = OpenDialog {
            kind: "alert".to_owned(),
            message: "m".repeat(MAX_MESSAGE_CHARS),
        };
        assert_eq!(dialogs.waiting(), std::slice::from_ref(&waiting));
        dialogs.closes(&page, &idlers, IDLER);
        assert_eq!(dialogs.waiting(), [waiting]);
        dialogs.closes(&page, &drivers, DRIVER);
        assert_eq!(dialogs.waiting(), []);

        let (mut dialogs, page, ..) = two();
        dialogs.describe(&page, "alert", "m");
        dialogs.dismiss_of(DRIVER);
        assert_eq!(dialogs.waiting(), []);
    }

    #[test]
    fn first_listener_receives_a_dialog_without_a_driver() {
        let (mut dialogs, (page, idlers, drivers)) = (Dialogs::default(), names());
        assert!(dialogs.opens(&page, &idlers, IDLER, || None));
        assert!(!dialogs.opens(&page, &drivers, DRIVER, || None));
    }

    #[test]
    fn second_dialog_is_routed_again_even_if_the_first_end_was_missed() {
        let (mut dialogs, page, idlers, drivers) = two();
        assert!(dialogs.opens(&page, &idlers, IDLER, || Some(IDLER)));
        assert!(!dialogs.opens(&page, &drivers, DRIVER, || unreachable!("called once")));
    }

    #[test]
    fn dialog_of_a_gone_client_is_dismissed_on_another_session() {
        let (mut dialogs, page, idlers, _) = two();
        assert!(
            !dialogs.defer_detach(&detach(DRIVER), |_| true),
            "a client that received the dialog is not an observer"
        );
        let left = dialogs.left_by(DRIVER, |session| session == "driver's");
        assert_eq!(
            left,
            Effects {
                dismiss_on: vec![Arc::clone(&idlers)],
                due: vec![]
            }
        );
        assert!(
            !dialogs.closes(&page, &idlers, IDLER).0,
            "an observer does not receive the end of the dialog"
        );
        assert!(dialogs.open.is_empty());
    }

    #[test]
    fn detach_of_an_observer_waits_for_the_dialog() {
        let (mut dialogs, page, _, drivers) = two();
        assert!(dialogs.defer_detach(&detach(IDLER), |_| true));
        assert_eq!(
            dialogs.left_by(IDLER, |session| session == "idler's"),
            Effects::default()
        );
        let due = vec![Deferred::Detach(detach(IDLER))];
        assert_eq!(dialogs.closes(&page, &drivers, DRIVER), (true, due));
    }

    #[test]
    fn listener_observes_before_the_dialog_is_announced_to_it() {
        let (mut dialogs, (page, _, drivers)) = (Dialogs::default(), names());
        assert!(dialogs.opens(&page, &drivers, DRIVER, || Some(DRIVER)));
        assert!(!dialogs.defer_detach(&detach(IDLER), |listened_to| listened_to == "another"));
        assert!(dialogs.defer_detach(&detach(IDLER), |listened_to| listened_to == &*page));
        let due = vec![Deferred::Detach(detach(IDLER))];
        assert_eq!(dialogs.closes(&page, &drivers, DRIVER), (true, due));
    }

    #[test]
    fn detach_waits_for_the_last_observed_dialog() {
        let (mut dialogs, page, _, drivers) = two();
        let other: Arc<str> = "other page".into();
        dialogs.opens(&other, &"idler's too".into(), IDLER, || Some(DRIVER));
        dialogs.opens(&other, &"driver's too".into(), DRIVER, || None);
        assert!(dialogs.defer_detach(&detach(IDLER), |_| true));
        dialogs.left_by(IDLER, |session| session.starts_with("idler's"));
        assert_eq!(dialogs.closes(&page, &drivers, DRIVER), (true, vec![]));
        let due = vec![Deferred::Detach(detach(IDLER))];
        assert_eq!(dialogs.closes(&other, "driver's too", DRIVER), (true, due));
    }

    #[test]
    fn nothing_waits_after_all_clients_have_left() {
        let (mut dialogs, _, _, _) = two();
        assert!(dialogs.defer_detach(&detach(IDLER), |_| true));
        dialogs.left_by(IDLER, |session| session == "idler's");
        let left = dialogs.left_by(DRIVER, |session| session == "driver's");
        assert_eq!(
            left,
            Effects {
                dismiss_on: vec![],
                due: vec![Deferred::Detach(detach(IDLER))]
            }
        );
        assert!(dialogs.is_empty());
    }

    #[test]
    fn frame_waits_only_if_it_ends_listening_to_a_dialog() {
        let (mut dialogs, page, idlers, _) = two();
        let frame = || vec![1];
        assert_eq!(
            dialogs.defer_frame(DRIVER, |_| true, |_| true, frame()),
            Some(frame())
        );
        assert_eq!(
            dialogs.defer_frame(IDLER, |on| on == "another", |_| false, frame()),
            Some(frame())
        );
        assert_eq!(
            dialogs.defer_frame(IDLER, |on| on == "idler's", |_| false, frame()),
            None
        );
        assert_eq!(
            dialogs.defer_frame(IDLER, |_| false, |page| page == "page", frame()),
            None
        );
        assert_eq!(
            dialogs.closes(&page, &idlers, IDLER),
            (
                false,
                vec![Deferred::Frame(frame()), Deferred::Frame(frame())]
            )
        );
    }

    #[test]
    fn dialog_without_other_listeners_is_left_to_the_browser() {
        let (mut dialogs, (page, _, drivers)) = (Dialogs::default(), names());
        assert!(dialogs.opens(&page, &drivers, DRIVER, || Some(DRIVER)));
        assert_eq!(
            dialogs.left_by(DRIVER, |session| session == "driver's"),
            Effects::default()
        );
        assert!(dialogs.open.is_empty());
    }
}
