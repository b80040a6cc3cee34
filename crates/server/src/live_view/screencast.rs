//! The screencast task, which follows the current tab, publishes its frames, and executes the
//! viewers' commands.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use hearth_browser::{
    BrowserError, Frame, FrameTicket, Input, MAX_UNACKNOWLEDGED, Screencast, ScreencastEvent, Tab,
    TabChanges,
};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::message::{self, Command, Text};
use super::shared::{EncodedFrame, Shared};
use super::viewers::MAX_DRAW_TIME;

/// The interval at which the tabs' titles are fetched, because Chromium does not report later
/// changes of a title. Fetching them takes the browser 0.2 ms.
const TAB_REFRESH_INTERVAL: Duration = Duration::from_millis(500);

/// The time without a frame after which a page is considered unchanged.
const SETTLE_TIME: Duration = Duration::from_millis(100);

/// A frame that some viewers have not drawn yet.
#[derive(Debug)]
struct Unacknowledged {
    number: u32,
    ticket: FrameTicket,
    received: Instant,
}

struct ScreencastTask {
    shared: Arc<Shared>,
    /// The current tab and its screencast, or `None` if no tab can be shown.
    screencast: Option<(String, Screencast)>,
    /// True if the current tab had crashed at the last refresh.
    has_crashed: bool,
    /// The unacknowledged frames, oldest first, at most [`MAX_UNACKNOWLEDGED`].
    unacknowledged: VecDeque<Unacknowledged>,
    /// True if Chromium may have dropped frames after the last one.
    may_have_missed: bool,
    last_frame: Instant,
    has_dialog: bool,
}

/// Runs until there are no viewers or the browser is gone.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut commands = shared.command_queue.lock().await;
    // Discard the commands of viewers that have left.
    while commands.try_recv().is_ok() {}
    shared.reset();
    let task = ScreencastTask {
        shared: Arc::clone(&shared),
        screencast: None,
        has_crashed: false,
        unacknowledged: VecDeque::new(),
        may_have_missed: false,
        last_frame: Instant::now(),
        has_dialog: false,
    };
    tokio::select! {
        () = task.run(&mut commands) => {}
        _ = shared.browser.died() => shared.viewers().end_screencast(),
    }
}

impl ScreencastTask {
    async fn run(mut self, commands: &mut mpsc::Receiver<Command>) {
        let shared = Arc::clone(&self.shared);
        let mut changes: TabChanges = shared.browser.tab_changes();
        let mut refresh = interval(TAB_REFRESH_INTERVAL);
        refresh.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let due = self.acknowledge_frames();
            tokio::select! {
                event = next_event(&mut self.screencast) => self.handle_event(event).await,
                Some(command) = commands.recv() => self.handle_command(command).await,
                () = changes.next() => self.refresh_tabs().await,
                _ = refresh.tick() => self.refresh_tabs().await,
                () = shared.wakeup.notified() => {
                    if shared.viewers().end_screencast_if_unwatched() {
                        // Release the keys and buttons that the last viewer held down.
                        while let Ok(command) = commands.try_recv() {
                            self.handle_command(command).await;
                        }
                        return;
                    }
                    self.dismiss_unanswerable_dialog();
                }
                () = sleep_until_due(due) => {}
            }
        }
    }

    async fn handle_event(&mut self, event: ScreencastEvent) {
        match event {
            ScreencastEvent::Frame(frame) => self.publish_frame(&frame),
            ScreencastEvent::Dialog(dialog) => {
                self.has_dialog = dialog.is_some();
                self.shared
                    .dialog
                    .send_replace(message::dialog(dialog.as_ref()));
                self.dismiss_unanswerable_dialog();
            }
            ScreencastEvent::InputFailed(reason) => self.notify_viewers(&reason),
            ScreencastEvent::Hidden => {
                if let Some((tab, _)) = &self.screencast
                    && let Err(error) = self.shared.browser.activate_tab(tab).await
                {
                    tracing::debug!(%error, "tab activation failed");
                }
            }
            ScreencastEvent::Ended => self.stop_screencast(),
        }
    }

    fn publish_frame(&mut self, frame: &Frame) {
        let number = self.shared.next_frame_number();
        self.last_frame = Instant::now();
        self.unacknowledged.push_back(Unacknowledged {
            number,
            ticket: frame.ticket,
            received: self.last_frame,
        });
        // Delayed acknowledgements count, and so does a frame that Chromium may be encoding.
        let delayed = self
            .screencast
            .as_ref()
            .map_or(0, |(_, screencast)| screencast.waiting_acknowledgements());
        self.may_have_missed |= self.unacknowledged.len() + delayed + 1 >= MAX_UNACKNOWLEDGED;
        let message = message::frame(number, frame);
        self.shared
            .frame
            .send_replace(Some(EncodedFrame { number, message }));
    }

    /// Fetches the tabs, and switches the screencast if another tab is current.
    async fn refresh_tabs(&mut self) {
        let tabs = match self.shared.browser.tabs().await {
            Ok(tabs) => tabs,
            // The browser is ending or slow. The next refresh tries again.
            Err(error) => return tracing::debug!(%error, "live view tab refresh failed"),
        };
        publish(&self.shared.tabs, message::tabs(&tabs));
        let current = tabs.into_iter().find(|tab| tab.is_current);
        if current.as_ref().map(|tab| &tab.id) == self.screencast.as_ref().map(|(tab, _)| tab) {
            if let (Some(tab), Some((_, screencast))) = (current, &mut self.screencast) {
                let was_unusable = std::mem::replace(&mut self.has_crashed, tab.has_crashed)
                    || screencast.is_blind();
                if was_unusable && !tab.has_crashed {
                    screencast.refresh();
                }
            }
            return;
        }
        self.stop_screencast();
        let Some(Tab {
            id, has_crashed, ..
        }) = current
        else {
            return;
        };
        self.has_crashed = has_crashed;
        match self.shared.browser.screencast(&id).await {
            Ok(screencast) => self.screencast = Some((id, screencast)),
            Err(error) => tracing::debug!(%error, "screencast start failed"),
        }
    }

    fn stop_screencast(&mut self) {
        self.screencast = None;
        self.unacknowledged.clear();
        self.may_have_missed = false;
        if std::mem::take(&mut self.has_dialog) {
            publish(&self.shared.dialog, message::dialog(None));
        }
    }

    async fn handle_command(&mut self, command: Command) {
        let browser = &self.shared.browser;
        let done = match command {
            Command::Input(input) => return self.send_input(input).await,
            Command::ActivateTab(tab) => browser.activate_tab(&tab).await,
            Command::CloseTab(tab) => browser.close_tab(&tab).await,
            Command::OpenTab => browser.open_tab().await.map(drop),
        };
        browser.record_use();
        match done {
            Ok(()) => self.refresh_tabs().await,
            // The tab has closed in the meantime, which viewers see in the tab list.
            Err(BrowserError::Rejected { .. }) => {}
            Err(error) => self.notify_viewers(&error.to_string()),
        }
    }

    async fn send_input(&mut self, input: Input) {
        let Some((_, screencast)) = &mut self.screencast else {
            return self.notify_viewers("No tab is open");
        };
        screencast.writable().await;
        if let Err(reason) = screencast.input(input) {
            self.notify_viewers(&reason);
        }
    }

    fn notify_viewers(&self, sentence: &str) {
        // Sending fails when there are no viewers.
        let _ = self.shared.notices.send(message::notice(sentence));
    }

    /// Dismisses an open dialog if no viewer can answer it, because it blocks its page.
    fn dismiss_unanswerable_dialog(&mut self) {
        if self.has_dialog
            && !self.shared.viewers().can_control()
            && let Some((_, screencast)) = &mut self.screencast
        {
            screencast.dismiss_dialog();
        }
    }

    /// Acknowledges the frames that viewers have drawn, so that Chromium sends more. Also requests
    /// the final frame of a page that has settled. Returns the time to call it again if no event
    /// arrives before.
    fn acknowledge_frames(&mut self) -> Option<Instant> {
        let (_, screencast) = self.screencast.as_mut()?;
        let now = Instant::now();
        while let Some(frame) = self.unacknowledged.front() {
            if !self
                .shared
                .viewers()
                .all_drawn(frame.number, frame.received, now)
            {
                return Some(frame.received + MAX_DRAW_TIME).filter(|end| *end > now);
            }
            screencast.acknowledge(frame.ticket);
            self.unacknowledged.pop_front();
        }
        if !self.may_have_missed {
            return None;
        }
        let settled = screencast
            .has_been_free_since()
            .map_or(now, |free| free.max(self.last_frame))
            + SETTLE_TIME;
        if now >= settled {
            self.may_have_missed = false;
            screencast.refresh();
        }
        Some(settled).filter(|_| self.may_have_missed)
    }
}

async fn next_event(screencast: &mut Option<(String, Screencast)>) -> ScreencastEvent {
    match screencast {
        Some((_, screencast)) => screencast.next().await,
        None => std::future::pending().await,
    }
}

async fn sleep_until_due(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// Publishes a message unless it is the same as the last one.
fn publish(channel: &watch::Sender<Text>, message: Text) {
    channel.send_if_modified(|current| {
        let has_changed = *current != message;
        if has_changed {
            *current = message;
        }
        has_changed
    });
}
