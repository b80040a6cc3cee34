//! The settings of pages that several sessions share.

use std::sync::Arc;

use super::Routes;
use crate::broker::page_settings::{
    Change, EndedSettings, PageSettings, RestoreCommand, Setting, SettingCall, SettingDecision,
};
use crate::broker::send_queue::ClientId;

/// The settings that the end of any session on a page resets.
const RESET_BY_ALL: [Setting; 4] = [
    Setting::Media,
    Setting::Touch,
    Setting::Focus,
    Setting::Network,
];

impl Routes {
    /// Applies a call that changes a setting of a session's page.
    pub(crate) fn change_setting(&mut self, on: &str, call: SettingCall<'_>) -> SettingDecision {
        let mut decision = SettingDecision::default();
        self.setting_changes += 1;
        let order = self.setting_changes;
        let Some(session) = self.sessions.get_mut(on) else {
            return decision;
        };
        let target = Arc::clone(&session.target);
        let change = session.settings.apply(call, order);
        match change {
            Change::Ignored => decision.is_ignored = true,
            Change::Made | Change::Passed => {}
            Change::Withdrawn => decision.restored = self.restore(&target, call.setting, Some(on)),
            Change::Reset => {
                for settings in self.settings_on(&target) {
                    settings.remove(call.setting);
                }
            }
        }
        if call.setting == Setting::Media
            && change != Change::Passed
            && let Some(session) = self.sessions.get(on)
        {
            decision.params = Some(session.settings.media_params(self.media_type_of(&target)));
        }
        decision
    }

    /// Removes a value that the browser rejected.
    pub(crate) fn remove_setting(&mut self, on: &str, setting: Setting) {
        if let Some(session) = self.sessions.get_mut(on) {
            session.settings.remove(setting);
        }
    }

    /// Returns the settings that are lost when the selected sessions end.
    pub(crate) fn ended_settings(&self, ends: impl Fn(ClientId, &str) -> bool) -> EndedSettings {
        let mut ended = EndedSettings::new();
        let ending = self.sessions.iter();
        for (_, session) in ending.filter(|(id, session)| ends(session.client, id)) {
            let has_viewport = session.settings.order_of(Setting::Viewport).is_some();
            *ended.entry(Arc::clone(&session.target)).or_default() |= has_viewport;
        }
        ended
    }

    /// Returns the commands that set the values of the remaining sessions again.
    pub(crate) fn restore_after(&self, ended: &EndedSettings) -> Vec<RestoreCommand> {
        let mut restored = Vec::new();
        for (target, had_viewport) in ended {
            let viewport = had_viewport.then_some(Setting::Viewport);
            for setting in RESET_BY_ALL.into_iter().chain(viewport) {
                restored.extend(self.restore(target, setting, None));
            }
        }
        restored
    }

    /// Returns the commands that set the values of a target's sessions again, except for one.
    fn restore(&self, target: &str, setting: Setting, except: Option<&str>) -> Vec<RestoreCommand> {
        let mut made: Vec<(u64, &Arc<str>, &PageSettings)> = self
            .sessions
            .iter()
            .filter(|(id, session)| &*session.target == target && Some(&***id) != except)
            .filter_map(|(id, session)| {
                let order = session.settings.order_of(setting)?;
                Some((order, id, &session.settings))
            })
            .collect();
        made.sort_unstable_by_key(|(order, ..)| *order);
        if setting == Setting::Media {
            // Each session sets other features.
            let media_type = self.media_type_of(target);
            let restored = made.into_iter().map(|(_, id, settings)| RestoreCommand {
                on: Arc::clone(id),
                method: "Emulation.setEmulatedMedia".into(),
                params: settings.media_params(media_type),
            });
            return restored.collect();
        }
        let Some((_, id, settings)) = made.last() else {
            return Vec::new();
        };
        let command = |method: &'static str, params: &str| RestoreCommand {
            on: Arc::clone(id),
            method: method.into(),
            params: params.to_owned(),
        };
        let params = settings.params_of(setting).unwrap_or("{}");
        match setting {
            Setting::Media => Vec::new(),
            // Chromium ignores the second of two equal calls, even if the value was reset.
            Setting::Viewport => vec![
                command("Emulation.clearDeviceMetricsOverride", "{}"),
                command("Emulation.setDeviceMetricsOverride", params),
            ],
            Setting::Touch => vec![command("Emulation.setTouchEmulationEnabled", params)],
            Setting::Focus => vec![command("Emulation.setFocusEmulationEnabled", params)],
            Setting::Network => vec![command("Network.emulateNetworkConditions", params)],
        }
    }

    /// Returns true if a client has set this setting of a target.
    pub(crate) fn has_setting(&self, target: &str, setting: Setting) -> bool {
        self.sessions.values().any(|session| {
            &*session.target == target && session.settings.order_of(setting).is_some()
        })
    }

    /// Returns the settings of all sessions on a target.
    fn settings_on(&mut self, target: &str) -> impl Iterator<Item = &mut PageSettings> {
        let sessions = self.sessions.values_mut();
        sessions
            .filter(move |session| &*session.target == target)
            .map(|session| &mut session.settings)
    }

    /// Returns the media type that was last chosen for a target.
    fn media_type_of(&self, target: &str) -> &str {
        let sessions = self.sessions.values();
        sessions
            .filter(|session| &*session.target == target)
            .filter_map(|session| {
                let order = session.settings.order_of(Setting::Media)?;
                Some((order, session.settings.media_type()?))
            })
            .max_by_key(|(order, _)| *order)
            .map_or("", |(_, media_type)| media_type)
    }
}
