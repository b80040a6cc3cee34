//! Who looks on, and how far each has come with drawing. Pure tables.
//!
//! Chromium sends the next picture when an earlier one is acknowledged, and one is acknowledged
//! when every viewer has drawn it, or a later one: so the slowest sets the pace. One that takes
//! longer than [`PATIENCE`] for a picture is not waited for until it is quicker again; it skips
//! what it misses.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::Right;

/// How long the others wait for a viewer's drawing: four pictures in a second are the least that it
/// can slow them to.
pub(crate) const PATIENCE: Duration = Duration::from_millis(250);

/// How many may look on at once: each of them takes pictures, a few hundred kilobytes a second.
pub(crate) const MAX_VIEWERS: usize = 32;

/// How many pictures may be on their way to a viewer: one that it draws, and one that travels
/// meanwhile.
const MAX_UNDRAWN: usize = 2;

/// A viewer, for as long as the session lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ViewerId(u64);

#[derive(Debug)]
struct Viewer {
    right: Right,
    /// Sent and not yet drawn, oldest first.
    undrawn: VecDeque<(u32, Instant)>,
    /// The last picture that it has drawn.
    drawn: u32,
    /// Its last picture took longer than the others wait.
    is_slow: bool,
    /// Rung when it has drawn something. Its task waits there.
    ready: Arc<Notify>,
}

/// Everybody who looks on.
#[derive(Debug, Default)]
pub(crate) struct Audience {
    viewers: HashMap<ViewerId, Viewer>,
    last_id: u64,
    /// The task that casts runs, or is about to.
    is_cast_for: bool,
}

impl Audience {
    /// Tells the viewer's id, and whether the cast has to be started for it. None: there are as
    /// many as may be.
    pub(crate) fn enter(&mut self, right: Right) -> Option<(ViewerId, bool)> {
        if self.viewers.len() >= MAX_VIEWERS {
            return None;
        }
        self.last_id += 1;
        let id = ViewerId(self.last_id);
        let viewer = Viewer {
            right,
            undrawn: VecDeque::new(),
            drawn: 0,
            is_slow: false,
            ready: Arc::new(Notify::new()),
        };
        self.viewers.insert(id, viewer);
        Some((id, !std::mem::replace(&mut self.is_cast_for, true)))
    }

    pub(crate) fn leave(&mut self, id: ViewerId) {
        self.viewers.remove(&id);
    }

    /// Asked by the task that casts: whether it is to end, since nobody is left. It has to, then.
    pub(crate) fn has_gone(&mut self) -> bool {
        if self.viewers.is_empty() {
            self.is_cast_for = false;
        }
        !self.is_cast_for
    }

    /// The task that casts ends, whoever is there: its browser is gone.
    pub(crate) fn is_left_alone(&mut self) {
        self.is_cast_for = false;
    }

    /// Whether anybody could answer a dialog.
    pub(crate) fn can_steer(&self) -> bool {
        self.viewers
            .values()
            .any(|viewer| viewer.right == Right::Steer)
    }

    /// Whether a viewer is ready for another picture; if not, what to wait for.
    pub(crate) fn is_ready(&self, id: ViewerId) -> Result<(), Option<Arc<Notify>>> {
        match self.viewers.get(&id) {
            Some(viewer) if viewer.undrawn.len() < MAX_UNDRAWN => Ok(()),
            viewer => Err(viewer.map(|viewer| Arc::clone(&viewer.ready))),
        }
    }

    /// A picture is on its way to a viewer.
    pub(crate) fn sent(&mut self, id: ViewerId, number: u32, now: Instant) {
        if let Some(viewer) = self.viewers.get_mut(&id) {
            viewer.undrawn.push_back((number, now));
        }
    }

    /// A viewer says that it has drawn a picture. False when that cannot be.
    pub(crate) fn has_drawn(&mut self, id: ViewerId, number: u32, now: Instant) -> bool {
        let Some(viewer) = self.viewers.get_mut(&id) else {
            return false;
        };
        let Some(at) = viewer.undrawn.iter().position(|&(sent, _)| sent == number) else {
            return false;
        };
        let (_, sent) = viewer.undrawn[at];
        viewer.undrawn.drain(..=at);
        viewer.drawn = number;
        viewer.is_slow = now.duration_since(sent) > PATIENCE;
        viewer.ready.notify_one();
        true
    }

    /// Whether everybody has drawn a picture, or one that came after it. `shown` is when it came:
    /// who is behind after that long is not waited for.
    pub(crate) fn is_through_with(&mut self, number: u32, shown: Instant, now: Instant) -> bool {
        let patience_is_over = now.duration_since(shown) >= PATIENCE;
        let behind = self
            .viewers
            .values_mut()
            .filter(|viewer| viewer.drawn < number && !viewer.is_slow);
        let mut waited_for = 0;
        for viewer in behind {
            viewer.is_slow |= patience_is_over;
            waited_for += usize::from(!viewer.is_slow);
        }
        // Nobody who is quick is left to wait for; but when all are slow, the quickest of them sets
        // the pace.
        waited_for == 0
            && (self.viewers.values().any(|viewer| !viewer.is_slow)
                || self.viewers.values().any(|viewer| viewer.drawn >= number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Hall {
        audience: Audience,
        start: Instant,
    }

    impl Hall {
        fn new() -> Hall {
            Hall {
                audience: Audience::default(),
                start: Instant::now(),
            }
        }

        fn enter(&mut self) -> ViewerId {
            self.audience.enter(Right::Watch).expect("there is room").0
        }

        fn at(&self, ms: u64) -> Instant {
            self.start + Duration::from_millis(ms)
        }

        fn send(&mut self, id: ViewerId, number: u32, ms: u64) {
            let at = self.at(ms);
            self.audience.sent(id, number, at);
        }

        fn draw(&mut self, id: ViewerId, number: u32, ms: u64) -> bool {
            let at = self.at(ms);
            self.audience.has_drawn(id, number, at)
        }

        /// Of a picture that was shown at 0.
        fn is_through(&mut self, number: u32, ms: u64) -> bool {
            let (start, now) = (self.start, self.at(ms));
            self.audience.is_through_with(number, start, now)
        }
    }

    #[test]
    fn the_slowest_viewer_sets_the_pace() {
        let mut hall = Hall::new();
        let (quick, slow) = (hall.enter(), hall.enter());
        hall.send(quick, 1, 0);
        hall.send(slow, 1, 0);
        assert!(hall.draw(quick, 1, 10));
        assert!(!hall.is_through(1, 20));
        assert!(hall.draw(slow, 1, 100));
        assert!(hall.is_through(1, 100));
    }

    #[test]
    fn a_viewer_that_takes_too_long_is_waited_for_again_when_it_is_quicker() {
        let mut hall = Hall::new();
        let (quick, slow) = (hall.enter(), hall.enter());
        hall.send(quick, 1, 0);
        hall.send(slow, 1, 0);
        hall.draw(quick, 1, 10);
        assert!(hall.is_through(1, 250), "it was waited for that long");
        hall.send(quick, 2, 260);
        hall.draw(quick, 2, 270);
        assert!(hall.is_through(2, 1), "and is not waited for now");
        hall.draw(slow, 1, 2000);
        assert!(hall.is_through(2, 1), "it was slow again");
        hall.send(slow, 3, 3000);
        hall.draw(slow, 3, 3010);
        assert!(!hall.is_through(4, 1));
    }

    #[test]
    fn when_all_are_slow_the_quickest_of_them_sets_the_pace() {
        let mut hall = Hall::new();
        let (one, _other) = (hall.enter(), hall.enter());
        hall.send(one, 1, 0);
        assert!(!hall.is_through(1, 300), "nobody has drawn it");
        hall.draw(one, 1, 5000);
        assert!(hall.is_through(1, 5000));
    }

    #[test]
    fn two_pictures_are_on_their_way_and_no_more() {
        let mut hall = Hall::new();
        let viewer = hall.enter();
        hall.send(viewer, 1, 0);
        assert!(hall.audience.is_ready(viewer).is_ok());
        hall.send(viewer, 2, 0);
        assert!(hall.audience.is_ready(viewer).is_err());
        assert!(hall.draw(viewer, 2, 10), "the first one was drawn over");
        assert!(hall.audience.is_ready(viewer).is_ok());
    }

    #[test]
    fn a_picture_that_was_not_sent_cannot_have_been_drawn() {
        let mut hall = Hall::new();
        let viewer = hall.enter();
        hall.send(viewer, 1, 0);
        assert!(!hall.draw(viewer, 2, 1));
        assert!(hall.draw(viewer, 1, 1));
        assert!(!hall.draw(viewer, 1, 1), "nor drawn twice");
    }

    #[test]
    fn the_cast_is_started_by_the_first_and_ends_with_the_last() {
        let mut audience = Audience::default();
        let (one, first) = audience.enter(Right::Watch).expect("there is room");
        let (two, second) = audience.enter(Right::Steer).expect("there is room");
        assert!(first && !second);
        assert!(audience.can_steer());
        audience.leave(two);
        assert!(!audience.can_steer() && !audience.has_gone());
        audience.leave(one);
        assert!(audience.has_gone());
        assert!(
            audience.enter(Right::Watch).expect("there is room").1,
            "and is started again"
        );
    }
}
