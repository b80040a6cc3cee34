//! The task that casts: it follows the current tab, hands its pictures to the viewers, and does
//! what they ask for.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::extract::ws::Utf8Bytes;
use hearth_browser::{
    BrowserError, FrameTicket, Input, MAX_UNACKNOWLEDGED, Screencast, Shown, Tab, TabChanges,
};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::message::{self, Command};
use super::viewers::PATIENCE;
use super::{LiveView, Picture};

/// How often the tabs are asked for their titles, since Chromium does not tell of a title that a
/// page changes later. It takes the browser 0.2 ms.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A page that has shown nothing new for so long has come to rest.
const REST: Duration = Duration::from_millis(100);

/// A frame that viewers have not drawn yet.
#[derive(Debug)]
struct Unacknowledged {
    number: u32,
    ticket: FrameTicket,
    shown: Instant,
}

struct Caster {
    live_view: Arc<LiveView>,
    /// The current tab's, if there is one and it can be cast.
    cast: Option<(String, Screencast)>,
    /// That tab had crashed at the last look.
    has_crashed: bool,
    /// Oldest first, [`MAX_UNACKNOWLEDGED`] at the most.
    unacknowledged: VecDeque<Unacknowledged>,
    /// Chromium may have thrown frames away that came after the last one.
    may_have_missed: bool,
    last_frame: Instant,
    has_dialog: bool,
}

/// Casts until nobody looks on, or the browser is gone.
pub(super) async fn run(live_view: Arc<LiveView>) {
    let mut asked = live_view.asked.lock().await;
    // Wishes of viewers who have left are nobody's.
    while asked.try_recv().is_ok() {}
    live_view.forget();
    let caster = Caster {
        live_view: Arc::clone(&live_view),
        cast: None,
        has_crashed: false,
        unacknowledged: VecDeque::new(),
        may_have_missed: false,
        last_frame: Instant::now(),
        has_dialog: false,
    };
    tokio::select! {
        () = caster.run(&mut asked) => {}
        _ = live_view.browser.died() => live_view.audience().is_left_alone(),
    }
}

impl Caster {
    async fn run(mut self, asked: &mut mpsc::Receiver<Command>) {
        let live_view = Arc::clone(&self.live_view);
        let mut changes: TabChanges = live_view.browser.tab_changes();
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let due = self.acknowledge();
            tokio::select! {
                shown = next(&mut self.cast) => self.take(shown).await,
                Some(command) = asked.recv() => self.obey(command).await,
                () = changes.next() => self.look().await,
                _ = looks.tick() => self.look().await,
                () = live_view.stirred.notified() => {
                    if live_view.audience().has_gone() {
                        // What the last one held is let go.
                        while let Ok(command) = asked.try_recv() {
                            self.obey(command).await;
                        }
                        return;
                    }
                    self.dismiss_what_nobody_answers();
                }
                () = until(due) => {}
            }
        }
    }

    async fn take(&mut self, shown: Shown) {
        match shown {
            Shown::Frame(frame) => {
                let number = self
                    .live_view
                    .pictures
                    .fetch_add(1, Ordering::Relaxed)
                    .wrapping_add(1);
                let ticket = frame.ticket;
                self.last_frame = Instant::now();
                self.unacknowledged.push_back(Unacknowledged {
                    number,
                    ticket,
                    shown: self.last_frame,
                });
                // Acknowledgements that wait for their time count, and so may a frame that is being
                // encoded.
                let paced = self
                    .cast
                    .as_ref()
                    .map_or(0, |(_, cast)| cast.waiting_acknowledgements());
                self.may_have_missed |= self.unacknowledged.len() + paced + 1 >= MAX_UNACKNOWLEDGED;
                let message = message::picture(number, &frame);
                self.live_view
                    .picture
                    .send_replace(Some(Picture { number, message }));
            }
            Shown::Dialog(dialog) => {
                self.has_dialog = dialog.is_some();
                self.live_view
                    .dialog
                    .send_replace(message::dialog(dialog.as_ref()));
                self.dismiss_what_nobody_answers();
            }
            Shown::Refused(why) => self.remark(&why),
            Shown::Hidden => {
                if let Some((tab, _)) = &self.cast
                    && let Err(error) = self.live_view.browser.activate_tab(tab).await
                {
                    tracing::debug!(%error, "a tab that is watched stays in the background");
                }
            }
            Shown::Ended => self.cast_nothing(),
        }
    }

    /// Asks for the tabs, and casts the current one.
    async fn look(&mut self) {
        let tabs = match self.live_view.browser.tabs().await {
            Ok(tabs) => tabs,
            // It ends, or takes its time: the next look will tell.
            Err(error) => return tracing::debug!(%error, "the tabs of a live view are not known"),
        };
        tell(&self.live_view.tabs, message::tabs(&tabs));
        let current = tabs.into_iter().find(|tab| tab.is_current);
        if current.as_ref().map(|tab| &tab.id) == self.cast.as_ref().map(|(tab, _)| tab) {
            if let (Some(tab), Some((_, cast))) = (current, &mut self.cast) {
                let has_come_back =
                    std::mem::replace(&mut self.has_crashed, tab.has_crashed) || cast.is_blind();
                if has_come_back && !tab.has_crashed {
                    cast.refresh();
                }
            }
            return;
        }
        self.cast_nothing();
        let Some(Tab {
            id, has_crashed, ..
        }) = current
        else {
            return;
        };
        self.has_crashed = has_crashed;
        match self.live_view.browser.cast(&id).await {
            Ok(cast) => self.cast = Some((id, cast)),
            Err(error) => tracing::debug!(%error, "a tab cannot be cast"),
        }
    }

    fn cast_nothing(&mut self) {
        self.cast = None;
        self.unacknowledged.clear();
        self.may_have_missed = false;
        if std::mem::take(&mut self.has_dialog) {
            tell(&self.live_view.dialog, message::dialog(None));
        }
    }

    async fn obey(&mut self, command: Command) {
        let browser = &self.live_view.browser;
        let done = match command {
            Command::Input(input) => return self.input(input).await,
            Command::Activate(tab) => browser.activate_tab(&tab).await,
            Command::Close(tab) => browser.close_tab(&tab).await,
            Command::Open => browser.open_tab().await.map(drop),
        };
        browser.note_use();
        match done {
            Ok(()) => self.look().await,
            // A tab that is gone meanwhile is what was wished for, or is seen to be gone.
            Err(BrowserError::Refused { .. }) => {}
            Err(error) => self.remark(&error.to_string()),
        }
    }

    async fn input(&mut self, input: Input) {
        let Some((_, cast)) = &mut self.cast else {
            return self.remark("No tab is open");
        };
        cast.room().await;
        if let Err(why) = cast.input(input) {
            self.remark(&why);
        }
    }

    fn remark(&self, sentence: &str) {
        // Nobody may be there to hear it.
        let _ = self.live_view.notices.send(message::notice(sentence));
    }

    /// A dialog that this cast was told of stops its page until it is answered.
    fn dismiss_what_nobody_answers(&mut self) {
        if self.has_dialog
            && !self.live_view.audience().can_steer()
            && let Some((_, cast)) = &mut self.cast
        {
            cast.dismiss_dialog();
        }
    }

    /// Lets Chromium send more, for frames that the viewers are through with, and sees to it that
    /// the last picture is the one that the page rests at. Tells when there may be more to do, if
    /// nothing else happens before.
    fn acknowledge(&mut self) -> Option<Instant> {
        let (_, cast) = self.cast.as_mut()?;
        let now = Instant::now();
        while let Some(frame) = self.unacknowledged.front() {
            if !self
                .live_view
                .audience()
                .is_through_with(frame.number, frame.shown, now)
            {
                return Some(frame.shown + PATIENCE).filter(|end| *end > now);
            }
            cast.acknowledge(frame.ticket);
            self.unacknowledged.pop_front();
        }
        if !self.may_have_missed {
            return None;
        }
        let rests = cast
            .has_been_free_since()
            .map_or(now, |free| free.max(self.last_frame))
            + REST;
        if now >= rests {
            self.may_have_missed = false;
            cast.refresh();
        }
        Some(rests).filter(|_| self.may_have_missed)
    }
}

async fn next(cast: &mut Option<(String, Screencast)>) -> Shown {
    match cast {
        Some((_, cast)) => cast.next().await,
        None => std::future::pending().await,
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// Viewers that have heard the same already are left alone.
fn tell(channel: &watch::Sender<Utf8Bytes>, message: Utf8Bytes) {
    channel.send_if_modified(|said| {
        let is_news = *said != message;
        if is_news {
            *said = message;
        }
        is_news
    });
}
