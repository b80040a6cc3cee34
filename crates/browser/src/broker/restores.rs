//! Sends settings of pages and permissions again after the browser has reset them.

use std::borrow::Cow;

use super::grants::Grant;
use super::page_settings::{EndedSettings, RestoreCommand, Setting};
use super::{Broker, State};

impl State {
    /// Returns the commands that restore what the end of sessions has reset. These sessions are
    /// already gone from the tables.
    pub(super) fn restore_after(
        &mut self,
        ended: &EndedSettings,
        has_left: impl Fn(&Grant) -> bool,
    ) -> Vec<RestoreCommand> {
        let grants = self.grants.left_by(has_left);
        let mut restored = self.routes.restore_after(ended);
        for (target, had_viewport) in ended {
            restored.extend(self.restore_mobile(target, Setting::Touch));
            if *had_viewport {
                restored.extend(self.restore_mobile(target, Setting::Viewport));
            }
        }
        restored.extend(grants.into_iter().map(|grant| RestoreCommand {
            on: grant.on,
            method: Cow::Owned(grant.method),
            params: grant.params,
        }));
        restored
    }
}

impl Broker {
    /// Sends commands on the sessions of clients, which do not get the replies.
    pub(super) fn send_restored(&self, restored: Vec<RestoreCommand>) {
        for RestoreCommand { on, method, params } in restored {
            self.send_unanswered(&method, &params, &on);
        }
    }
}
