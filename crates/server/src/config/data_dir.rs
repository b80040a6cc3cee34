//! The data directory, for commands that need no other setting.

use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{ArgMatches, Args, Command, Error, FromArgMatches};

use super::settings::Config;

/// The name of the field in [`Config`].
const ID: &str = "data_dir";

/// The data directory. [`Config`] declares it.
#[derive(Clone, Debug)]
pub(crate) struct DataDir(pub PathBuf);

impl Args for DataDir {
    fn augment_args(command: Command) -> Command {
        let settings = Config::augment_args(Command::new("serve"));
        let setting = settings
            .get_arguments()
            .find(|setting| *setting.get_id() == ID);
        command.args(setting.cloned())
    }

    fn augment_args_for_update(command: Command) -> Command {
        DataDir::augment_args(command)
    }
}

impl FromArgMatches for DataDir {
    fn from_arg_matches(matches: &ArgMatches) -> Result<DataDir, Error> {
        let path = matches.get_one::<PathBuf>(ID).cloned();
        path.map(DataDir)
            .ok_or_else(|| Error::new(ErrorKind::MissingRequiredArgument))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = DataDir::from_arg_matches(matches)?;
        Ok(())
    }
}
