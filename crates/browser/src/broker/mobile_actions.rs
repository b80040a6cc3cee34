//! Emulates a mobile device in the tabs of the default context, on the broker's sessions.
//!
//! The emulation of a client would end with the client. This one lasts as long as the browser. A
//! client that sets its own viewport, touch or user agent replaces it until it leaves.

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::commands::{BrowserError, COMMAND_TIMEOUT, message_of};
use super::mobile::MobileDevice;
use super::page_settings::{RestoreCommand, Setting};
use super::pending::Pending;
use super::{Broker, State};

impl Broker {
    /// Emulates a mobile device in all tabs of the default context until the browser ends. Returns
    /// when the open tabs emulate it.
    pub(crate) async fn emulate_mobile(&self) -> Result<(), BrowserError> {
        let device = Arc::new(MobileDevice::of(&self.info().await?.user_agent));
        let sessions = {
            let mut state = self.lock();
            state.mobile = Some(Arc::clone(&device));
            state.tabs.shared_sessions()
        };
        let mut sent = Vec::new();
        for session in &sessions {
            for (method, params) in device.calls() {
                let (sender, reply) = oneshot::channel();
                let pending = Pending::Command(sender);
                let id = self.send_command(method, params, Some(session), pending)?;
                sent.push((id, method, reply));
            }
        }
        let ids: Vec<i32> = sent.iter().map(|(id, ..)| *id).collect();
        let replies = async {
            for (_, method, reply) in sent {
                reply
                    .await
                    .map_err(|_| BrowserError::Gone)?
                    .map_err(|error| BrowserError::Rejected {
                        method: method.to_owned(),
                        message: message_of(&error),
                    })?;
            }
            Ok(())
        };
        timeout(COMMAND_TIMEOUT, replies).await.unwrap_or_else(|_| {
            for id in ids {
                self.give_up(id);
            }
            Err(BrowserError::TimedOut {
                method: "emulating a mobile device".to_owned(),
                timeout: COMMAND_TIMEOUT,
            })
        })
    }

    /// Emulates the browser's mobile device in a new tab, if there is one.
    pub(super) fn emulate_mobile_on(&self, session: &str) {
        let device = self.lock().mobile.clone();
        for (method, params) in device.iter().flat_map(|device| device.calls()) {
            self.send_unanswered(method, params, session);
        }
    }
}

impl State {
    /// Returns the commands that emulate a setting of the mobile device on a tab again, if the
    /// browser emulates one and no client has set the setting.
    pub(super) fn restore_mobile(&self, target: &str, setting: Setting) -> Vec<RestoreCommand> {
        let (Some(device), Some(session)) = (&self.mobile, self.tabs.session_of(target)) else {
            return Vec::new();
        };
        if !self.tabs.is_shared(target) || self.routes.has_setting(target, setting) {
            return Vec::new();
        }
        let calls = device.calls_for(setting).into_iter();
        calls
            .map(|(method, params)| RestoreCommand {
                on: session.into(),
                method: method.into(),
                params: params.to_owned(),
            })
            .collect()
    }
}
