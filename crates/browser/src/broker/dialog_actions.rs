//! Applies the decisions of the `dialogs` table.

use super::dialogs::{Deferred, Effects, OpenDialog};
use super::routes::EventRoute;
use super::send_queue::ClientId;
use super::{Broker, State};

/// The command that dismisses a dialog: method and params.
pub(super) const DISMISS: (&str, &str) = ("Page.handleJavaScriptDialog", r#"{"accept":false}"#);

impl Broker {
    /// Returns the dialogs that wait for an answer.
    pub(crate) fn open_dialogs(&self) -> Vec<OpenDialog> {
        self.lock().dialogs.waiting()
    }

    /// Dismisses the dialog of a page, if one is open.
    pub(crate) fn dismiss_dialog(&self, page: &str) {
        let session = self.lock().dialogs.answerable_on(page);
        if let Some(session) = session {
            self.send_without_reply(DISMISS.0, DISMISS.1, Some(&session));
        }
    }

    /// Dismisses dialogs that have no client left to answer them, and performs actions that waited
    /// for the end of a dialog.
    pub(super) fn apply_dialog_effects(&self, first: Option<Deferred>, effects: Effects) {
        for session in &effects.dismiss_on {
            self.send_without_reply(DISMISS.0, DISMISS.1, Some(session));
        }
        for due in first.into_iter().chain(effects.due) {
            match due {
                Deferred::Detach(detach) => self.detach(&detach),
                // If the pipe is closed, the client that sent the frame is closed too.
                Deferred::Frame(frame) => drop(self.writer.push(frame)),
            }
        }
    }
}

impl State {
    /// Updates the dialogs after a client, or some of its sessions, have gone.
    pub(super) fn dialogs_left_by(&mut self, client: ClientId) -> Effects {
        let State {
            routes, dialogs, ..
        } = self;
        dialogs.left_by(client, |session| routes.has_left(session))
    }

    /// Returns true if the client receives this dialog event, and the deferred actions that are now
    /// due.
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
