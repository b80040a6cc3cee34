//! Tracks the viewers and the frames that each of them has drawn. The module contains only state
//! and no tasks.
//!
//! Chromium sends the next frame when an earlier one is acknowledged. A frame is acknowledged when
//! every viewer has drawn it or a later one. The slowest viewer therefore sets the pace. If a
//! viewer takes longer than [`MAX_DRAW_TIME`] for a frame, the others do not wait for it until it
//! is fast enough again. It skips the frames that it misses.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::access::ViewerAccess;

/// The maximum time that the other viewers wait for one viewer to draw a frame. A slow viewer can
/// reduce the frame rate to four per second, but not further.
pub(super) const MAX_DRAW_TIME: Duration = Duration::from_millis(250);

/// The maximum number of viewers. Each of them receives a few hundred kilobytes per second.
pub(super) const MAX_VIEWERS: usize = 32;

/// The maximum number of undrawn frames of a viewer: one that it draws, and one in transit.
const MAX_UNDRAWN: usize = 2;

/// Identifies a viewer within a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct ViewerId(u64);

#[derive(Debug)]
struct Viewer {
    access: ViewerAccess,
    /// The frames that were sent but not drawn yet, oldest first.
    undrawn: VecDeque<(u32, Instant)>,
    /// The number of the last frame that it has drawn.
    drawn: u32,
    /// True if its last frame took longer than [`MAX_DRAW_TIME`].
    is_slow: bool,
    /// Wakes its task when it has drawn a frame.
    ready: Arc<Notify>,
}

/// The viewers of one session.
#[derive(Debug, Default)]
pub(super) struct Viewers {
    by_id: HashMap<ViewerId, Viewer>,
    last_id: u64,
    /// True if the screencast task is running or about to start.
    has_screencast: bool,
}

impl Viewers {
    /// Adds a viewer. Returns its id and whether the screencast task must be started, or `None` if
    /// there are already [`MAX_VIEWERS`].
    pub fn join(&mut self, access: ViewerAccess) -> Option<(ViewerId, bool)> {
        if self.by_id.len() >= MAX_VIEWERS {
            return None;
        }
        self.last_id += 1;
        let id = ViewerId(self.last_id);
        let viewer = Viewer {
            access,
            undrawn: VecDeque::new(),
            drawn: 0,
            is_slow: false,
            ready: Arc::new(Notify::new()),
        };
        self.by_id.insert(id, viewer);
        Some((id, !std::mem::replace(&mut self.has_screencast, true)))
    }

    pub fn leave(&mut self, id: ViewerId) {
        self.by_id.remove(&id);
    }

    /// Returns true if there are no viewers. The screencast task must then end, because the next
    /// viewer starts another one.
    pub fn end_screencast_if_unwatched(&mut self) -> bool {
        if self.by_id.is_empty() {
            self.has_screencast = false;
        }
        !self.has_screencast
    }

    /// Records that the screencast task ends because its browser is gone, even if there are
    /// viewers.
    pub fn end_screencast(&mut self) {
        self.has_screencast = false;
    }

    /// Returns whether any viewer could answer a dialog.
    pub fn can_control(&self) -> bool {
        self.by_id
            .values()
            .any(|viewer| viewer.access == ViewerAccess::Control)
    }

    /// Returns whether a viewer is ready for another frame. The error contains the notification to
    /// wait for, unless the viewer has left.
    pub fn is_ready(&self, id: ViewerId) -> Result<(), Option<Arc<Notify>>> {
        match self.by_id.get(&id) {
            Some(viewer) if viewer.undrawn.len() < MAX_UNDRAWN => Ok(()),
            viewer => Err(viewer.map(|viewer| Arc::clone(&viewer.ready))),
        }
    }

    /// Records that a frame was sent to a viewer.
    pub fn frame_sent(&mut self, id: ViewerId, number: u32, now: Instant) {
        if let Some(viewer) = self.by_id.get_mut(&id) {
            viewer.undrawn.push_back((number, now));
        }
    }

    /// Records that a viewer has drawn a frame. Returns false if the frame was not sent to the
    /// viewer, or if the viewer has already drawn it.
    pub fn frame_drawn(&mut self, id: ViewerId, number: u32, now: Instant) -> bool {
        let Some(viewer) = self.by_id.get_mut(&id) else {
            return false;
        };
        let Some(at) = viewer.undrawn.iter().position(|&(sent, _)| sent == number) else {
            return false;
        };
        let (_, sent) = viewer.undrawn[at];
        viewer.undrawn.drain(..=at);
        viewer.drawn = number;
        viewer.is_slow = now.duration_since(sent) > MAX_DRAW_TIME;
        viewer.ready.notify_one();
        true
    }

    /// Returns true if every viewer that is not slow has drawn this frame or a later one.
    /// `received` is the time at which the frame arrived from Chromium.
    pub fn all_drawn(&mut self, number: u32, received: Instant, now: Instant) -> bool {
        let is_overdue = now.duration_since(received) >= MAX_DRAW_TIME;
        let behind = self
            .by_id
            .values_mut()
            .filter(|viewer| viewer.drawn < number && !viewer.is_slow);
        let mut waited_for = 0;
        for viewer in behind {
            viewer.is_slow |= is_overdue;
            waited_for += usize::from(!viewer.is_slow);
        }
        // If all viewers are slow, the fastest of them sets the pace.
        waited_for == 0
            && (self.by_id.values().any(|viewer| !viewer.is_slow)
                || self.by_id.values().any(|viewer| viewer.drawn >= number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixture {
        viewers: Viewers,
        start: Instant,
    }

    impl Fixture {
        fn new() -> Fixture {
            Fixture {
                viewers: Viewers::default(),
                start: Instant::now(),
            }
        }

        fn join(&mut self) -> ViewerId {
            let joined = self.viewers.join(ViewerAccess::Watch);
            joined.expect("there is room").0
        }

        fn at(&self, ms: u64) -> Instant {
            self.start + Duration::from_millis(ms)
        }

        fn send(&mut self, id: ViewerId, number: u32, ms: u64) {
            let at = self.at(ms);
            self.viewers.frame_sent(id, number, at);
        }

        fn draw(&mut self, id: ViewerId, number: u32, ms: u64) -> bool {
            let at = self.at(ms);
            self.viewers.frame_drawn(id, number, at)
        }

        /// Returns true if all viewers have drawn a frame that was received at 0.
        fn all_drawn(&mut self, number: u32, ms: u64) -> bool {
            let (start, now) = (self.start, self.at(ms));
            self.viewers.all_drawn(number, start, now)
        }
    }

    #[test]
    fn the_slowest_viewer_sets_the_pace() {
        let mut fixture = Fixture::new();
        let (fast, slow) = (fixture.join(), fixture.join());
        fixture.send(fast, 1, 0);
        fixture.send(slow, 1, 0);
        assert!(fixture.draw(fast, 1, 10));
        assert!(!fixture.all_drawn(1, 20));
        assert!(fixture.draw(slow, 1, 100));
        assert!(fixture.all_drawn(1, 100));
    }

    #[test]
    fn a_slow_viewer_is_waited_for_again_when_it_is_fast() {
        let mut fixture = Fixture::new();
        let (fast, slow) = (fixture.join(), fixture.join());
        fixture.send(fast, 1, 0);
        fixture.send(slow, 1, 0);
        fixture.draw(fast, 1, 10);
        assert!(fixture.all_drawn(1, 250), "the others wait until then");
        fixture.send(fast, 2, 260);
        fixture.draw(fast, 2, 270);
        assert!(fixture.all_drawn(2, 1), "the others no longer wait");
        fixture.draw(slow, 1, 2000);
        assert!(fixture.all_drawn(2, 1), "the viewer is still slow");
        fixture.send(slow, 3, 3000);
        fixture.draw(slow, 3, 3010);
        assert!(!fixture.all_drawn(4, 1));
    }

    #[test]
    fn when_all_viewers_are_slow_the_fastest_sets_the_pace() {
        let mut fixture = Fixture::new();
        let (one, _other) = (fixture.join(), fixture.join());
        fixture.send(one, 1, 0);
        assert!(!fixture.all_drawn(1, 300), "no viewer has drawn it");
        fixture.draw(one, 1, 5000);
        assert!(fixture.all_drawn(1, 5000));
    }

    #[test]
    fn at_most_two_frames_are_on_the_way() {
        let mut fixture = Fixture::new();
        let viewer = fixture.join();
        fixture.send(viewer, 1, 0);
        assert!(fixture.viewers.is_ready(viewer).is_ok());
        fixture.send(viewer, 2, 0);
        assert!(fixture.viewers.is_ready(viewer).is_err());
        assert!(
            fixture.draw(viewer, 2, 10),
            "the viewer skipped the first frame"
        );
        assert!(fixture.viewers.is_ready(viewer).is_ok());
    }

    #[test]
    fn a_frame_that_was_not_sent_cannot_be_drawn() {
        let mut fixture = Fixture::new();
        let viewer = fixture.join();
        fixture.send(viewer, 1, 0);
        assert!(!fixture.draw(viewer, 2, 1));
        assert!(fixture.draw(viewer, 1, 1));
        assert!(!fixture.draw(viewer, 1, 1), "a frame is drawn once");
    }

    #[test]
    fn the_first_viewer_starts_the_screencast_and_the_last_ends_it() {
        let mut viewers = Viewers::default();
        let (one, first) = viewers.join(ViewerAccess::Watch).expect("there is room");
        let (two, second) = viewers.join(ViewerAccess::Control).expect("there is room");
        assert!(first && !second);
        assert!(viewers.can_control());
        viewers.leave(two);
        assert!(!viewers.can_control() && !viewers.end_screencast_if_unwatched());
        viewers.leave(one);
        assert!(viewers.end_screencast_if_unwatched());
        assert!(
            viewers.join(ViewerAccess::Watch).expect("there is room").1,
            "the next viewer starts it again"
        );
    }
}
