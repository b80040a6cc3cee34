//! What the broker does about dialogs, as the table of `dialogs` decides.

use super::client::ClientId;
use super::dialogs::{Deferred, Effects};
use super::routes::EventRoute;
use super::{Broker, State};

/// What dismisses a dialog: a method and its params.
pub(super) const DISMISS: (&str, &str) = ("Page.handleJavaScriptDialog", r#"{"accept":false}"#);

impl Broker {
    /// Dismisses the dialog of a page, if one is open.
    pub(crate) fn dismiss_dialog(&self, page: &str) {
        let session = self.lock().dialogs.answerable_on(page);
        if let Some(session) = session {
            self.send_unanswered(DISMISS.0, DISMISS.1, Some(&session));
        }
    }

    /// Dismisses dialogs that nobody is left to answer, and does what had to wait for the end of
    /// one.
    pub(super) fn apply_dialog_effects(&self, first: Option<Deferred>, effects: Effects) {
        for session in &effects.dismiss_on {
            self.send_unanswered(DISMISS.0, DISMISS.1, Some(session));
        }
        for due in first.into_iter().chain(effects.due) {
            match due {
                Deferred::Detach(detach) => self.detach(&detach),
                // Whoever sent it is told when the pipe is closed.
                Deferred::Frame(frame) => drop(self.writer.push(frame)),
            }
        }
    }
}

impl State {
    /// A client has left, or some of its sessions have.
    pub(super) fn dialogs_left_by(&mut self, client: ClientId) -> Effects {
        let State {
            routes, dialogs, ..
        } = self;
        dialogs.left_by(client, |session| routes.has_left(session))
    }

    /// Whether the client of an event about a dialog is to hear of it, and what need not wait any
    /// longer.
    pub(super) fn route_dialog_event(
        &mut self,
        method: &str,
        route: &EventRoute,
    ) -> (bool, Vec<Deferred>) {
        let Some(page) = &route.page else {
            return (true, Vec::new());
        };
        let State {
            routes, dialogs, ..
        } = self;
        if method == "Page.javascriptDialogOpening" {
            (
                dialogs.opens(page, &route.session, route.client, || {
                    routes.driver_of(page)
                }),
                Vec::new(),
            )
        } else {
            dialogs.closes(page, &route.session, route.client)
        }
    }
}
