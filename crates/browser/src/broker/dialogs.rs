//! Who is told of a page's dialog (`alert`, `confirm`, `prompt`, `beforeunload`). Chromium tells every client that
//! listens to the page, and the first one to answer answers for all; a Playwright that only looks on answers at
//! once, with a dismissal. So one client is told, the one that last drove the page, and the broker dismisses the
//! dialog when that client goes. Tables only, under the broker's lock.

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
}

impl Dialogs {
    /// The browser announces a dialog of `page` on a session of `client`; it does so once for each session that
    /// listens. `driver` is asked once a dialog. Tells whether the client is to hear of it.
    pub(crate) fn opens(
        &mut self,
        page: &Arc<str>,
        session: &Arc<str>,
        client: ClientId,
        driver: impl FnOnce() -> Option<ClientId>,
    ) -> bool {
        let known = self.open.get(page).is_some_and(|dialog| !dialog.has_announced(session));
        if !known {
            // A second dialog comes only after the first, whether we saw its end or not.
            let told = driver().unwrap_or(client);
            self.open.insert(Arc::clone(page), Dialog { told, announced: Vec::new() });
        }
        self.open.get_mut(page).is_some_and(|dialog| {
            dialog.announced.push((Arc::clone(session), client));
            dialog.told == client
        })
    }

    /// The browser announces the end of a dialog. Tells whether the client is to hear of it.
    pub(crate) fn closes(&mut self, page: &str, session: &str, client: ClientId) -> bool {
        let Some(dialog) = self.open.get_mut(page) else { return true };
        let told = dialog.told == client;
        dialog.announced.retain(|(announced, _)| &**announced != session);
        if dialog.announced.is_empty() {
            self.open.remove(page);
        }
        told
    }

    /// A client is gone, or one of its sessions. Gives back a session for each dialog that nobody is left to answer, on
    /// which it can be dismissed. When there is none the browser dismisses the dialog itself.
    pub(crate) fn left_by(&mut self, client: ClientId, has_left: impl Fn(&str) -> bool) -> Vec<Arc<str>> {
        let mut dismiss_on = Vec::new();
        self.open.retain(|_, dialog| {
            dialog.announced.retain(|(session, _)| !has_left(session));
            if dialog.told != client || dialog.announced.iter().any(|(_, announced)| *announced == client) {
                return !dialog.announced.is_empty();
            }
            dismiss_on.extend(dialog.announced.first().map(|(session, _)| Arc::clone(session)));
            // Its end is still to be announced to those who never heard of it.
            !dialog.announced.is_empty()
        });
        dismiss_on
    }
}

impl Dialog {
    fn has_announced(&self, session: &str) -> bool {
        self.announced.iter().any(|(announced, _)| &**announced == session)
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

    #[test]
    fn only_the_driver_hears_of_a_dialog_and_of_its_end() {
        let (mut dialogs, page, idlers, drivers) = two();
        assert!(!dialogs.closes(&page, &idlers, IDLER));
        assert!(dialogs.closes(&page, &drivers, DRIVER));
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
        assert_eq!(dialogs.left_by(DRIVER, |session| session == "driver's"), vec![Arc::clone(&idlers)]);
        assert!(!dialogs.closes(&page, &idlers, IDLER), "it never heard of it");
        assert!(dialogs.open.is_empty());
    }

    #[test]
    fn a_client_that_was_not_told_may_leave() {
        let (mut dialogs, page, _, drivers) = two();
        assert_eq!(dialogs.left_by(IDLER, |session| session == "idler's"), Vec::<Arc<str>>::new());
        assert!(dialogs.closes(&page, &drivers, DRIVER));
    }

    #[test]
    fn a_dialog_that_only_its_client_listened_to_is_left_to_the_browser() {
        let (mut dialogs, (page, _, drivers)) = (Dialogs::default(), names());
        assert!(dialogs.opens(&page, &drivers, DRIVER, || Some(DRIVER)));
        assert_eq!(dialogs.left_by(DRIVER, |session| session == "driver's"), Vec::<Arc<str>>::new());
        assert!(dialogs.open.is_empty());
    }
}
