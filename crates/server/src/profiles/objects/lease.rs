//! The lease of a session on a profile in object storage: checkout, checkpoints and commit.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::sync::Arc;

use hearth_browser::CookieJar;
use hearth_contract::ProfileWarning;
use jiff::Timestamp;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::catalog::ProfileObjects;
use super::keys::{checkpoint_key, damaged_key, new_version, version_key};
use super::save::{Save, SaveOutcome};
use super::waiting::waiting_path;
use crate::object_storage::BucketError;
use crate::profiles::checkout::{CheckedOut, CommitError};
use crate::profiles::file::{Draft, Head, MAX_HEAD_BYTES, START_BYTES, blocking};
use crate::profiles::id::ProfileId;
use crate::store::cluster::{FencedLease, LeaseOwner, SavedProfile, SavedVersion};
use crate::store::{ProfileRecord, StoreError};

/// A lease of a session on a profile in object storage.
#[derive(Debug)]
pub(in crate::profiles) struct ObjectLease {
    objects: Arc<ProfileObjects>,
    profile: ProfileId,
    /// Locked while writing, because a checkpoint may be in progress when the session ends.
    state: Mutex<State>,
    saves: bool,
}

#[derive(Debug)]
struct State {
    /// The cookies of the last checkpoint.
    cookies: Option<CookieJar>,
    /// True if no version was ever saved.
    is_new: bool,
    /// The right to save, until it is released. Only a session that saves has it.
    lease: Option<FencedLease>,
}

/// The last saved version of a profile.
enum Fetched {
    /// There is none.
    Nothing,
    /// Its object, on this machine.
    File(File),
    /// Its object does not exist.
    Missing,
}

impl ProfileObjects {
    /// Gives a session its profile. A session that saves has acquired `lease`.
    pub fn lease(self: &Arc<Self>, profile: ProfileId, lease: Option<FencedLease>) -> ObjectLease {
        ObjectLease {
            objects: Arc::clone(self),
            profile,
            saves: lease.is_some(),
            state: Mutex::new(State {
                cookies: None,
                is_new: true,
                lease,
            }),
        }
    }
}

impl ObjectLease {
    /// Returns the name of the profile.
    pub fn name(&self) -> &str {
        &self.profile.name
    }

    /// Returns true if the session saves its changes.
    pub fn saves(&self) -> bool {
        self.saves
    }

    /// Passes the last saved version to `unpack`, if there is one, and returns the state that is
    /// not part of it. An error changes nothing.
    pub async fn checkout<F>(&self, unpack: impl FnOnce(File) -> F) -> io::Result<CheckedOut>
    where
        F: Future<Output = io::Result<()>>,
    {
        let mut state = self.state.lock().await;
        let (saved, fetched) = self.fetch().await?;
        state.is_new = saved.object.is_none();
        let (head, warning) = match fetched {
            Fetched::Nothing => (None, None),
            Fetched::Missing => {
                self.objects.check_mark().await?;
                tracing::warn!(
                    profile = self.profile.name,
                    file = self.profile.id,
                    "missing profile forgotten"
                );
                self.forget(&saved).await?;
                state.is_new = true;
                (None, Some(ProfileWarning::Missing))
            }
            Fetched::File(file) => match self.unpack(file, &saved, unpack).await {
                Ok(head) => (Some(head), None),
                Err(error) if error.kind() == ErrorKind::InvalidData => {
                    self.log_damage(&error);
                    self.set_aside(&saved).await?;
                    state.is_new = true;
                    return Ok(CheckedOut {
                        warning: Some(ProfileWarning::Damaged),
                        ..CheckedOut::default()
                    });
                }
                Err(error) => return Err(error),
            },
        };
        let has_files = head.is_some();
        let checkpoint = self.checkpoint_of(&saved).await;
        Ok(match checkpoint {
            Some(cookies) => CheckedOut {
                cookies,
                replaces_all: true,
                has_files,
                ..CheckedOut::default()
            },
            None => CheckedOut {
                cookies: head.map(|head| head.cookies).unwrap_or_default(),
                has_files,
                warning,
                ..CheckedOut::default()
            },
        })
    }

    /// Fetches the last saved version.
    async fn fetch(&self) -> io::Result<(SavedProfile, Fetched)> {
        let mut saved = self.saved().await?;
        loop {
            let Some(object) = &saved.object else {
                return Ok((saved, Fetched::Nothing));
            };
            let file = self.objects.nameless_file().await?;
            let max_bytes = self.objects.max_bytes();
            match self.objects.bucket.download(object, file, max_bytes).await {
                Ok(file) => return Ok((saved, Fetched::File(file))),
                Err(BucketError::NotFound) => {}
                Err(error) => return Err(error.into()),
            }
            // A newer version may have been saved meanwhile, and the old one removed.
            let newest = self.saved().await?;
            if newest.object == saved.object {
                return Ok((saved, Fetched::Missing));
            }
            saved = newest;
        }
    }

    async fn saved(&self) -> io::Result<SavedProfile> {
        self.objects
            .leases
            .saved(&self.profile.id)
            .await
            .map_err(io::Error::other)
    }

    /// Reads the head of a version and unpacks the rest. Fails with [`ErrorKind::InvalidData`] if
    /// one of them is damaged.
    async fn unpack<F>(
        &self,
        file: File,
        saved: &SavedProfile,
        unpack: impl FnOnce(File) -> F,
    ) -> io::Result<Head>
    where
        F: Future<Output = io::Result<()>>,
    {
        let (profile, bytes) = (self.profile.clone(), saved.size_bytes);
        let reading = blocking(move || {
            let mut file = file;
            if file.metadata()?.len() != bytes {
                return Err(ErrorKind::InvalidData.into());
            }
            let head = Head::read(&mut file)?.owned_by(&profile)?;
            Ok((file, head))
        });
        let (file, head) = reading.await?;
        unpack(file).await?;
        Ok(head)
    }

    fn log_damage(&self, error: &io::Error) {
        tracing::warn!(
            profile = self.profile.name,
            file = self.profile.id,
            %error,
            "damaged profile moved aside"
        );
    }

    /// Keeps a damaged version under another key, and removes it from the list.
    async fn set_aside(&self, saved: &SavedProfile) -> io::Result<()> {
        if let Some(object) = &saved.object {
            let damaged = damaged_key(&self.profile.id);
            match self.objects.bucket.copy(object, &damaged).await {
                Ok(()) | Err(BucketError::NotFound) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.forget(saved).await
    }

    /// Removes the version from the list, unless another one was saved meanwhile.
    async fn forget(&self, saved: &SavedProfile) -> io::Result<()> {
        let leases = &self.objects.leases;
        let forgetting = leases.forget_object(&self.profile.id, saved.object.as_deref());
        forgetting.await.map_err(io::Error::other)
    }

    /// Returns true if a checkpoint was written.
    pub async fn has_checkpoint(&self) -> bool {
        self.state.lock().await.cookies.is_some()
    }

    /// Moves the last saved version aside, because no browser starts with it.
    pub async fn reject(&self) -> io::Result<()> {
        let mut state = self.state.lock().await;
        let saved = self.saved().await?;
        self.set_aside(&saved).await?;
        state.is_new = true;
        Ok(())
    }

    /// Returns the cookies of a session that did not end cleanly. A running session does not share
    /// its cookies.
    async fn checkpoint_of(&self, saved: &SavedProfile) -> Option<CookieJar> {
        if !self.saves && saved.is_leased {
            return None;
        }
        let key = checkpoint_key(&self.profile.id);
        let max_bytes = u64::from(MAX_HEAD_BYTES) + START_BYTES as u64;
        let read = match self.objects.bucket.read(&key, max_bytes).await {
            Ok(bytes) => Head::read(&mut bytes.as_ref().take(max_bytes))
                .and_then(|head| head.owned_by(&self.profile)),
            Err(BucketError::NotFound) => return None,
            Err(error) => Err(error.into()),
        };
        match read {
            Ok(head) => (head.version == saved.version).then_some(head.cookies),
            Err(error) => {
                tracing::warn!(
                    profile = self.profile.name,
                    file = self.profile.id,
                    %error,
                    "unreadable profile checkpoint ignored"
                );
                None
            }
        }
    }

    /// Writes a checkpoint of all cookies of the browser, unless they are unchanged. Does nothing
    /// for a session that does not save, or has saved already.
    pub async fn checkpoint(&self, cookies: CookieJar, now: Timestamp) -> io::Result<()> {
        let mut state = self.state.lock().await;
        let Some(lease) = &state.lease else {
            return Ok(());
        };
        if state.cookies.as_ref() == Some(&cookies) {
            return Ok(());
        }
        let leases = &self.objects.leases;
        let is_current = leases.is_current(lease).await;
        if !is_current.map_err(io::Error::other)? {
            return Err(io::Error::other(CommitError::LeaseLost));
        }
        let head = self.head(lease.version.clone(), None, cookies.clone(), now);
        let content = head.to_bytes()?;
        let record = self.record(content.len() as u64, now);
        let key = checkpoint_key(&self.profile.id);
        self.objects.bucket.put(&key, content.into()).await?;
        if state.is_new {
            // The checkpoint is the only version of the profile.
            let recording = leases.record_checkpoint(lease, &record);
            recording.await.map_err(io::Error::other)?;
        }
        state.cookies = Some(cookies);
        Ok(())
    }

    /// Saves the data that `pack` writes, with `cookies` that the browser's directory does not
    /// hold. An error leaves the old version unchanged, unless the profile still waits.
    pub async fn commit<F>(
        &self,
        cookies: CookieJar,
        now: Timestamp,
        pack: impl FnOnce(File) -> F,
    ) -> Result<(), CommitError>
    where
        F: Future<Output = io::Result<()>>,
    {
        let mut state = self.state.lock().await;
        let Some(lease) = &state.lease else {
            return Ok(());
        };
        let version = new_version(lease.fence);
        let head = self.head(version.clone(), Some(lease.version.clone()), cookies, now);
        let path = waiting_path(&self.objects.dir, &self.profile.id, &version);
        let drafting = blocking({
            let path = path.clone();
            move || {
                let draft = Draft::create(&path, &head)?;
                let rest = draft.rest()?;
                Ok((draft, rest))
            }
        });
        let (draft, rest) = drafting.await?;
        pack(rest).await?;
        let size_bytes = blocking(move || draft.commit_draft()).await?;
        // From now on, the task that saves owns the lease.
        let Some(lease) = state.lease.take() else {
            return Ok(());
        };
        let save = Save {
            lease,
            saved: SavedVersion {
                record: self.record(size_bytes, now),
                object: version_key(&self.profile.id, &version),
                version,
            },
            path,
        };
        let mut outcome = self.objects.start_save(save);
        let waited = timeout(self.objects.times.wait, &mut outcome).await;
        outcome.close();
        let outcome = match waited {
            Ok(outcome) => outcome.ok(),
            // It may have arrived in the meantime.
            Err(_) => outcome.try_recv().ok(),
        };
        match outcome {
            Some(SaveOutcome::Saved) => {
                state.cookies = None;
                Ok(())
            }
            Some(SaveOutcome::LeaseLost) => Err(CommitError::LeaseLost),
            Some(SaveOutcome::Postponed) | None => Err(CommitError::Waiting),
        }
    }

    /// Releases the right to save, unless the profile is still being saved.
    pub async fn release(&self) {
        let lease = self.state.lock().await.lease.take();
        if let Some(lease) = lease {
            self.objects.release(lease).await;
        }
    }

    /// Takes the lease again after the store has forgotten it. Returns false, and ends the lease,
    /// if another session has it or has saved.
    pub async fn reacquire(&self, owner: LeaseOwner<'_>) -> Result<bool, StoreError> {
        let mut state = self.state.lock().await;
        let Some(lease) = &state.lease else {
            return Ok(!self.saves);
        };
        let acquired = self.objects.leases.reacquire(lease, owner).await?;
        state.lease = acquired;
        Ok(state.lease.is_some())
    }

    fn record(&self, size_bytes: u64, saved_at: Timestamp) -> ProfileRecord {
        let ProfileId { team, name, id } = self.profile.clone();
        ProfileRecord {
            id,
            team,
            name,
            size_bytes,
            saved_at,
        }
    }

    fn head(
        &self,
        version: String,
        continues: Option<String>,
        cookies: CookieJar,
        now: Timestamp,
    ) -> Head {
        let ProfileId { team, name, .. } = &self.profile;
        let (team, name) = (team.to_string(), name.clone());
        Head {
            team,
            name,
            version,
            saved_at_ms: now.as_millisecond(),
            continues,
            cookies,
        }
    }
}

impl Drop for ObjectLease {
    fn drop(&mut self) {
        // A session that failed to start. Otherwise its end has released the lease.
        if let Some(lease) = self.state.get_mut().lease.take() {
            let objects = Arc::clone(&self.objects);
            let tasks = objects.tasks.clone();
            tasks.spawn(async move { objects.release(lease).await });
        }
    }
}
