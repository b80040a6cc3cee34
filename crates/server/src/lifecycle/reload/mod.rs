//! Reloads settings while the server runs: on a signal, and keys also when their files change.
//!
//! A reload changes everything or nothing: if one setting is invalid, all keep their values. The
//! settings come from the files that `HEARTH_ENV_FILE`, `HEARTH_API_KEYS_FILE`,
//! `HEARTH_OPERATOR_KEY_FILE` and `HEARTH_CA_FILE` name, because nobody can change the environment
//! of a process.

mod request;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

pub(super) use self::request::accept_requests;
pub(crate) use self::request::{ReloadReport, request_reload};
use super::services::quota_max;
use super::setting_files::{FileStates, SettingFiles};
use super::signals::ReloadSignals;
use crate::api_keys::{ApiKeys, KeyChanges};
use crate::certificate_authorities::CertificateAuthorities;
use crate::config::{
    Change, Config, ConfigError, EnvFile, Unused, adopt_reloadable, changes, parse_again,
    read_env_file, unused_in_file,
};
use crate::http::state::AppState;
use crate::telemetry;

/// The interval between checks of the key files. A changed file is read when it has not changed
/// again for this time.
const CHECK_INTERVAL: Duration = Duration::from_secs(2);

/// The task that reloads settings.
pub(super) struct Reloader {
    /// The settings that are in effect.
    config: Arc<Config>,
    files: SettingFiles,
    /// The number of sessions that the server has user ids for.
    uid_count: Option<u16>,
    state: AppState,
    /// The certificate authorities of `HEARTH_CA_FILE`.
    authorities: Option<CertificateAuthorities>,
    /// The states of the key files when they were read.
    read: FileStates,
    /// Their states at the last check.
    seen: FileStates,
}

/// Settings that were read and are valid.
struct Settings {
    config: Config,
    keys: ApiKeys,
    authorities: Option<CertificateAuthorities>,
    changes: Vec<Change>,
    unused: Unused,
}

impl Reloader {
    /// Creates the task. `read` is the state of the key files when the server started.
    pub fn new(
        config: Arc<Config>,
        files: SettingFiles,
        read: FileStates,
        uid_count: Option<u16>,
        authorities: Option<CertificateAuthorities>,
        state: AppState,
    ) -> Reloader {
        Reloader {
            config,
            files,
            uid_count,
            state,
            authorities,
            seen: read.clone(),
            read,
        }
    }

    /// Reloads until `stop`.
    pub async fn run(mut self, mut signals: ReloadSignals, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.work(&mut signals) => {}
        }
    }

    async fn work(&mut self, signals: &mut ReloadSignals) {
        let (config, files) = (Arc::clone(&self.config), self.files.clone());
        let reading = spawn_blocking(move || read_settings_file(&config, &files));
        if let Ok(Ok(Some(file))) = reading.await {
            let _ = log_unused(&unused_in_file(&file));
        }
        let has_key_files = !self.read.is_empty();
        let mut checks = interval(CHECK_INTERVAL);
        checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = signals.next() => self.reload().await,
                _ = checks.tick(), if has_key_files => self.check_key_files().await,
            }
        }
    }

    /// Reads and applies all settings, and reports the result in the log and to `hearth reload`.
    async fn reload(&mut self) {
        let (config, files) = (Arc::clone(&self.config), self.files.clone());
        let reading = spawn_blocking(move || {
            // A file that changes after this is read again.
            let states = files.states(&config.key_files());
            (states, read_settings(&config, &files))
        });
        let applied = match reading.await {
            Ok((states, settings)) => {
                self.read = states;
                match settings {
                    Ok(settings) => self.apply(settings).await,
                    Err(error) => Err(error),
                }
            }
            Err(error) => Err(error.into()),
        };
        let report = match applied {
            Ok(lines) => ReloadReport {
                is_reloaded: true,
                text: lines.join("\n"),
            },
            Err(error) => {
                let text = format!("{error:#}");
                tracing::error!(error = text, "reload failed: settings kept");
                ReloadReport {
                    is_reloaded: false,
                    text: text + &ConfigError::fix_line(&error),
                }
            }
        };
        let dir = self.config.data_dir.clone();
        let written = spawn_blocking(move || report.write(&dir)).await;
        if let Ok(Err(error)) = written {
            tracing::warn!(%error, "reload report not written");
        }
    }

    /// Reads the key files if they have changed and are complete.
    async fn check_key_files(&mut self) {
        let (config, files) = (Arc::clone(&self.config), self.files.clone());
        let checking = spawn_blocking(move || files.states(&config.key_files()));
        let Ok(states) = checking.await else { return };
        // Another program may still be writing a file that has just changed.
        let is_settled = states == self.seen;
        self.seen = states;
        if !is_settled || self.seen == self.read {
            return;
        }
        self.read.clone_from(&self.seen);
        let (config, files) = (Arc::clone(&self.config), self.files.clone());
        let reading = spawn_blocking(move || read_keys(&config, &files)).await;
        let applied = reading
            .context("cannot read the key files")
            .and_then(|keys| self.apply_keys(keys?));
        if let Err(error) = applied {
            let error = format!("{error:#}");
            tracing::error!(error, "key files rejected: keys kept");
        }
    }

    /// Applies settings, logs the changes and returns them as lines.
    async fn apply(&mut self, settings: Settings) -> anyhow::Result<Vec<String>> {
        let Settings {
            config,
            keys,
            authorities,
            changes,
            unused,
        } = settings;
        // Nothing that follows these three can fail.
        self.check_keys(&keys)?;
        let trusted = self.apply_authorities(authorities).await?;
        telemetry::set_filter(&config.log)?;
        let allow = config.egress_policy().allow;
        let quota = quota_max(&config, self.uid_count);
        self.state
            .registry()
            .reconfigure(config.limits, quota, allow);
        self.config = Arc::new(config);
        let mut lines: Vec<String> = changes.iter().map(log_change).collect();
        lines.extend(self.apply_keys(keys)?);
        lines.extend(trusted);
        lines.extend(log_unused(&unused));
        tracing::info!("settings reloaded");
        if lines.is_empty() {
            lines.push("nothing changed".to_owned());
        }
        Ok(lines)
    }

    /// Replaces the keys. Logs the changes and returns them as a line, if there are any.
    fn apply_keys(&self, mut keys: ApiKeys) -> anyhow::Result<Option<String>> {
        self.check_keys(&keys)?;
        let current = self.state.keys();
        keys.continue_rates_of(&current);
        let changes = keys.changes_since(&current);
        let teams = self.state.registry().metrics().teams();
        teams.add(keys.teams());
        self.state.set_keys(keys);
        Ok((!changes.is_empty()).then(|| log_key_changes(&changes)))
    }

    /// Makes new sessions trust other certificate authorities. Returns the change as a line, if
    /// there is one.
    async fn apply_authorities(
        &mut self,
        authorities: Option<CertificateAuthorities>,
    ) -> Result<Option<String>, ConfigError> {
        if authorities == self.authorities {
            return Ok(None);
        }
        let registry = self.state.registry();
        registry
            .trust(&self.config.data_dir, authorities.as_ref())
            .await?;
        if let Some(firecrawl) = self.state.firecrawl() {
            firecrawl.trust(authorities.as_ref()).map_err(|error| {
                ConfigError::new("HEARTH_CA_FILE", format!("cannot use HTTPS: {error}"))
            })?;
        }
        let trusting = registry.profiles().trust(authorities.as_ref());
        trusting.map_err(|error| {
            ConfigError::new("HEARTH_CA_FILE", format!("cannot use HTTPS: {error}"))
        })?;
        self.authorities = authorities;
        Ok(Some("certificate authorities changed".to_owned()))
    }

    /// Returns an error if the keys would turn authentication on or off. A file that lost its keys
    /// by mistake must not let everybody in.
    fn check_keys(&self, keys: &ApiKeys) -> Result<(), ConfigError> {
        if keys.is_empty() == self.state.keys().is_empty() {
            return Ok(());
        }
        Err(ConfigError::new(
            "HEARTH_API_KEYS",
            "only a restart can turn authentication on or off",
        ))
    }
}

/// Reads the files with settings and keys. Blocks.
fn read_settings(current: &Config, files: &SettingFiles) -> anyhow::Result<Settings> {
    let file = read_settings_file(current, files)?;
    let next = parse_again(file.as_ref())?;
    let mut config = current.clone();
    adopt_reloadable(&mut config, &next);
    Ok(Settings {
        keys: read_keys(&config, files)?,
        authorities: config.certificates.read(&|path| files.open(path))?,
        changes: changes(current, &next),
        unused: file.as_ref().map(unused_in_file).unwrap_or_default(),
        config,
    })
}

/// Reads the file with settings, if there is one. Blocks.
fn read_settings_file(
    config: &Config,
    files: &SettingFiles,
) -> Result<Option<EnvFile>, ConfigError> {
    let path = config.env_file.as_ref();
    path.map(|path| read_env_file(path, |path| files.read(path)))
        .transpose()
}

/// Reads the key files. Blocks.
fn read_keys(config: &Config, files: &SettingFiles) -> anyhow::Result<ApiKeys> {
    Ok(config.keys_with(&|path| files.open(path))?)
}

/// Logs a change, and returns it as a line.
fn log_change(change: &Change) -> String {
    let Change {
        variable,
        from,
        to,
        is_reloadable,
    } = change;
    if *is_reloadable {
        tracing::info!(name = variable, from, to, "setting changed");
        format!("{variable} changed from {from} to {to}")
    } else {
        tracing::warn!(name = variable, from, to, "changed setting needs a restart");
        format!("{variable} needs a restart to change from {from} to {to}")
    }
}

/// Logs changes of keys, and returns them as a line. Keys are named by their teams.
fn log_key_changes(changes: &KeyChanges) -> String {
    let [added, removed] = [&changes.added, &changes.removed].map(|teams| teams.join(", "));
    let operator_changed = changes.is_operator_changed;
    tracing::info!(added, removed, operator_changed, "keys changed");
    let parts = [
        (!added.is_empty()).then(|| format!("added for {added}")),
        (!removed.is_empty()).then(|| format!("removed for {removed}")),
        operator_changed.then(|| "the operator's changed".to_owned()),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    format!("keys: {}", parts.join("; "))
}

/// Logs the settings of the file that have no effect, and returns them as lines.
fn log_unused(unused: &Unused) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, meant) in &unused.unknown {
        lines.push(describe_unknown(name, meant.as_deref()));
        if let Some(setting) = meant {
            tracing::warn!(name, "unknown setting ignored; did you mean {setting}?");
        } else {
            tracing::warn!(
                name,
                "unknown setting ignored; `hearth serve --help` lists all settings"
            );
        }
    }
    for name in &unused.overridden {
        lines.push(format!("{name} is overridden by a variable or a flag"));
        tracing::info!(name, "setting in file overridden by a variable or a flag");
    }
    lines
}

fn describe_unknown(name: &str, meant: Option<&str>) -> String {
    match meant {
        Some(setting) => format!("{name} is not a setting; did you mean {setting}?"),
        None => format!("{name} is not a setting"),
    }
}
