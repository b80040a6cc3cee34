//! The settings that `hearth doctor` checks.

use std::fs;

use crate::config::{Config, ConfigError, IsolationLevel, read_env_file, unused_in_file};

/// A configuration to check, and the errors of invalid settings, which have their default in it.
#[derive(Debug)]
pub(super) struct Subject {
    pub config: Config,
    pub errors: Vec<ConfigError>,
    /// The unknown settings of the file, each with the one that is probably meant.
    pub unknown_in_file: Vec<(String, Option<String>)>,
}

impl Subject {
    /// Adds the errors that parsing does not find. Blocks.
    pub fn new(mut config: Config, mut errors: Vec<ConfigError>) -> Subject {
        let is_bad = |name: &str| errors.iter().any(|error| error.variable == name);
        let mut more = Vec::new();
        let keys = config.keys();
        if let Ok(keys) = &keys {
            match config.read_cluster(keys) {
                Ok(cluster) => config.cluster = cluster,
                Err(error) => more.push(error),
            }
        }
        match keys {
            Ok(keys) if !is_bad("HEARTH_LISTEN") => more.extend(config.check_listen(&keys).err()),
            keys => more.extend(keys.err()),
        }
        if !is_bad("HEARTH_LISTEN") && !is_bad("HEARTH_ISOLATION") {
            more.extend(config.isolation.check_listen(config.listen).err());
        }
        more.extend(config.isolation.uids().err());
        let firecrawl = config.firecrawl.read(&|path| fs::File::open(path));
        more.extend(firecrawl.err());
        errors.extend(more);
        let path = config.env_file.as_ref();
        // Parsing has reported a file that cannot be read.
        let file = path.and_then(|path| read_env_file(path, |path| fs::read_to_string(path)).ok());
        let unknown_in_file = file.map(|file| unused_in_file(&file).unknown);
        Subject {
            unknown_in_file: unknown_in_file.unwrap_or_default(),
            config,
            errors,
        }
    }

    /// Returns the error about a setting, if it cannot be used.
    pub fn error(&self, variable: &str) -> Option<&ConfigError> {
        self.errors.iter().find(|error| error.variable == variable)
    }

    /// Returns the isolation level, which is `none` if the setting is invalid.
    pub fn level(&self) -> IsolationLevel {
        match self.error("HEARTH_ISOLATION") {
            Some(_) => IsolationLevel::None,
            None => self.config.isolation.level,
        }
    }
}
