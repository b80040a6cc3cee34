//! Saves packed profiles: uploads them and makes them the last version, again and again until the
//! object storage and the store have answered.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};
use tracing::Instrument;

use super::catalog::ProfileObjects;
use super::waiting::remove_waiting_before;
use crate::object_storage::BucketError;
use crate::profiles::file::{blocking, remove};
use crate::store::StoreError;
use crate::store::cluster::{FencedLease, SavedVersion};

/// A packed profile on this machine, and what its commit needs.
#[derive(Debug)]
pub(super) struct Save {
    pub lease: FencedLease,
    /// The new version, which is the same in every attempt. An answer that is lost is therefore no
    /// problem.
    pub saved: SavedVersion,
    /// The file. It is removed when it is saved, or can never be.
    pub path: PathBuf,
}

/// The end of saving a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SaveOutcome {
    /// The version is the last one.
    Saved,
    /// Another session has the lease, or has saved.
    LeaseLost,
    /// It was given up or the server stops. The file stays.
    Postponed,
}

/// A reason why an attempt has to be repeated.
#[derive(Debug, Error)]
enum SaveError {
    #[error(transparent)]
    Upload(#[from] BucketError),
    #[error("the store does not answer: {0}")]
    Commit(#[from] StoreError),
}

impl ProfileObjects {
    /// Starts a task that saves a profile. It owns the lease and releases it. If nobody receives
    /// the outcome, the task records it.
    pub(super) fn start_save(self: &Arc<Self>, save: Save) -> oneshot::Receiver<SaveOutcome> {
        let (sender, receiver) = oneshot::channel();
        let saving = self.begin_saving(save.lease.session_id);
        let objects = Arc::clone(self);
        let task = async move {
            let waiting = objects.metrics.profile_store().waiting();
            let outcome = objects.save(&save).await;
            drop((waiting, saving));
            if sender.send(outcome).is_err() {
                objects
                    .metrics
                    .profile_save_finished(outcome == SaveOutcome::Saved);
            }
        };
        // The span names the session in the log.
        self.tasks.spawn(task.in_current_span());
        receiver
    }

    /// Saves a profile, and releases its lease unless the server stops.
    async fn save(self: &Arc<Self>, save: &Save) -> SaveOutcome {
        let outcome = tokio::select! {
            outcome = self.keep_trying(save) => outcome,
            () = self.stop.cancelled() => {
                tracing::warn!(
                    profile = save.saved.record.name,
                    file = save.saved.record.id,
                    "profile not saved before the server stopped"
                );
                return SaveOutcome::Postponed;
            }
        };
        match outcome {
            SaveOutcome::Saved => tracing::info!(
                profile = save.saved.record.name,
                bytes = save.saved.record.size_bytes,
                "profile saved"
            ),
            SaveOutcome::LeaseLost => {
                self.metrics.profile_store().fenced();
                tracing::warn!(
                    profile = save.saved.record.name,
                    file = save.saved.record.id,
                    "profile save rejected: lease lost"
                );
            }
            SaveOutcome::Postponed => tracing::error!(
                profile = save.saved.record.name,
                file = save.saved.record.id,
                "profile not saved: attempts given up"
            ),
        }
        self.clear_up(save, outcome).await;
        self.release(save.lease.clone()).await;
        outcome
    }

    async fn keep_trying(&self, save: &Save) -> SaveOutcome {
        let until = Instant::now() + self.times.give_up;
        let (mut is_uploaded, mut was_delayed) = (false, false);
        loop {
            match self.attempt(save, &mut is_uploaded).await {
                Ok(outcome) => return outcome,
                Err(error) if was_delayed => {
                    tracing::debug!(profile = save.saved.record.name, %error, "profile save failed");
                }
                Err(error) => {
                    tracing::warn!(profile = save.saved.record.name, %error, "profile save delayed");
                    was_delayed = true;
                }
            }
            if Instant::now() + self.times.retry >= until {
                return SaveOutcome::Postponed;
            }
            sleep_until(Instant::now() + self.times.retry).await;
        }
    }

    async fn attempt(&self, save: &Save, is_uploaded: &mut bool) -> Result<SaveOutcome, SaveError> {
        let Save { lease, saved, path } = save;
        if !*is_uploaded {
            self.check_mark().await?;
            let path = path.clone();
            let file = blocking(move || File::open(path)).await;
            let file = file.map_err(BucketError::from)?;
            self.bucket.upload(&saved.object, file).await?;
            *is_uploaded = true;
        }
        if self.leases.commit(lease, saved).await? {
            return Ok(SaveOutcome::Saved);
        }
        // The answer to an earlier attempt may have been lost, and then the lease.
        let last = self.leases.saved(&lease.profile_id).await?;
        if last.object.as_ref() == Some(&saved.object) {
            return Ok(SaveOutcome::Saved);
        }
        Ok(SaveOutcome::LeaseLost)
    }

    /// Removes the packed profile and the checkpoint after the profile was saved, or if it can
    /// never be saved. The checkpoint is useless then, because it continues another version.
    async fn clear_up(&self, save: &Save, outcome: SaveOutcome) {
        if outcome != SaveOutcome::Postponed {
            let path = save.path.clone();
            if let Err(error) = blocking(move || remove(&path)).await {
                tracing::warn!(%error, "packed profile not removed");
            }
        }
        match outcome {
            SaveOutcome::LeaseLost => {
                if let Err(error) = self.bucket.delete(&save.saved.object).await {
                    // It is removed a day later.
                    tracing::debug!(%error, "object of a rejected save not removed");
                }
            }
            // What an earlier session could not save is older than this version.
            SaveOutcome::Saved | SaveOutcome::Postponed => {
                let (dir, id, fence) = (
                    self.dir.clone(),
                    save.lease.profile_id.clone(),
                    save.lease.fence,
                );
                let removed = blocking(move || remove_waiting_before(&dir, &id, fence)).await;
                if let Err(error) = removed {
                    tracing::warn!(%error, "packed profile not removed");
                }
            }
        }
    }
}
