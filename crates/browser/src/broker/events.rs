//! Handles events of the browser: forwards them to their clients, and updates the tables for
//! sessions, tabs and crashes.

use std::borrow::Cow;

use serde::Deserialize;

use super::certificate_actions::CERTIFICATE_ERROR;
use super::dialogs::Effects;
use super::failed_loads::LOADING_FAILED;
use super::limits::Progress;
use super::page_settings::RestoreCommand;
use super::pending::OrphanedCall;
use super::routes::{EventRoute, Opened};
use super::{Broker, NO_SESSION_MESSAGE, State};
use crate::cdp::envelope::{self, BrowserMessage};

/// The members that the broker needs. Newer browsers add others.
#[derive(Deserialize)]
struct TargetInfo<'a> {
    #[serde(borrow, rename = "targetId")]
    id: Cow<'a, str>,
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, rename = "browserContextId")]
    context: Option<Cow<'a, str>>,
    #[serde(borrow)]
    subtype: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    url: Cow<'a, str>,
}

#[derive(Deserialize)]
struct DialogOpening<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    message: Cow<'a, str>,
}

#[derive(Deserialize)]
struct AboutTarget<'a> {
    #[serde(borrow, rename = "targetInfo")]
    target: TargetInfo<'a>,
}

#[derive(Deserialize)]
struct Attached<'a> {
    #[serde(borrow, rename = "sessionId")]
    session: Cow<'a, str>,
    #[serde(borrow, rename = "targetInfo")]
    target: TargetInfo<'a>,
}

#[derive(Deserialize)]
struct NamesSession<'a> {
    #[serde(borrow, rename = "sessionId")]
    session: Cow<'a, str>,
}

#[derive(Deserialize)]
struct NamesTarget<'a> {
    #[serde(borrow, rename = "targetId")]
    target: Cow<'a, str>,
}

/// Parses an event's params. Returns `None` if they have an unknown form.
fn read<'a, T: Deserialize<'a>>(message: &BrowserMessage<'a>) -> Option<T> {
    serde_json::from_str(message.params?.get()).ok()
}

/// The effects of a client's event that are applied once the tables are unlocked.
#[derive(Default)]
struct EventEffects {
    orphaned: Vec<OrphanedCall>,
    dialogs: Effects,
    restored: Vec<RestoreCommand>,
}

/// The decision about a client's event.
enum Delivery {
    Forward(EventEffects),
    /// The client does not receive the event.
    Suppress(Effects),
    /// The client does not receive the event about this session, which ends.
    EndSession(String),
}

impl Broker {
    pub(super) fn handle_event(&self, method: &str, message: &BrowserMessage<'_>, frame: &str) {
        let Some(session) = message.session.as_deref() else {
            return self.handle_root_event(method, message);
        };
        let mut state = self.lock();
        // Events of dropped sessions still arrive for a while.
        let Some(route) = state.routes.route_event(session) else {
            return;
        };
        let released = state.release_delayed(method, message, frame, &route);
        let delivery = self.apply_event(&mut state, method, message, &route);
        drop(state);
        let effects = match delivery {
            Delivery::Forward(effects) => effects,
            Delivery::Suppress(effects) => return self.apply_dialog_effects(None, effects),
            Delivery::EndSession(hidden) => return self.end_hidden(&route.session, &hidden),
        };
        self.apply_dialog_effects(None, effects.dialogs);
        self.send_restored(effects.restored);
        // Clients report a failed navigation because of this event, or of the reply to the call.
        let text = if method == LOADING_FAILED {
            self.report_failure(message, frame, &route)
        } else if route.is_root {
            Some(envelope::root_event(method, message.params))
        } else {
            Some(frame.to_owned())
        };
        // Playwright handles messages that arrive together before user code runs again. Between the
        // event about a failure and its error page, that code would start another navigation.
        let texts = released.before.into_iter().chain(text);
        self.send_all(route.client, &route.queue, texts.chain(released.after));
        self.fail(effects.orphaned, NO_SESSION_MESSAGE);
    }

    /// Applies a client's event to the tables and decides whether the client receives it.
    fn apply_event(
        &self,
        state: &mut State,
        method: &str,
        message: &BrowserMessage<'_>,
        route: &EventRoute,
    ) -> Delivery {
        match method {
            "Target.attachedToTarget" => {
                if let Some(attached) = read(message) {
                    return state.apply_attached(route, attached);
                }
            }
            "Target.detachedFromTarget" => {
                if let Some(NamesSession { session }) = read(message) {
                    return state.apply_detached(route, &session);
                }
            }
            "Target.targetCreated" | "Target.targetInfoChanged" => {
                if let Some(AboutTarget { target }) = read(message)
                    && state.is_target_hidden(route, &target)
                {
                    return Delivery::Suppress(Effects::default());
                }
            }
            "Target.targetDestroyed" => {
                if let Some(NamesTarget { target }) = read(message)
                    && !state.routes.is_target_visible(route.client, &target, "")
                {
                    return Delivery::Suppress(Effects::default());
                }
            }
            "Page.javascriptDialogOpening" | "Page.javascriptDialogClosed" => {
                return state.apply_dialog_event(method, message, route);
            }
            // Each of these events comes from a live renderer.
            "Inspector.targetReloadedAfterCrash"
            | "Page.frameNavigated"
            | "Runtime.executionContextCreated" => {
                if let Some(target) = state.routes.target_of(&route.session)
                    && state.routes.unmark_crashed(&target)
                {
                    self.publish_tab(state);
                }
            }
            _ => {}
        }
        Delivery::Forward(EventEffects::default())
    }

    /// Ends a session that its client does not see, and lets a target that waits for its clients
    /// continue.
    fn end_hidden(&self, parent: &str, session: &str) {
        self.send_unanswered("Runtime.runIfWaitingForDebugger", "{}", session);
        let params = serde_json::json!({ "sessionId": session }).to_string();
        self.send_unanswered("Target.detachFromTarget", &params, parent);
    }

    /// Handles an event of the pipe's own root session. That session discovers targets, and the
    /// root sessions of the clients are below it.
    fn handle_root_event(&self, method: &str, message: &BrowserMessage<'_>) {
        match method {
            "Target.targetCreated" => {
                if let Some(AboutTarget { target }) = read(message) {
                    self.target_created(&target);
                }
            }
            "Target.targetInfoChanged" => {
                if let Some(AboutTarget { target }) = read(message) {
                    self.target_changed(&target);
                }
            }
            "Target.targetDestroyed" => {
                if let Some(NamesTarget { target }) = read(message) {
                    self.target_destroyed(&target);
                }
            }
            "Target.targetCrashed" => {
                if let Some(NamesTarget { target }) = read(message) {
                    self.target_crashed(&target);
                }
            }
            CERTIFICATE_ERROR => {
                if let Some(error) = read(message) {
                    self.decide(&error);
                }
            }
            "Browser.downloadWillBegin" => {
                if let Some(download) = read(message) {
                    self.lock().finished_downloads.begin(download);
                }
            }
            "Browser.downloadProgress" => {
                if let Some(progress) = read(message) {
                    self.download_progressed(&progress);
                }
            }
            "Target.attachedToTarget" => {
                if let Some(Attached { session, target }) = read(message)
                    && target.kind == "browser"
                {
                    self.lock().routes.announce_root(&session, &target.id);
                }
            }
            "Target.detachedFromTarget" => {
                if let Some(NamesSession { session }) = read(message) {
                    self.root_detached(&session);
                }
            }
            _ => {}
        }
    }

    fn target_created(&self, target: &TargetInfo<'_>) {
        if target.kind != "page" || target.subtype.is_some() {
            return;
        }
        let mut state = self.lock();
        if self.is_tab_too_many(&state, target.context.as_deref()) {
            state.excess.insert(target.id.clone().into_owned());
            return self.close_excess(&mut state, Some((&target.id, &target.url)));
        }
        state.tabs.opened(&target.id, target.context.as_deref());
        state.tabs.shows(&target.id, &target.url);
        self.publish_tab(&state);
        drop(state);
        self.attach_broker_session(&target.id);
    }

    fn target_changed(&self, target: &TargetInfo<'_>) {
        let mut state = self.lock();
        state.tabs.shows(&target.id, &target.url);
        self.tab_shows.send_replace(());
        self.close_excess(&mut state, Some((&target.id, &target.url)));
    }

    fn target_destroyed(&self, target: &str) {
        let mut state = self.lock();
        state.tabs.closed(target);
        state.excess.remove(target);
        state.routes.unmark_crashed(target);
        state.routes.remove_target(target);
        self.tab_shows.send_replace(());
        self.publish_tab(&state);
    }

    fn target_crashed(&self, target: &str) {
        let mut state = self.lock();
        let orphaned = state.routes.mark_crashed(target);
        self.publish_tab(&state);
        drop(state);
        self.fail(orphaned, "Target crashed");
    }

    fn download_progressed(&self, progress: &Progress) {
        let mut state = self.lock();
        state.finished_downloads.progress(progress);
        if !state.oversized.should_cancel(progress, &self.limits) {
            return;
        }
        let contexts = state.tabs.contexts();
        drop(state);
        tracing::warn!(
            max_bytes = self.limits.max_download_bytes,
            "oversized download cancelled"
        );
        self.cancel_download(&progress.guid, &contexts);
    }

    fn root_detached(&self, root: &str) {
        let client = self.lock().routes.client_of_root(root);
        if let Some((client, is_browser)) = client {
            let reason = if is_browser {
                "the browser has ended this connection"
            } else {
                "the tab was closed"
            };
            self.end_client(client, 1001, reason);
        }
    }
}

impl State {
    /// Adds a session that the browser has attached for a client.
    fn apply_attached(&mut self, route: &EventRoute, attached: Attached<'_>) -> Delivery {
        let Attached { session, target } = attached;
        let context = target.context.as_deref().unwrap_or_default();
        if self
            .routes
            .is_session_hidden(&route.session, &target.id, context)
        {
            return Delivery::EndSession(session.into_owned());
        }
        let opened = Opened {
            target: &target.id,
            kind: &target.kind,
        };
        self.routes.add_session(&route.session, &session, opened);
        Delivery::Forward(EventEffects::default())
    }

    /// Removes a session that has ended, and restores what it had changed.
    fn apply_detached(&mut self, route: &EventRoute, session: &str) -> Delivery {
        if self.routes.has_left(session) {
            // The client did not see it.
            return Delivery::Suppress(Effects::default());
        }
        let below = self.routes.subtree(session);
        let ended = self.routes.ended_settings(|_, id| below.contains(id));
        Delivery::Forward(EventEffects {
            orphaned: self.routes.drop_session(&route.session, session),
            dialogs: self.dialogs_left_by(route.client),
            restored: self.restore_after(&ended, |grant| below.contains(&grant.on)),
        })
    }

    /// Returns true if a client must not see a target, such as a page of another client's context.
    fn is_target_hidden(&mut self, route: &EventRoute, target: &TargetInfo<'_>) -> bool {
        let context = target.context.as_deref().unwrap_or_default();
        self.routes.is_others_context(route.client, context)
            || !self
                .routes
                .is_target_visible(route.client, &target.id, &target.kind)
    }

    /// Records a dialog that opens or closes. One of the clients of its page receives the event.
    fn apply_dialog_event(
        &mut self,
        method: &str,
        message: &BrowserMessage<'_>,
        route: &EventRoute,
    ) -> Delivery {
        let (is_recipient, due) = self.route_dialog_event(method, route);
        // The end of a dialog has neither kind nor message.
        if let (Some(page), Some(opening)) = (&route.page, read::<DialogOpening<'_>>(message)) {
            let DialogOpening { kind, message } = &opening;
            self.dialogs.describe(page, kind, message);
        }
        let dialogs = Effects {
            due,
            ..Effects::default()
        };
        if !is_recipient {
            return Delivery::Suppress(dialogs);
        }
        Delivery::Forward(EventEffects {
            dialogs,
            ..EventEffects::default()
        })
    }
}
