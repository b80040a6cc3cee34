//! The parts of a test that outlive its nodes: the object storage, and the results for clients.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard};

use uuid::Uuid;

/// The content of an object: the version that it continues, and the session that wrote it.
#[derive(Clone, Debug)]
pub(super) struct Object {
    pub continues: String,
    pub session: Uuid,
}

#[derive(Debug, Default)]
struct Told {
    created: HashSet<Uuid>,
    saved: HashSet<String>,
    objects: HashMap<String, Object>,
    ended: usize,
    refused: usize,
    fenced: usize,
    unknown: usize,
}

/// Everything outside of the nodes and the database.
#[derive(Debug)]
pub(super) struct World {
    pub has_fence: bool,
    told: Mutex<Told>,
}

impl World {
    pub fn new(has_fence: bool) -> World {
        World {
            has_fence,
            told: Mutex::default(),
        }
    }

    /// Writes an object.
    pub fn put(&self, version: &str, object: Object) {
        self.lock().objects.insert(version.to_owned(), object);
    }

    pub fn object(&self, version: &str) -> Option<Object> {
        self.lock().objects.get(version).cloned()
    }

    /// Tells a client that a session was created.
    pub fn created(&self, id: Uuid) {
        self.lock().created.insert(id);
    }

    /// Tells a client that a profile was saved.
    pub fn saved(&self, version: &str) {
        self.lock().saved.insert(version.to_owned());
    }

    /// Tells a client that its session has ended.
    pub fn ended(&self) {
        self.lock().ended += 1;
    }

    /// Tells a client that a session was not created.
    pub fn refused(&self) {
        self.lock().refused += 1;
    }

    /// Tells a client that its profile was not saved, because its node was declared dead.
    pub fn fenced(&self) {
        self.lock().fenced += 1;
    }

    /// Records that the result of an operation is not known.
    pub fn unknown(&self) {
        self.lock().unknown += 1;
    }

    pub fn all_created(&self) -> HashSet<Uuid> {
        self.lock().created.clone()
    }

    pub fn all_saved(&self) -> HashSet<String> {
        self.lock().saved.clone()
    }

    pub fn has_saved(&self) -> bool {
        !self.lock().saved.is_empty()
    }

    /// Returns the number of results that clients were told.
    pub fn operations(&self) -> usize {
        let told = self.lock();
        told.created.len() + told.saved.len() + told.ended + told.refused + told.fenced
    }

    pub fn summary(&self) -> String {
        let told = self.lock();
        format!(
            "{} created, {} ended, {} saved, {} refused, {} refused by the fence, {} unknown",
            told.created.len(),
            told.ended,
            told.saved.len(),
            told.refused,
            told.fenced,
            told.unknown
        )
    }

    fn lock(&self) -> MutexGuard<'_, Told> {
        self.told
            .lock()
            .expect("no node panics while it has the lock")
    }
}
