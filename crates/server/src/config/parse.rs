//! Reading the command line and the environment.

#![expect(clippy::disallowed_methods, reason = "settings are read here")]

use std::collections::BTreeSet;
use std::error::Error as _;
use std::ffi::{OsStr, OsString};

use clap::builder::PossibleValue;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgMatches, Args, Command, Error};

use super::describe::with_bounds;
use super::error::ConfigError;
use super::isolation::ALLOW_REMOTE_ALIAS;
use super::server_limits::ServerLimits;
use super::settings::Config;

/// The settings that were renamed: the new variable and its old name.
const RENAMED: [(&str, &str); 1] = [(
    "HEARTH_DANGEROUSLY_ALLOW_REMOTE_UNSANDBOXED",
    ALLOW_REMOTE_ALIAS,
)];

/// A command line that cannot be used.
pub(crate) enum ParseError {
    /// A setting has a value that cannot be used.
    Setting(ConfigError),
    /// The arguments are invalid in another way, or request help or the version.
    Usage(Box<Error>),
}

/// Parses the arguments of a command whose subcommands have settings.
pub(crate) fn parse(command: Command, arguments: &[OsString]) -> Result<ArgMatches, ParseError> {
    let command = command.mut_subcommands(prepare);
    command
        .clone()
        .try_get_matches_from(arguments)
        .map_err(|error| match setting_error(&command, &error) {
            Some(error) => ParseError::Setting(error),
            None => ParseError::Usage(Box::new(error)),
        })
}

/// Parses the arguments like [`parse`], except that invalid settings keep their default. Returns
/// the errors about those settings as well.
pub(crate) fn parse_leniently(
    command: Command,
    arguments: &[OsString],
) -> Result<(ArgMatches, Vec<ConfigError>), ParseError> {
    let mut command = command.mut_subcommands(prepare);
    let mut arguments = arguments.to_vec();
    let mut errors = Vec::new();
    loop {
        let error = match command.clone().try_get_matches_from(&arguments) {
            Ok(matches) => return Ok((matches, errors)),
            Err(error) => error,
        };
        let setting = setting_error(&command, &error);
        let (Some(setting), Some(argument)) = (setting, argument_of(&command, &error)) else {
            return Err(ParseError::Usage(Box::new(error)));
        };
        let id = argument.get_id().clone();
        if !remove_flag(&argument, &mut arguments) {
            command = command.mut_subcommands(|command| {
                command.mut_args(|argument| {
                    if *argument.get_id() == id {
                        argument.env(None::<&str>)
                    } else {
                        argument
                    }
                })
            });
        }
        // The error remains if a default is invalid, because removing arguments does not change
        // defaults.
        if errors.len() > command_size(&command) {
            return Err(ParseError::Usage(Box::new(error)));
        }
        errors.push(setting);
    }
}

fn command_size(command: &Command) -> usize {
    command
        .get_subcommands()
        .map(|command| command.get_arguments().count())
        .sum()
}

/// Treats empty variables as not set, because compose files cannot omit a variable. Accepts the old
/// name of a setting if the new one is not set.
fn prepare(command: Command) -> Command {
    command.mut_args(|argument| {
        let Some(name) = argument.get_env().map(OsStr::to_owned) else {
            return with_bounds(argument);
        };
        let old = RENAMED.iter().find(|(new, _)| name == *new);
        let argument = match old {
            Some((_, old)) if is_empty(&name) && !is_empty(OsStr::new(old)) => argument.env(*old),
            _ if is_empty(&name) && std::env::var_os(&name).is_some() => argument.env(None::<&str>),
            _ => argument,
        };
        with_bounds(argument)
    })
}

fn is_empty(name: &OsStr) -> bool {
    std::env::var_os(name)
        .is_none_or(|value| value.to_str().is_some_and(|text| text.trim().is_empty()))
}

/// Returns the argument that an error is about.
fn argument_of(command: &Command, error: &Error) -> Option<Arg> {
    let Some(ContextValue::String(named)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    // The argument is named as in `--max-tabs <NUMBER>`.
    let flag = named.strip_prefix("--")?.split_whitespace().next()?;
    let mut arguments = command.get_subcommands().flat_map(Command::get_arguments);
    arguments
        .find(|argument| argument.get_long() == Some(flag))
        .cloned()
}

/// Returns an error about the value of a setting, with this program's wording.
fn setting_error(command: &Command, error: &Error) -> Option<ConfigError> {
    if error.kind() == ErrorKind::InvalidUtf8 {
        return not_utf8().map(|name| ConfigError::new(name, "the value is not UTF-8"));
    }
    let argument = argument_of(command, error)?;
    let variable = match argument.get_env() {
        Some(name) => name.to_string_lossy().into_owned(),
        None => format!(
            "HEARTH_{}",
            argument.get_long()?.to_uppercase().replace('-', "_")
        ),
    };
    let reason = match error.kind() {
        ErrorKind::ValueValidation => error.source()?.to_string(),
        ErrorKind::InvalidValue => {
            let Some(ContextValue::String(value)) = error.get(ContextKind::InvalidValue) else {
                return None;
            };
            if value.is_empty() {
                // The flag has no value.
                return None;
            }
            let allowed: Vec<_> = argument.get_possible_values();
            let allowed: Vec<_> = allowed.iter().map(PossibleValue::get_name).collect();
            format!("{value:?} is not one of: {}", allowed.join(", "))
        }
        _ => return None,
    };
    Some(ConfigError::new(variable, reason))
}

/// Removes a flag and its value, if present.
fn remove_flag(argument: &Arg, arguments: &mut Vec<OsString>) -> bool {
    let flag = format!("--{}", argument.get_long().unwrap_or_default());
    let with_value = format!("{flag}=");
    let is_flag = |word: &OsString| {
        word.to_str()
            .is_some_and(|word| word == flag || word.starts_with(&with_value))
    };
    let Some(index) = arguments.iter().position(is_flag) else {
        return false;
    };
    let removed = arguments.remove(index);
    if removed == *flag && index < arguments.len() {
        arguments.remove(index);
    }
    true
}

/// Returns the name of a `HEARTH_*` variable whose value is not UTF-8.
fn not_utf8() -> Option<String> {
    let mut variables =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    variables
        .find(|(name, value)| name.starts_with("HEARTH_") && value.to_str().is_none())
        .map(|(name, _)| name)
}

/// Returns the `HEARTH_*` variables of the environment that no setting has. Most of them are
/// misspelt.
pub(crate) fn unknown_variables() -> Vec<String> {
    let command = Config::augment_args(Command::new("serve"));
    let known: BTreeSet<&str> = command
        .get_arguments()
        .filter_map(|argument| argument.get_env()?.to_str())
        .chain(RENAMED.iter().map(|(_, old)| *old))
        .collect();
    let mut unknown: Vec<String> = std::env::vars_os()
        .filter_map(|(name, _)| name.into_string().ok())
        .filter(|name| name.starts_with("HEARTH_") && !known.contains(name.as_str()))
        .filter(|name| !ServerLimits::is_variable(name))
        .collect();
    unknown.sort();
    unknown
}

/// Returns the variables of the environment that have a new name, each with that name.
pub(crate) fn deprecated_variables() -> impl Iterator<Item = (&'static str, &'static str)> {
    RENAMED
        .into_iter()
        .filter(|(_, old)| std::env::var_os(old).is_some())
}

/// Returns the words of the command line, the program's name first.
pub(crate) fn arguments() -> Vec<OsString> {
    std::env::args_os().collect()
}

/// Returns true if the user wants no colors in a terminal (<https://no-color.org>).
pub(crate) fn wants_no_color() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}
