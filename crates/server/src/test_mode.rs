//! The test mode: faults that clients request, a fast clock, and ids that are known in advance.
//!
//! People test with it how their own clients handle errors. A server without it has none of this
//! state: `http/test_mode.rs` adds the routes and the layer, and `sessions` asks for ids and
//! lifetimes, only if there is a [`TestMode`].

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use hearth_contract::{FaultKind, FaultRequest, PendingFault, RequestKind, TestModeResponse, True};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// The maximum number of faults that wait for requests.
const MAX_PENDING: usize = 100;

/// The constant bits of ids: version 7, the variant of RFC 9562, and a time of 0.
const ID_BITS: u128 = 0x0000_0000_0000_7000_8000_0000_0000_0000;

/// The bits of ids that count.
const COUNTED_BITS: u64 = (1 << 48) - 1;

/// The state of the test mode.
#[derive(Debug)]
pub(crate) struct TestMode {
    next_id: AtomicU64,
    /// The seconds of a lifetime that pass in a second.
    speed: AtomicU32,
    pending: Mutex<Vec<Pending>>,
    /// Cancelled to break the CDP connections of a session, which hold them.
    connections: Mutex<HashMap<Uuid, Weak<CancellationToken>>>,
}

/// A fault that waits for requests.
#[derive(Debug)]
struct Pending {
    kind: FaultKind,
    session: Option<Uuid>,
    requests: u32,
    on: Option<RequestKind>,
    delay_ms: u32,
}

/// The fault of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub kind: FaultKind,
    pub delay: Duration,
}

/// Too many faults wait for requests.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooManyFaults(pub usize);

impl TestMode {
    /// Creates the state of a server that knows sessions with these ids.
    pub fn new(known: impl Iterator<Item = Uuid>) -> TestMode {
        let counted = known.filter_map(|id| {
            let rest = id.as_u128() ^ ID_BITS;
            u64::try_from(rest).ok().filter(|n| *n <= COUNTED_BITS)
        });
        TestMode {
            next_id: AtomicU64::new(counted.max().unwrap_or(0) + 1),
            speed: AtomicU32::new(1),
            pending: Mutex::default(),
            connections: Mutex::default(),
        }
    }

    /// Returns the next id: `00000000-0000-7000-8000-000000000001` is the first.
    pub fn new_id(&self) -> Uuid {
        let number = self.next_id.fetch_add(1, Ordering::SeqCst) & COUNTED_BITS;
        Uuid::from_u128(ID_BITS | u128::from(number))
    }

    /// Returns the time in which a lifetime passes.
    pub fn shortened(&self, lifetime: Duration) -> Duration {
        lifetime / self.speed.load(Ordering::SeqCst)
    }

    /// Sets the seconds of a lifetime that pass in a second. Applies to new sessions.
    pub fn set_speed(&self, speed: u32) {
        self.speed.store(speed.max(1), Ordering::SeqCst);
    }

    /// Adds a fault for later requests.
    pub fn add(&self, request: &FaultRequest, session: Option<Uuid>) -> Result<(), TooManyFaults> {
        let mut pending = self.lock_pending();
        if pending.len() >= MAX_PENDING {
            return Err(TooManyFaults(MAX_PENDING));
        }
        pending.push(Pending {
            kind: request.kind,
            session,
            requests: request.requests.unwrap_or(1),
            on: request.on,
            delay_ms: request.delay_ms,
        });
        Ok(())
    }

    /// Removes all faults that wait for requests.
    pub fn clear(&self) {
        self.lock_pending().clear();
    }

    /// Returns the fault of a request, which is the first one that waits for such requests. Faults
    /// of a session wait for requests that name one.
    pub fn take(&self, on: Option<RequestKind>, session: Option<Uuid>) -> Option<Fault> {
        let mut pending = self.lock_pending();
        let at = pending.iter().position(|fault| {
            (fault.on.is_none() || fault.on == on)
                && (fault.session.is_none() || fault.session == session)
                && (session.is_some() || !fault.kind.is_of_session())
        })?;
        let found = &mut pending[at];
        let fault = Fault {
            kind: found.kind,
            delay: Duration::from_millis(found.delay_ms.into()),
        };
        found.requests -= 1;
        if found.requests == 0 {
            pending.remove(at);
        }
        Some(fault)
    }

    /// Returns the state for clients.
    pub fn state(&self) -> TestModeResponse {
        let pending = self.lock_pending();
        let pending = pending.iter().map(|fault| PendingFault {
            fault: fault.kind.as_str(),
            session: fault.session.map(|id| id.to_string()),
            requests: fault.requests,
            on: fault.on.map(RequestKind::as_str),
            delay_ms: fault.delay_ms,
        });
        TestModeResponse {
            success: True,
            speed: self.speed.load(Ordering::SeqCst),
            pending: pending.collect(),
        }
    }

    /// Returns a token that is cancelled to break a CDP connection of a session. The connection
    /// holds it.
    pub fn connection(&self, session: Uuid) -> Arc<CancellationToken> {
        let mut connections = self.lock_connections();
        let held = connections.get(&session).and_then(Weak::upgrade);
        held.unwrap_or_else(|| {
            connections.retain(|_, token| token.strong_count() > 0);
            let token = Arc::new(CancellationToken::new());
            connections.insert(session, Arc::downgrade(&token));
            token
        })
    }

    /// Breaks the CDP connections of a session.
    pub fn break_connections(&self, session: Uuid) {
        let token = self.lock_connections().remove(&session);
        if let Some(token) = token.and_then(|token| token.upgrade()) {
            token.cancel();
        }
    }

    fn lock_pending(&self) -> MutexGuard<'_, Vec<Pending>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_connections(&self) -> MutexGuard<'_, HashMap<Uuid, Weak<CancellationToken>>> {
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(kind: FaultKind, requests: u32, on: Option<RequestKind>) -> FaultRequest {
        FaultRequest {
            kind,
            session: None,
            requests: Some(requests),
            on,
            delay_ms: 0,
        }
    }

    #[test]
    fn ids_count_and_continue_after_known_ones() {
        let first = TestMode::new(std::iter::empty()).new_id();
        assert_eq!(first.to_string(), "00000000-0000-7000-8000-000000000001");
        assert_eq!(first.get_version_num(), 7);
        let known = [first, Uuid::now_v7()];
        let mode = TestMode::new(known.into_iter());
        assert_eq!(
            [mode.new_id(), mode.new_id()].map(|id| id.as_u128() & 0xff),
            [2, 3]
        );
    }

    #[test]
    fn a_fault_meets_as_many_requests_as_it_waits_for() {
        let mode = TestMode::new(std::iter::empty());
        let session = Some(Uuid::now_v7());
        let unavailable = request(FaultKind::Unavailable, 2, Some(RequestKind::Execute));
        mode.add(&unavailable, None).expect("few");
        mode.add(&request(FaultKind::BrowserCrash, 1, None), None)
            .expect("few");
        let kind = |on, session| mode.take(on, session).map(|fault| fault.kind);
        assert_eq!(kind(Some(RequestKind::List), None), None);
        for _ in 0..2 {
            let met = kind(Some(RequestKind::Execute), session);
            assert_eq!(met, Some(FaultKind::Unavailable));
        }
        let met = kind(Some(RequestKind::Status), session);
        assert_eq!(met, Some(FaultKind::BrowserCrash));
        assert_eq!(kind(Some(RequestKind::Execute), session), None);
    }

    #[test]
    fn a_fault_of_a_session_does_not_meet_the_requests_of_others() {
        let mode = TestMode::new(std::iter::empty());
        let [own, other] = [Uuid::now_v7(), Uuid::now_v7()];
        mode.add(&request(FaultKind::Slow, 1, None), Some(own))
            .expect("few");
        assert_eq!(mode.take(None, Some(other)), None);
        assert_eq!(mode.take(None, None), None);
        assert!(mode.take(None, Some(own)).is_some());
    }

    #[test]
    fn the_number_of_waiting_faults_is_limited() {
        let mode = TestMode::new(std::iter::empty());
        let slow = request(FaultKind::Slow, 1, None);
        for _ in 0..MAX_PENDING {
            mode.add(&slow, None).expect("few");
        }
        assert_eq!(mode.add(&slow, None), Err(TooManyFaults(MAX_PENDING)));
        mode.clear();
        assert_eq!(mode.add(&slow, None), Ok(()));
    }

    #[test]
    fn breaking_connections_affects_the_current_ones_of_the_session() {
        let mode = TestMode::new(std::iter::empty());
        let [own, other] = [Uuid::now_v7(), Uuid::now_v7()];
        let held = [own, own, other].map(|id| mode.connection(id));
        mode.break_connections(own);
        let broken = held.each_ref().map(|token| token.is_cancelled());
        assert_eq!(broken, [true, true, false]);
        assert!(!mode.connection(own).is_cancelled(), "a later connection");
        drop(held);
        mode.connection(Uuid::now_v7());
        assert_eq!(mode.lock_connections().len(), 1, "ended ones are forgotten");
    }
}
