//! Saves what an earlier life of this node could not save.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use super::catalog::ProfileObjects;
use super::keys::version_key;
use super::save::Save;
use super::waiting::{WaitingFile, newest_waiting};
use crate::profiles::file::{Head, blocking, remove};
use crate::profiles::id::ProfileId;
use crate::store::ProfileRecord;
use crate::store::cluster::{FencedLease, LeaseOwner, SavedVersion};
use crate::team::Team;

/// The extension of a file that nobody can save any more, because another session has saved. The
/// last one of each profile is kept.
const OUTDATED: &str = "outdated";

/// A packed profile of an earlier life.
#[derive(Debug)]
struct Unsaved {
    path: PathBuf,
    record: ProfileRecord,
    version: String,
    continues: String,
}

/// The next step for a packed profile.
enum Next {
    Save(FencedLease),
    /// The version was saved.
    Remove(FencedLease),
    /// Another version was saved.
    Keep(FencedLease),
}

impl ProfileObjects {
    /// Starts to save the files that wait, as the life `epoch` of `node`. Returns their number.
    pub async fn resume_saves(self: &Arc<Self>, node: &str, epoch: i64) -> io::Result<usize> {
        let dir = self.dir.clone();
        let waiting = blocking(move || newest_waiting(&dir)).await?;
        let count = waiting.len();
        for file in waiting {
            let (objects, node) = (Arc::clone(self), node.to_owned());
            self.tasks.spawn(async move {
                let stop = objects.stop.clone();
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = objects.resume(file, &node, epoch) => {}
                }
            });
        }
        Ok(count)
    }

    async fn resume(self: &Arc<Self>, file: WaitingFile, node: &str, epoch: i64) {
        let id = file.profile_id.clone();
        let unsaved = match blocking(move || read_unsaved(&file)).await {
            Ok(unsaved) => unsaved,
            Err(error) => {
                tracing::warn!(file = id, %error, "packed profile not readable");
                return;
            }
        };
        let owner = LeaseOwner {
            session_id: Uuid::now_v7(),
            node,
            epoch,
        };
        let saving = self.begin_saving(owner.session_id);
        let Some(lease) = self.acquire(&unsaved, owner).await else {
            tracing::warn!(
                profile = unsaved.record.name,
                file = id,
                "packed profile kept: profile in use"
            );
            return;
        };
        match next(lease, &unsaved) {
            Next::Save(lease) => {
                let save = Save {
                    lease,
                    saved: SavedVersion {
                        object: version_key(&unsaved.record.id, &unsaved.version),
                        version: unsaved.version,
                        record: unsaved.record,
                    },
                    path: unsaved.path,
                };
                // The task that saves records the outcome.
                drop(self.start_save(save));
            }
            Next::Remove(lease) => {
                let removed = blocking(move || remove(&unsaved.path)).await;
                if let Err(error) = removed {
                    tracing::warn!(file = id, %error, "packed profile not removed");
                }
                self.release(lease).await;
            }
            Next::Keep(lease) => {
                tracing::warn!(
                    profile = unsaved.record.name,
                    file = id,
                    "packed profile outdated: another session has saved"
                );
                let outdated = self.dir.join(&id).with_added_extension(OUTDATED);
                let moved = blocking(move || fs::rename(&unsaved.path, outdated)).await;
                if let Err(error) = moved {
                    tracing::warn!(file = id, %error, "packed profile not removed");
                }
                self.release(lease).await;
            }
        }
        drop(saving);
    }

    /// Acquires the lease of a profile, as soon as no session has it.
    async fn acquire(&self, unsaved: &Unsaved, owner: LeaseOwner<'_>) -> Option<FencedLease> {
        let until = Instant::now() + self.times.give_up;
        loop {
            let acquiring = self.leases.acquire(&unsaved.record.id, owner);
            if let Ok(Some(lease)) = acquiring.await {
                return Some(lease);
            }
            if Instant::now() + self.times.retry >= until {
                return None;
            }
            sleep_until(Instant::now() + self.times.retry).await;
        }
    }
}

fn next(lease: FencedLease, unsaved: &Unsaved) -> Next {
    if lease.version == unsaved.version {
        Next::Remove(lease)
    } else if lease.version == unsaved.continues {
        Next::Save(lease)
    } else {
        Next::Keep(lease)
    }
}

/// Reads the head of a packed profile. Blocks.
fn read_unsaved(file: &WaitingFile) -> io::Result<Unsaved> {
    let (head, size_bytes) = read_head(&file.path)?;
    let invalid = || io::Error::from(ErrorKind::InvalidData);
    let ProfileId { team, name, id } = ProfileId::new(Team::from(head.team), head.name);
    if id != file.profile_id {
        return Err(invalid());
    }
    Ok(Unsaved {
        path: file.path.clone(),
        record: ProfileRecord {
            id,
            team,
            name,
            size_bytes,
            saved_at: Timestamp::from_millisecond(head.saved_at_ms).map_err(|_| invalid())?,
        },
        version: head.version,
        continues: head.continues.ok_or_else(invalid)?,
    })
}

fn read_head(path: &Path) -> io::Result<(Head, u64)> {
    let mut file = File::open(path)?;
    let bytes = file.metadata()?.len();
    Ok((Head::read(&mut file)?, bytes))
}
