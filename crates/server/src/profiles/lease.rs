//! A session's hold on a profile: checking it out, its checkpoints, and its commit.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use hearth_browser::CookieJar;
use hearth_contract::ProfileWarning;
use jiff::Timestamp;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use uuid::Uuid;

use super::file::{Draft, Head, remove};
use super::{CHECKPOINT, Lease, ProfileId, Profiles, open_if_there};
use crate::store::ProfileRecord;

/// What a session starts with.
#[derive(Debug, Default)]
pub(crate) struct CheckedOut {
    /// Cookies that its browser is to be given.
    pub cookies: CookieJar,
    /// Whether they are all that there are, whatever the folder holds.
    pub are_all: bool,
    /// Something was unpacked.
    pub has_files: bool,
    /// What was saved is not what was written, and set aside, so that what was unpacked of it is to
    /// go; or it is not there.
    pub warning: Option<ProfileWarning>,
}

/// A session's hold on a profile.
#[derive(Debug)]
pub(crate) struct Hold {
    profiles: Arc<Profiles>,
    profile: ProfileId,
    /// One writer at a time, since a checkpoint may be on its way when the session ends.
    state: Mutex<State>,
    saves: bool,
}

#[derive(Debug)]
struct State {
    /// Of what was checked out; empty for nothing.
    version: String,
    /// The last checkpoint's.
    cookies: Option<CookieJar>,
    /// Gone once the profile is given up. Only a session that saves has one.
    lease: Option<Lease>,
}

impl Hold {
    pub(super) fn new(profiles: Arc<Profiles>, profile: ProfileId, lease: Option<Lease>) -> Hold {
        let saves = lease.is_some();
        Hold {
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

    /// The profile's name.
    pub fn name(&self) -> &str {
        &self.profile.name
    }

    /// Whether the session's changes are to go back.
    pub fn saves(&self) -> bool {
        self.saves
    }

    /// Hands what was saved last to `unpack`, if there is anything, and gives back what is not in
    /// it. An error leaves everything as it is.
    pub async fn check_out<F>(&self, unpack: impl FnOnce(File) -> F) -> io::Result<CheckedOut>
    where
        F: Future<Output = io::Result<()>>,
    {
        let mut state = self.state.lock().await;
        let profile = self.profile.clone();
        let place = self.place();
        let opened = blocking(move || {
            let Some(mut file) = open_if_there(&place)? else {
                return Ok(None);
            };
            let head = Head::read(&mut file).and_then(|head| own(head, &profile));
            Ok(Some((file, head)))
        });
        let opened = opened.await?;
        let is_missing = opened.is_none() && self.is_missed().await;
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
                    tracing::warn!(profile = self.profile.id, %error, "a profile is not what was written, and is set aside");
                    return self.set_aside(aside).await;
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
                are_all: true,
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

    /// Whether the profile is known to the store although it is not there; told once.
    async fn is_missed(&self) -> bool {
        let known = self
            .profiles
            .store
            .profiles(&self.profile.team)
            .await
            .unwrap_or_default();
        let is_known = known.iter().any(|known| known.id == self.profile.id);
        let is_missed = is_known && !self.place().with_added_extension(CHECKPOINT).exists();
        if is_missed && let Err(error) = self.profiles.store.forget_profile(&self.profile.id).await
        {
            tracing::warn!(%error, "a profile that is not there is still listed");
        }
        is_missed
    }

    /// Whether the session's cookies were written down while it ran.
    pub async fn has_checkpoint(&self) -> bool {
        self.state.lock().await.cookies.is_some()
    }

    async fn set_aside(&self, file: File) -> io::Result<CheckedOut> {
        let (profiles, id) = (Arc::clone(&self.profiles), self.profile.id.clone());
        blocking(move || profiles.set_aside(&id, &file)).await?;
        if let Err(error) = self.profiles.store.forget_profile(&self.profile.id).await {
            tracing::warn!(%error, "a profile that was set aside is still listed");
        }
        Ok(CheckedOut {
            warning: Some(ProfileWarning::Damaged),
            ..CheckedOut::default()
        })
    }

    /// Sets aside what was saved last: it was read as it was written, but no browser starts with
    /// it.
    pub async fn refuse(&self) -> io::Result<()> {
        let place = self.place();
        let file = blocking(move || open_if_there(&place)).await?;
        self.state.lock().await.version.clear();
        match file {
            Some(file) => self.set_aside(file).await.map(drop),
            None => Ok(()),
        }
    }

    /// The cookies that a session which did not come to its clean end has left. Those of one that
    /// lives are its own.
    async fn checkpoint_of(&self, version: &str) -> Option<CookieJar> {
        if !self.saves && self.profiles.is_leased(&self.profile.id) {
            return None;
        }
        let (profile, place) = (
            self.profile.clone(),
            self.place().with_added_extension(CHECKPOINT),
        );
        let read = blocking(move || {
            let Some(mut file) = open_if_there(&place)? else {
                return Ok(None);
            };
            Head::read(&mut file)
                .and_then(|head| own(head, &profile))
                .map(Some)
        });
        match read.await {
            Ok(head) => head
                .filter(|head| head.version == version)
                .map(|head| head.cookies),
            Err(error) => {
                tracing::warn!(profile = self.profile.id, %error, "a checkpoint of a profile cannot be read and is left out");
                None
            }
        }
    }

    /// Writes down the browser's cookies, all of them, unless they are those of the last time. Does
    /// nothing for a session that does not save, or has done so.
    pub async fn checkpoint(&self, cookies: CookieJar, now: Timestamp) -> io::Result<()> {
        let mut state = self.state.lock().await;
        if state.lease.is_none() || state.cookies.as_ref() == Some(&cookies) {
            return Ok(());
        }
        let head = self.head(state.version.clone(), cookies.clone(), now);
        let place = self.place().with_added_extension(CHECKPOINT);
        let size_bytes = blocking(move || Draft::begin(&place, &head)?.put_into_place()).await?;
        state.cookies = Some(cookies);
        if state.version.is_empty() {
            // It is all that there is of it by now.
            self.record(size_bytes, now).await;
        }
        Ok(())
    }

    /// Puts what `pack` writes in the place of what was saved before, with the cookies that it does
    /// not hold. When this fails everything is as it was.
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
        let place = self.place();
        let (draft, rest) = blocking(move || {
            let draft = Draft::begin(&place, &head)?;
            let rest = draft.rest()?;
            Ok((draft, rest))
        })
        .await?;
        pack(rest).await?;
        let (profiles, checkpoint) = (
            Arc::clone(&self.profiles),
            self.place().with_added_extension(CHECKPOINT),
        );
        let size_bytes = blocking(move || {
            let _moving = profiles
                .moving
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let bytes = draft.put_into_place()?;
            // It is void by now: it continues another version.
            if let Err(error) = remove(&checkpoint) {
                tracing::warn!(%error, "a checkpoint of a profile that was saved stays behind");
            }
            Ok(bytes)
        })
        .await?;
        (state.version, state.cookies) = (version, None);
        self.record(size_bytes, now).await;
        tracing::info!(
            profile = self.profile.id,
            bytes = size_bytes,
            "a profile is saved"
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
            tracing::warn!(profile = record.id, %error, "a profile was saved and is not listed as such before the next start");
        }
    }

    /// Lets the next session save to the profile.
    pub async fn release(&self) {
        self.state.lock().await.lease = None;
    }

    fn place(&self) -> PathBuf {
        self.profiles.place(&self.profile.id)
    }

    fn head(&self, version: String, cookies: CookieJar, now: Timestamp) -> Head {
        let ProfileId { team, name, .. } = &self.profile;
        let (team, name) = (team.to_string(), name.clone());
        Head {
            team,
            name,
            version,
            saved_at_ms: now.as_millisecond(),
            cookies,
        }
    }
}

/// The head, if it is that of `profile`.
fn own(head: Head, profile: &ProfileId) -> io::Result<Head> {
    if head.team == *profile.team && head.name == profile.name {
        Ok(head)
    } else {
        Err(ErrorKind::InvalidData.into())
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
}
