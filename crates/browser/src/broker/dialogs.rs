//! Who is told of a page's dialog (`alert`, `confirm`, `prompt`, `beforeunload`). Chromium tells
//! every client that listens to the page, and the first one to answer answers for all; a Playwright
//! that only looks on answers at once, with a dismissal. So one client is told, the one that last
//! last_drive the page, and the broker dismisses the dialog when that client goes.
//!
//! A client that stops listening answers for all too: Chromium takes that for a dismissal. So what
//! would make one that only looks on stop is put off until the dialog is over. Tables only, under
//! the broker's lock.

use std::collections::HashMap;
use std::sync::Arc;

use super::client::ClientId;

/// The dialogs that are open, by the target of their page: it shows one at a time.
#[derive(Debug, Default)]
pub(crate) struct Dialogs {
    open: HashMap<Arc<str>, Dialog>,
}

#[derive(Debug)]
struct Dialog {
    /// Who is to answer.
    told: ClientId,
    /// The sessions that the browser announced it to and has not yet announced the end to.
    announced: Vec<(Arc<str>, ClientId)>,
    deferred: Vec<Deferred>,
    /// Its end is on its way.
    is_dismissed: bool,
}

/// What waits for the end of a dialog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Deferred {
    /// The rest of a client's leaving.
    Detach(Detach),
    /// A frame for the browser.
    Frame(Vec<u8>),
}

/// A client has left, and its root session is still there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Detach {
    pub(crate) client: ClientId,
    pub(crate) root: Arc<str>,
}

/// What follows from a change.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Effects {
    /// One session for each dialog that nobody is left to answer, on which it can be dismissed.
    pub(crate) dismiss_on: Vec<Arc<str>>,
    /// What need not wait any longer.
    pub(crate) due: Vec<Deferred>,
}

impl Dialogs {
    /// The browser announces a dialog of `page` on a session of `client`; it does so once for each
    /// session that listens. `driver` is asked once a dialog. Tells whether the client is to hear
    /// of it.
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
            // A second dialog comes only after the first, whether we saw its end or not.
            let told = driver().unwrap_or(client);
            let deferred = self
                .open
                .remove(page)
                .map(|earlier| earlier.deferred)
                .unwrap_or_default();
            self.open.insert(
                Arc::clone(page),
                Dialog {
                    told,
                    announced: Vec::new(),
                    deferred,
                    is_dismissed: false,
                },
            );
        }
        self.open.get_mut(page).is_some_and(|dialog| {
            dialog.announced.push((Arc::clone(session), client));
            dialog.told == client
        })
    }

    /// The browser announces the end of a dialog. Tells whether the client is to hear of it, and
    /// what was put off.
    pub(crate) fn closes(
        &mut self,
        page: &str,
        session: &str,
        client: ClientId,
    ) -> (bool, Vec<Deferred>) {
        let Some(dialog) = self.open.get_mut(page) else {
            return (true, Vec::new());
        };
        let is_told = dialog.told == client;
        let waited = std::mem::take(&mut dialog.deferred);
        dialog
            .announced
            .retain(|(announced, _)| &**announced != session);
        if dialog.announced.is_empty() {
            self.open.remove(page);
        }
        (is_told, self.due(waited))
    }

    /// Puts a detach off if the client looks on at a dialog: if it listens to the page, whether
    /// the browser has come to announce the dialog to it or not. To be asked before
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

    /// Puts a frame off that would end some sessions of a client, or their listening, if it looks
    /// on at a dialog with one of them; otherwise gives it back. `listens_to` tells the pages that
    /// they listen to.
    pub(crate) fn defer_frame(
        &mut self,
        client: ClientId,
        ends: impl Fn(&str) -> bool,
        listens_to: impl Fn(&str) -> bool,
        frame: Vec<u8>,
    ) -> Option<Vec<u8>> {
        let looked_on =
            |page: &str, dialog: &Dialog| dialog.has_observer(client, &ends, || listens_to(page));
        match self
            .open
            .iter_mut()
            .find(|(page, dialog)| looked_on(page, dialog))
        {
            Some((_, dialog)) => {
                dialog.deferred.push(Deferred::Frame(frame));
                None
            }
            None => Some(frame),
        }
    }

    /// A session on which the dialog of a page can be answered, if one is open.
    pub(crate) fn answerable_on(&self, page: &str) -> Option<Arc<str>> {
        let dialog = self.open.get(page)?;
        let told = dialog
            .announced
            .iter()
            .find(|(_, client)| *client == dialog.told);
        told.or(dialog.announced.first())
            .map(|(session, _)| Arc::clone(session))
    }

    /// A session for each dialog that this client was told of and is now dismissed there, since it
    /// leaves.
    pub(crate) fn dismiss_of(&mut self, client: ClientId) -> Vec<Arc<str>> {
        let told = self
            .open
            .values_mut()
            .filter(|dialog| dialog.told == client);
        let dismiss = |dialog: &mut Dialog| {
            let own = dialog
                .announced
                .iter()
                .find(|(_, heard)| *heard == client)
                .map(|(session, _)| Arc::clone(session));
            dialog.is_dismissed |= own.is_some();
            own
        };
        told.filter_map(dismiss).collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// A client is gone, or one of its sessions. A dialog that nobody else listens to is dismissed
    /// by the browser itself.
    pub(crate) fn left_by(&mut self, client: ClientId, has_left: impl Fn(&str) -> bool) -> Effects {
        let (mut dismiss_on, mut waited) = (Vec::new(), Vec::new());
        self.open.retain(|_, dialog| {
            dialog.announced.retain(|(session, _)| !has_left(session));
            if dialog.told == client
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
            // Its end is still to be announced to those who never heard of it.
            !dialog.announced.is_empty()
        });
        Effects {
            dismiss_on,
            due: self.due(waited),
        }
    }

    /// Of what has waited, all that waits for no other dialog.
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

    /// Whether somebody else is to answer, and the client has heard of it on one of these sessions,
    /// or is about to.
    fn has_observer(
        &self,
        client: ClientId,
        on: impl Fn(&str) -> bool,
        listens: impl Fn() -> bool,
    ) -> bool {
        let has_heard = || {
            self.announced
                .iter()
                .any(|(session, heard)| *heard == client && on(session))
        };
        self.told != client && (has_heard() || listens())
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
        assert!(dialogs.opens(&page, &drivers, DRIVER, || unreachable!("asked once")));
        (dialogs, page, idlers, drivers)
    }

    fn detach(client: ClientId) -> Detach {
        Detach {
            client,
            root: "root".into(),
        }
    }

    #[test]
    fn only_the_driver_hears_of_a_dialog_and_of_its_end() {
        let (mut dialogs, page, idlers, drivers) = two();
        assert_eq!(dialogs.closes(&page, &idlers, IDLER), (false, vec![]));
        assert_eq!(dialogs.closes(&page, &drivers, DRIVER), (true, vec![]));
        assert!(dialogs.open.is_empty());
    }

    #[test]
    fn without_a_driver_the_first_to_listen_is_told() {
        let (mut dialogs, (page, idlers, drivers)) = (Dialogs::default(), names());
        assert!(dialogs.opens(&page, &idlers, IDLER, || None));
        assert!(!dialogs.opens(&page, &drivers, DRIVER, || None));
    }

    #[test]
    fn a_second_dialog_is_judged_anew_also_when_the_end_of_the_first_was_not_seen() {
        let (mut dialogs, page, idlers, drivers) = two();
        assert!(dialogs.opens(&page, &idlers, IDLER, || Some(IDLER)));
        assert!(!dialogs.opens(&page, &drivers, DRIVER, || unreachable!("asked once")));
    }

    #[test]
    fn a_dialog_whose_client_has_left_is_dismissed_on_another_session() {
        let (mut dialogs, page, idlers, _) = two();
        assert!(
            !dialogs.defer_detach(&detach(DRIVER), |_| true),
            "it was told"
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
            "it never heard of it"
        );
        assert!(dialogs.open.is_empty());
    }

    #[test]
    fn the_departure_of_one_that_looks_on_waits_for_the_end_of_the_dialog() {
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
    fn one_that_listens_looks_on_before_the_dialog_is_announced_to_it() {
        let (mut dialogs, (page, _, drivers)) = (Dialogs::default(), names());
        assert!(dialogs.opens(&page, &drivers, DRIVER, || Some(DRIVER)));
        assert!(!dialogs.defer_detach(&detach(IDLER), |listened_to| listened_to == "another"));
        assert!(dialogs.defer_detach(&detach(IDLER), |listened_to| listened_to == &*page));
        let due = vec![Deferred::Detach(detach(IDLER))];
        assert_eq!(dialogs.closes(&page, &drivers, DRIVER), (true, due));
    }

    #[test]
    fn a_departure_waits_for_the_last_dialog_that_the_client_looks_on_at() {
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
    fn when_everybody_has_left_nothing_waits() {
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
    fn a_frame_waits_only_if_it_ends_the_listening_to_a_page_with_a_dialog() {
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
    fn a_dialog_that_only_its_client_listened_to_is_left_to_the_browser() {
        let (mut dialogs, (page, _, drivers)) = (Dialogs::default(), names());
        assert!(dialogs.opens(&page, &drivers, DRIVER, || Some(DRIVER)));
        assert_eq!(
            dialogs.left_by(DRIVER, |session| session == "driver's"),
            Effects::default()
        );
        assert!(dialogs.open.is_empty());
    }
}
