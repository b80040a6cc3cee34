//! A simulated node: the statements and decisions of a server, with times divided by ten, and
//! without browsers.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use futures_util::future::join_all;
use hearth_contract::DestroyedReason;
use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::random::Random;
use super::world::{Object, World};
use super::{open_as, wait};
use crate::clock;
use crate::cluster::id::session_id;
use crate::cluster::referee::{Observed, Referee, RefereeTimes};
use crate::cluster::{Life, Moment, NodeLoad};
use crate::ending::Ending;
use crate::store::cluster::{
    ClusterSessions, FencedLease, MemberConnection, NodeRecord, ProfileLeases, Registration,
    Reservation, Reserved, SavedVersion,
};
use crate::store::{ProfileRecord, SessionRecord, Store};
use crate::team::Team;

const BEAT_EVERY: Duration = Duration::from_millis(200);
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(100);
pub(super) const DEAD_AFTER: Duration = Duration::from_millis(600);
const ISOLATED_AFTER: Duration = Duration::from_secs(1);

/// The time limit for a statement of the membership.
const STATEMENT_TIMEOUT: Duration = Duration::from_millis(300);

pub(super) const TIMES: RefereeTimes = RefereeTimes {
    dead_after: DEAD_AFTER,
    max_gap: Duration::from_millis(300),
};

/// The clients of one node.
const CLIENTS: u64 = 4;
const TEAMS: usize = 4;
const PROFILES: usize = 12;

/// The maximum number of sessions of a team, which is often reached.
pub(super) const MAX_OF_TEAM: usize = 6;

#[derive(Clone, Debug)]
pub(super) struct NodeSpec {
    pub name: String,
    /// The database, through the node's relay.
    pub url: String,
    pub seed: u64,
    pub world: Arc<World>,
}

/// A process, which is a thread whose runtime does everything.
#[derive(Debug)]
pub(super) struct Process {
    gate: Arc<Gate>,
    thread: Option<JoinHandle<()>>,
}

/// The state of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Running,
    Frozen,
    Killed,
}

#[derive(Debug)]
struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

impl Gate {
    fn set(&self, state: State) {
        *self.state.lock().expect("not poisoned") = state;
        self.changed.notify_all();
    }

    /// Blocks the thread while the process is frozen. Returns when it is killed.
    async fn pass(&self) {
        loop {
            let state = self.state.lock().expect("not poisoned");
            let is_frozen = |state: &mut State| *state == State::Frozen;
            let state = self.changed.wait_while(state, is_frozen);
            if *state.expect("not poisoned") == State::Killed {
                return;
            }
            wait(Duration::from_millis(2)).await;
        }
    }
}

impl Process {
    pub fn start(spec: NodeSpec) -> Process {
        let gate = Arc::new(Gate {
            state: Mutex::new(State::Running),
            changed: Condvar::new(),
        });
        let passed = Arc::clone(&gate);
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                tokio::select! {
                    biased;
                    () = passed.pass() => {}
                    () = run(spec) => {}
                }
            });
            runtime.shutdown_background();
        });
        Process {
            gate,
            thread: Some(thread),
        }
    }

    /// Stops the process, as SIGSTOP does. Its connections stay open.
    pub fn freeze(&self) {
        self.gate.set(State::Frozen);
    }

    /// Continues the process.
    pub fn thaw(&self) {
        self.gate.set(State::Running);
    }

    /// Ends the process, as SIGKILL does.
    pub fn kill(&mut self) {
        self.gate.set(State::Killed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("a node does not panic");
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.gate.set(State::Killed);
    }
}

/// The memory of a node.
struct Node {
    spec: NodeSpec,
    store: Store,
    sessions: ClusterSessions,
    leases: ProfileLeases,
    /// The current life, with its number.
    life: RefCell<(Life, u16)>,
    /// The active sessions.
    active: RefCell<HashSet<Uuid>>,
    beaten_at: Cell<Moment>,
}

/// A session while a client has it.
struct Session {
    record: SessionRecord,
    lease: Option<FencedLease>,
}

async fn run(spec: NodeSpec) {
    let (store, writer) = open_as(&spec.url, &spec.name).await;
    let pool = store.postgres().expect("a database").clone();
    let member = || MemberConnection::new(&pool).with_bound(STATEMENT_TIMEOUT);
    let mut beats = member();
    let node = Rc::new(Node {
        sessions: ClusterSessions::new(pool.clone()),
        leases: ProfileLeases::new(pool.clone()),
        life: RefCell::default(),
        active: RefCell::default(),
        beaten_at: Cell::new(Moment::now()),
        spec,
        store,
    });
    node.register(&mut beats).await;
    let clients = (0..CLIENTS).map(|number| {
        let seed = node.spec.seed.wrapping_mul(31).wrapping_add(number);
        node.serve(Random::new(seed))
    });
    tokio::join!(
        writer.run(CancellationToken::new()),
        node.beat(beats),
        node.look(member()),
        join_all(clients)
    );
}

pub(super) fn observe(record: &NodeRecord) -> Observed {
    Observed {
        life: record.life.clone(),
        beat: record.beat,
    }
}

impl Node {
    async fn register(&self, connection: &mut MemberConnection) {
        let registration = Registration {
            name: self.spec.name.clone(),
            address: (Ipv4Addr::LOCALHOST, 1).into(),
            fingerprint: String::new(),
            version: String::new(),
            protocol: 1,
            max_sessions: 100,
            earlier: None,
        };
        loop {
            let sent = Moment::now();
            if let Ok((epoch, number)) = connection.register(&registration, |_| String::new()).await
            {
                let name = registration.name;
                *self.life.borrow_mut() = (Life { name, epoch }, number);
                self.beaten_at.set(sent);
                return;
            }
            wait(LOOK_EVERY).await;
        }
    }

    fn life(&self) -> Life {
        self.life.borrow().0.clone()
    }

    async fn beat(&self, mut connection: MemberConnection) {
        loop {
            let life = self.life();
            let sent = Moment::now();
            let moved = connection.beat(&life, NodeLoad::default()).await;
            if let Ok(true) = moved {
                self.beaten_at.set(sent);
            }
            let is_isolated = Moment::now().since(self.beaten_at.get()) > ISOLATED_AFTER;
            if matches!(moved, Ok(false)) || is_isolated {
                // The lease is lost: all sessions end.
                self.active.borrow_mut().clear();
                self.register(&mut connection).await;
            }
            wait(BEAT_EVERY).await;
        }
    }

    async fn look(&self, mut connection: MemberConnection) {
        let mut referee = Referee::new(TIMES);
        loop {
            let asked = Moment::now();
            if let Ok(alive) = connection.alive().await {
                let beats: Vec<Observed> = alive.iter().map(observe).collect();
                let name = &self.spec.name;
                for verdict in referee.look(name, &beats, asked, Moment::now()) {
                    let Observed { life, beat } = verdict;
                    let _ = connection.declare_dead(&life, beat, name).await;
                }
                let _ = connection.sweep_sessions(clock::now()).await;
                let _ = self.leases.release_stale().await;
            }
            wait(LOOK_EVERY).await;
        }
    }

    /// Serves one client after the other.
    async fn serve(&self, mut random: Random) {
        loop {
            if let Some(session) = self.create(&mut random).await {
                wait(Duration::from_millis(10 + random.next() % 290)).await;
                self.finish(session, &mut random).await;
            }
        }
    }

    async fn create(&self, random: &mut Random) -> Option<Session> {
        let (owner, number) = self.life.borrow().clone();
        let id = session_id(number).expect("random numbers");
        let has_profile = random.below(10) < 6;
        let created_at = clock::now();
        let expires_at = created_at + SignedDuration::from_mins(10);
        let reservation = Reservation {
            id,
            team: Team::from(format!("team{}", random.below(TEAMS))),
            owner: owner.clone(),
            created_at,
            expires_at,
            max_of_team: Some(MAX_OF_TEAM),
            profile: has_profile.then(|| format!("profile{}", random.below(PROFILES))),
        };
        let lease = match self.sessions.reserve(&reservation).await {
            Ok(Reserved::Granted(lease)) => lease,
            Ok(_) => {
                self.spec.world.refused();
                wait(Duration::from_millis(50)).await;
                return None;
            }
            Err(_) => {
                self.withdraw(&owner, id).await;
                return None;
            }
        };
        // The browser starts.
        wait(Duration::from_millis(random.next() % 50)).await;
        let record = SessionRecord {
            id,
            team: reservation.team,
            created_at,
            expires_at,
            last_activity: created_at,
            links: None,
            ending: None,
        };
        if self.life() != owner {
            self.withdraw(&owner, id).await;
            return None;
        }
        self.active.borrow_mut().insert(id);
        match self.sessions.activate(&record, 0).await {
            Ok(true) => {
                self.spec.world.created(id);
                Some(Session { record, lease })
            }
            Ok(false) => {
                self.active.borrow_mut().remove(&id);
                None
            }
            Err(_) => {
                self.active.borrow_mut().remove(&id);
                self.withdraw(&owner, id).await;
                None
            }
        }
    }

    /// Takes back a session that no client knows, until the database has answered.
    async fn withdraw(&self, owner: &Life, id: Uuid) {
        self.spec.world.unknown();
        while self.sessions.withdraw(owner, &[id]).await.is_err() {
            wait(LOOK_EVERY).await;
        }
    }

    /// Saves the profile of a session and ends it, unless it has ended already.
    async fn finish(&self, mut session: Session, random: &mut Random) {
        let id = session.record.id;
        if !self.active.borrow().contains(&id) {
            return;
        }
        if let Some(lease) = session.lease.take() {
            self.save(&lease, &session.record, random).await;
            while self.leases.release(&lease.profile_id, id).await.is_err() {
                wait(LOOK_EVERY).await;
            }
        }
        self.active.borrow_mut().remove(&id);
        session.record.ending = Some(Ending {
            reason: DestroyedReason::Deleted,
            limit: None,
            at: clock::now(),
            duration_ms: 1,
        });
        self.store.end_session(&session.record).await;
        self.spec.world.ended();
    }

    async fn save(&self, lease: &FencedLease, session: &SessionRecord, random: &mut Random) {
        let world = &self.spec.world;
        // One version per session, whatever is repeated.
        let version = format!("{}-{:016x}", lease.fence, random.next());
        let object = Object {
            continues: lease.version.clone(),
            session: lease.session_id,
        };
        world.put(&version, object);
        // A node that is declared dead between the upload and the commit must not save.
        wait(Duration::from_millis(random.next() % 100)).await;
        if random.below(100) < 3 {
            // The upload has failed.
            return;
        }
        let saved = SavedVersion {
            record: ProfileRecord {
                id: lease.profile_id.clone(),
                team: Team::clone(&session.team),
                name: lease.profile_id.clone(),
                size_bytes: 1,
                saved_at: clock::now(),
            },
            object: version.clone(),
            version,
        };
        for _ in 0..4 {
            let committed = if world.has_fence {
                self.leases.commit(lease, &saved).await
            } else {
                self.leases.commit_unfenced(&saved).await
            };
            match committed {
                Ok(true) => return world.saved(&saved.version),
                Ok(false) => return world.fenced(),
                Err(_) => wait(LOOK_EVERY).await,
            }
        }
        world.unknown();
    }
}
