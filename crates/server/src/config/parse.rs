//! Reading the command line and the environment.

#![expect(clippy::disallowed_methods, reason = "settings are read here")]

use std::collections::BTreeSet;
use std::error::Error as _;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::{fs, io};

use clap::builder::PossibleValue;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgMatches, Args, Command, Error, FromArgMatches};

use super::describe::with_bounds;
use super::env_file::{self, EnvFile, Flags};
use super::error::ConfigError;
use super::isolation::ALLOW_REMOTE_ALIAS;
use super::server_limits::ServerLimits;
use super::settings::Config;
use super::suggest::{suggest_name, suggest_value};

/// The settings that were renamed: the new variable and its old name.
const RENAMED: [(&str, &str); 1] = [(
    "HEARTH_DANGEROUSLY_ALLOW_REMOTE_UNSANDBOXED",
    ALLOW_REMOTE_ALIAS,
)];

/// The variables that only clients have. One that looks like a misspelt setting is not here.
const OF_CLIENTS: [&str; 1] = ["HEARTH_URL"];

/// A command line that cannot be used.
pub(crate) enum ParseError {
    /// A setting has a value that cannot be used.
    Setting(ConfigError),
    /// The arguments are invalid in another way, or request help or the version.
    Usage(Box<Error>),
}

/// Parses the arguments of a command whose subcommands have settings. Reads the file with settings.
pub(crate) fn parse(command: Command, arguments: &[OsString]) -> Result<ArgMatches, ParseError> {
    let with_file = add_env_file(&command, arguments).map_err(ParseError::Setting)?;
    parse_all(command, &with_file)
}

/// Parses the settings of the running server again. `file` is the file with settings.
pub(crate) fn parse_again(file: Option<&EnvFile>) -> Result<Config, ConfigError> {
    let command = Command::new("hearth").subcommand(Config::augment_args(Command::new("serve")));
    let mut arguments = arguments();
    if let Some(file) = file {
        arguments = add_settings(file, &command, &arguments);
    }
    let usage = |error: Error| bad_file(error.to_string());
    let matches = parse_all(command, &arguments).map_err(|error| match error {
        ParseError::Setting(error) => error,
        ParseError::Usage(error) => usage(*error),
    })?;
    let serve = matches.subcommand_matches("serve");
    let serve = serve.ok_or_else(|| bad_file("the command is not `serve`".to_owned()))?;
    Config::from_arg_matches(serve).map_err(usage)
}

fn parse_all(command: Command, arguments: &[OsString]) -> Result<ArgMatches, ParseError> {
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
    let mut errors = Vec::new();
    let mut arguments = add_env_file(&command, arguments).unwrap_or_else(|error| {
        errors.push(error);
        arguments.to_vec()
    });
    let mut command = command.mut_subcommands(prepare);
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

/// Adds flags for the settings in the file that `HEARTH_ENV_FILE` names, if the command has
/// settings.
fn add_env_file(command: &Command, arguments: &[OsString]) -> Result<Vec<OsString>, ConfigError> {
    let has_settings = subcommand_of(command, arguments)
        .is_some_and(|(command, _)| command.get_arguments().any(|word| word.get_env().is_some()));
    let path = env_file::value_of_flag(env_file::FLAG, arguments)
        .or_else(|| std::env::var_os(env_file::VARIABLE))
        .filter(|path| has_settings && !path.to_string_lossy().trim().is_empty());
    let Some(path) = path else {
        return Ok(arguments.to_vec());
    };
    let path = path.to_string_lossy();
    let file = read_env_file(Path::new(path.trim()), |path| fs::read_to_string(path))?;
    Ok(add_settings(&file, command, arguments))
}

/// Reads the file with settings. `read` returns the text of a file.
pub(crate) fn read_env_file(
    path: &Path,
    read: impl FnOnce(&Path) -> io::Result<String>,
) -> Result<EnvFile, ConfigError> {
    let shown = path.display();
    let text = read(path).map_err(|error| bad_file(format!("cannot read {shown}: {error}")))?;
    EnvFile::parse(&text).map_err(|error| bad_file(format!("{shown}: {error}")))
}

/// Adds flags for the settings of a file to the arguments.
fn add_settings(file: &EnvFile, command: &Command, arguments: &[OsString]) -> Vec<OsString> {
    let Some((command, names)) = subcommand_of(command, arguments) else {
        return arguments.to_vec();
    };
    let flags = flags_of(file, command, arguments).added;
    // After the names of the program and of its command.
    let (words, rest) = arguments.split_at(names);
    [words, &flags, rest].concat()
}

fn flags_of(file: &EnvFile, command: &Command, arguments: &[OsString]) -> Flags {
    let names_of = |setting: &Arg| {
        let new = setting.get_env().and_then(OsStr::to_str);
        let old = RENAMED.iter().filter(|(name, _)| Some(*name) == new);
        let names = new.into_iter().chain(old.map(|(_, old)| *old));
        names.map(str::to_owned).collect()
    };
    file.flags(command, arguments, names_of, |name| {
        !is_empty(OsStr::new(name))
    })
}

/// The variables in a file with settings that have no effect.
#[derive(Debug, Default)]
pub(crate) struct Unused {
    /// No setting has them. Each comes with the one that is probably meant.
    pub unknown: Vec<(String, Option<String>)>,
    /// The environment or a flag overrides them.
    pub overridden: Vec<String>,
}

/// Returns the variables in the file with settings that have no effect.
pub(crate) fn unused_in_file(file: &EnvFile) -> Unused {
    let command = Config::augment_args(Command::new("serve"));
    let known = known_variables(&command);
    let unknown = file
        .names()
        .filter(|name| name.starts_with("HEARTH_") && !known.contains(name));
    Unused {
        unknown: with_suggestions(unknown.map(str::to_owned), &known),
        overridden: flags_of(file, &command, &arguments()).overridden,
    }
}

/// Returns the command that the first words name, such as `files ls`, and the number of these words
/// with the name of the program.
fn subcommand_of<'a>(command: &'a Command, arguments: &[OsString]) -> Option<(&'a Command, usize)> {
    let mut found = (command, 1);
    while let Some(word) = arguments.get(found.1)
        && let Some(below) = found.0.find_subcommand(word)
    {
        found = (below, found.1 + 1);
    }
    (found.1 > 1).then_some(found)
}

fn bad_file(reason: String) -> ConfigError {
    ConfigError::new(env_file::VARIABLE, reason).fixed_by(env_file::FIX)
}

fn command_size(command: &Command) -> usize {
    all_arguments(command).count()
}

/// Returns the arguments of all subcommands, and of those below them.
fn all_arguments(command: &Command) -> Box<dyn Iterator<Item = &Arg> + '_> {
    let below = command
        .get_subcommands()
        .flat_map(|command| command.get_arguments().chain(all_arguments(command)));
    Box::new(below)
}

/// Treats empty variables as not set, because compose files cannot omit a variable. Accepts the old
/// name of a setting if the new one is not set.
fn prepare(command: Command) -> Command {
    let command = command.mut_subcommands(prepare);
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
    all_arguments(command)
        .find(|argument| argument.get_long() == Some(flag))
        .cloned()
}

/// Returns an error about the value of a setting, with this program's wording.
fn setting_error(command: &Command, error: &Error) -> Option<ConfigError> {
    if error.kind() == ErrorKind::InvalidUtf8 {
        return not_utf8().map(|name| {
            let fix = format!("set {name} to a value in UTF-8");
            ConfigError::new(name, "the value is not UTF-8").fixed_by(fix)
        });
    }
    let argument = argument_of(command, error)?;
    // Options without a variable are not settings.
    let variable = argument.get_env()?.to_string_lossy().into_owned();
    let Some(ContextValue::String(value)) = error.get(ContextKind::InvalidValue) else {
        return None;
    };
    let reason = match error.kind() {
        ErrorKind::ValueValidation => error.source()?.to_string(),
        ErrorKind::InvalidValue => {
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
    // Settings of the file have become flags, too, but their user has not written one.
    let is_flag = find_flag(&argument, &arguments()).is_some();
    let error = ConfigError::new(variable, reason);
    Some(match suggest_value(&argument, value, is_flag) {
        Some(fix) => error.fixed_by(fix),
        None => error,
    })
}

/// Returns the position of a flag, which may contain its value.
fn find_flag(argument: &Arg, arguments: &[OsString]) -> Option<usize> {
    let flag = format!("--{}", argument.get_long()?);
    let with_value = format!("{flag}=");
    arguments.iter().position(|word| {
        word.to_str()
            .is_some_and(|word| word == flag || word.starts_with(&with_value))
    })
}

/// Removes a flag and its value, if present.
fn remove_flag(argument: &Arg, arguments: &mut Vec<OsString>) -> bool {
    let Some(index) = find_flag(argument, arguments) else {
        return false;
    };
    let removed = arguments.remove(index);
    let has_value = removed.to_string_lossy().contains('=');
    if !has_value && index < arguments.len() {
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

/// Returns the `HEARTH_*` variables of the environment that no setting has, each with the variable
/// that is probably meant.
pub(crate) fn unknown_variables() -> Vec<(String, Option<String>)> {
    let command = Config::augment_args(Command::new("serve"));
    let known = known_variables(&command);
    let mut unknown: Vec<String> = std::env::vars_os()
        .filter_map(|(name, _)| name.into_string().ok())
        .filter(|name| name.starts_with("HEARTH_") && !known.contains(name.as_str()))
        .filter(|name| !ServerLimits::is_variable(name) && !OF_CLIENTS.contains(&name.as_str()))
        .collect();
    unknown.sort();
    with_suggestions(unknown, &known)
}

/// Returns unknown names, each with the current one that is probably meant.
fn with_suggestions(
    unknown: impl IntoIterator<Item = String>,
    known: &BTreeSet<&str>,
) -> Vec<(String, Option<String>)> {
    let is_current = |name: &&str| RENAMED.iter().all(|(_, old)| old != name);
    let known: Vec<&str> = known.iter().copied().filter(is_current).collect();
    let unknown = unknown.into_iter().map(|name| {
        let meant = suggest_name(&name, &known);
        (name, meant)
    });
    unknown.collect()
}

/// Returns the variables of all settings, and their old names.
fn known_variables(command: &Command) -> BTreeSet<&str> {
    let variables = command
        .get_arguments()
        .filter_map(|argument| argument.get_env()?.to_str());
    variables
        .chain(RENAMED.iter().map(|(_, old)| *old))
        .collect()
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
