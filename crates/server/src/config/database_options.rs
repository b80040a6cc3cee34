//! The database of a cluster, for commands that need no other setting.

use std::fs::File;
use std::path::PathBuf;

use clap::{ArgMatches, Args, Command, Error, FromArgMatches};

use super::cluster::{DATABASE_URL, DATABASE_URL_FILE, DatabaseUrl, value_or_file};
use super::error::ConfigError;
use super::settings::Config;

/// The names of the fields in [`Config`].
const IDS: [&str; 2] = ["database_url", "database_url_file"];

/// The settings of the database. [`Config`] declares them.
#[derive(Clone)]
pub(crate) struct DatabaseOptions {
    url: Option<String>,
    file: Option<PathBuf>,
}

/// Shows no password.
impl std::fmt::Debug for DatabaseOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DatabaseOptions { .. }")
    }
}

impl DatabaseOptions {
    /// Returns the URL of the database.
    pub fn url(&self) -> Result<DatabaseUrl, ConfigError> {
        let given = value_or_file(
            &|path| File::open(path),
            (DATABASE_URL, self.url.as_ref()),
            (DATABASE_URL_FILE, self.file.as_ref()),
        )?;
        let fix = format!("set {DATABASE_URL} to the value that the nodes have");
        let Some((variable, url)) = given else {
            return Err(ConfigError::new(DATABASE_URL, "a cluster needs a database").fixed_by(fix));
        };
        DatabaseUrl::parse(&url).map_err(|reason| ConfigError::new(variable, reason).fixed_by(fix))
    }
}

impl Args for DatabaseOptions {
    fn augment_args(command: Command) -> Command {
        let settings = Config::augment_args(Command::new("serve"));
        let wanted = settings
            .get_arguments()
            .filter(|setting| IDS.contains(&setting.get_id().as_str()));
        command.args(wanted.cloned().collect::<Vec<_>>())
    }

    fn augment_args_for_update(command: Command) -> Command {
        DatabaseOptions::augment_args(command)
    }
}

impl FromArgMatches for DatabaseOptions {
    fn from_arg_matches(matches: &ArgMatches) -> Result<DatabaseOptions, Error> {
        let [url, file] = IDS;
        Ok(DatabaseOptions {
            url: matches.get_one::<String>(url).cloned(),
            file: matches.get_one::<PathBuf>(file).cloned(),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = DatabaseOptions::from_arg_matches(matches)?;
        Ok(())
    }
}
