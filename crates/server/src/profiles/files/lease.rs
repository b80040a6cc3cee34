//! The lease of a session on a profile in a file: checkout, checkpoints and commit.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use hearth_browser::CookieJar;
use hearth_contract::ProfileWarning;
use jiff::Timestamp;
use tokio::sync::Mutex;
use uuid::Uuid;

use super::catalog::{ProfileFiles, SaveLease};
use crate::profiles::checkout::CheckedOut;
use crate::profiles::file::{CHECKPOINT, Draft, Head, blocking, open_if_exists, remove};
use crate::profiles::id::ProfileId;
use crate::store::ProfileRecord;

/// A lease of a session on a profile in a file.
#[derive(Debug)]
pub(in crate::profiles) struct FileLease {
    profiles: Arc<ProfileFiles>,
    profile: ProfileId,
    /// Locked while writing, because a checkpoint may be in progress when the session ends.
    state: Mutex<State>,
    saves: bool,
}

#[derive(Debug)]
struct State {
    /// The version that was checked out, or empty if there was none.
    version: String,
    /// The cookies of the last checkpoint.
    cookies: Option<CookieJar>,
    /// The right to save, until it is released. Only a session that saves has it.
    lease: Option<SaveLease>,
}

impl ProfileFiles {
    /// Leases a profile, which may not exist yet, to a session. Returns `None` if the session saves
    /// and another session already saves to the profile.
    pub fn lease(self: &Arc<Self>, profile: ProfileId, saves: bool) -> Option<FileLease> {
        let lease = if saves {
            Some(self.lease_to_save(&profile.id)?)
        } else {
            None
        };
        Some(FileLease::new(Arc::clone(self), profile, lease))
    }
}

impl FileLease {
    fn new(profiles: Arc<ProfileFiles>, profile: ProfileId, lease: Option<SaveLease>) -> FileLease {
        let saves = lease.is_some();
        FileLease {
            profiles,
            profile,
            state: Mutex::new(State {
                version: String::new(),
                cookies: None,
                lease,
            }),
            saves,
        }
    }

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
        let profile = self.profile.clone();
        let path = self.path();
        let opened = blocking(move || {
            let Some(mut file) = open_if_exists(&path)? else {
                return Ok(None);
            };
            let head = Head::read(&mut file).and_then(|head| head.owned_by(&profile));
            Ok(Some((file, head)))
        });
        let opened = opened.await?;
        let is_missing = opened.is_none() && self.prune_if_missing().await;
        let warning = is_missing.then_some(ProfileWarning::Missing);
        let mut saved = None;
        if let Some((file, head)) = opened {
            let aside = file.try_clone()?;
            let unpacked = match head {
                Ok(head) => unpack(file).await.map(|()| head),
                Err(error) => Err(error),
            };
            match unpacked {
                Ok(head) => saved = Some(head),
                Err(error) if error.kind() == ErrorKind::InvalidData => {
                    tracing::warn!(
                        profile = self.profile.name,
                        file = self.profile.id,
                        %error,
                        "damaged profile moved aside"
                    );
                    return self.move_aside(aside).await;
                }
                Err(error) => return Err(error),
            }
        }
        let mut cookies = CookieJar::default();
        let has_files = saved.is_some();
        if let Some(head) = saved {
            (state.version, cookies) = (head.version, head.cookies);
        }
        Ok(match self.checkpoint_of(&state.version).await {
            Some(cookies) => CheckedOut {
                cookies,
                replaces_all: true,
                has_files,
                ..CheckedOut::default()
            },
            None => CheckedOut {
                cookies,
                has_files,
                warning,
                ..CheckedOut::default()
            },
        })
    }

    /// Returns true if the store has a record of the profile but its file is missing. Removes the
    /// record, so that only the first session gets a warning.
    async fn prune_if_missing(&self) -> bool {
        let known = self
            .profiles
            .store
            .profiles(&self.profile.team)
            .await
            .unwrap_or_default();
        let is_known = known.iter().any(|known| known.id == self.profile.id);
        let is_missing = is_known && !self.path().with_added_extension(CHECKPOINT).exists();
        if is_missing && let Err(error) = self.profiles.store.remove_profile(&self.profile.id).await
        {
            tracing::warn!(
                profile = self.profile.name,
                %error,
                "record of a missing profile not removed"
            );
        }
        is_missing
    }

    /// Returns true if a checkpoint was written.
    pub async fn has_checkpoint(&self) -> bool {
        self.state.lock().await.cookies.is_some()
    }

    async fn move_aside(&self, file: File) -> io::Result<CheckedOut> {
        let (profiles, id) = (Arc::clone(&self.profiles), self.profile.id.clone());
        blocking(move || profiles.move_aside(&id, &file)).await?;
        if let Err(error) = self.profiles.store.remove_profile(&self.profile.id).await {
            tracing::warn!(
                profile = self.profile.name,
                %error,
                "record of a damaged profile not removed"
            );
        }
        Ok(CheckedOut {
            warning: Some(ProfileWarning::Damaged),
            ..CheckedOut::default()
        })
    }

    /// Moves the last saved version aside, because no browser starts with it.
    pub async fn reject(&self) -> io::Result<()> {
        let path = self.path();
        let file = blocking(move || open_if_exists(&path)).await?;
        self.state.lock().await.version.clear();
        match file {
            Some(file) => self.move_aside(file).await.map(drop),
            None => Ok(()),
        }
    }

    /// Returns the cookies of a session that did not end cleanly. A running session does not share
    /// its cookies.
    async fn checkpoint_of(&self, version: &str) -> Option<CookieJar> {
        if !self.saves && self.profiles.is_leased(&self.profile.id) {
            return None;
        }
        let (profile, path) = (
            self.profile.clone(),
            self.path().with_added_extension(CHECKPOINT),
        );
        let read = blocking(move || {
            let Some(mut file) = open_if_exists(&path)? else {
                return Ok(None);
            };
            Head::read(&mut file)
                .and_then(|head| head.owned_by(&profile))
                .map(Some)
        });
        match read.await {
            Ok(head) => head
                .filter(|head| head.version == version)
                .map(|head| head.cookies),
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
        if state.lease.is_none() || state.cookies.as_ref() == Some(&cookies) {
            return Ok(());
        }
        let head = self.head(state.version.clone(), cookies.clone(), now);
        let path = self.path().with_added_extension(CHECKPOINT);
        let size_bytes = blocking(move || Draft::create(&path, &head)?.commit_draft()).await?;
        state.cookies = Some(cookies);
        if state.version.is_empty() {
            // The checkpoint is the only version of the profile.
            self.record(size_bytes, now).await;
        }
        Ok(())
    }

    /// Saves the data that `pack` writes, with `cookies` that the browser's directory does not
    /// hold. An error leaves the old version unchanged.
    pub async fn commit<F>(
        &self,
        cookies: CookieJar,
        now: Timestamp,
        pack: impl FnOnce(File) -> F,
    ) -> io::Result<()>
    where
        F: Future<Output = io::Result<()>>,
    {
        let mut state = self.state.lock().await;
        if state.lease.is_none() {
            return Ok(());
        }
        let version = Uuid::now_v7().to_string();
        let head = self.head(version.clone(), cookies, now);
        let path = self.path();
        let (draft, rest) = blocking(move || {
            let draft = Draft::create(&path, &head)?;
            let rest = draft.rest()?;
            Ok((draft, rest))
        })
        .await?;
        pack(rest).await?;
        let (profiles, checkpoint) = (
            Arc::clone(&self.profiles),
            self.path().with_added_extension(CHECKPOINT),
        );
        let size_bytes = blocking(move || {
            let _moving = profiles
                .moving
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let bytes = draft.commit_draft()?;
            // The checkpoint is now void, because it continues another version.
            if let Err(error) = remove(&checkpoint) {
                tracing::warn!(%error, "void profile checkpoint not removed");
            }
            Ok(bytes)
        })
        .await?;
        (state.version, state.cookies) = (version, None);
        self.record(size_bytes, now).await;
        tracing::info!(
            profile = self.profile.name,
            bytes = size_bytes,
            "profile saved"
        );
        Ok(())
    }

    async fn record(&self, size_bytes: u64, now: Timestamp) {
        let ProfileId { team, name, id } = self.profile.clone();
        let record = ProfileRecord {
            id,
            team,
            name,
            size_bytes,
            saved_at: now,
        };
        if let Err(error) = self.profiles.store.record_profile(&record).await {
            tracing::warn!(profile = record.name, %error, "profile record not written");
        }
    }

    /// Releases the right to save.
    pub async fn release(&self) {
        self.state.lock().await.lease = None;
    }

    fn path(&self) -> PathBuf {
        self.profiles.path(&self.profile.id)
    }

    fn head(&self, version: String, cookies: CookieJar, now: Timestamp) -> Head {
        let ProfileId { team, name, .. } = &self.profile;
        let (team, name) = (team.to_string(), name.clone());
        Head {
            team,
            name,
            version,
            saved_at_ms: now.as_millisecond(),
            continues: None,
            cookies,
        }
    }
}
