//! Settings of blocked hosts: advertisements and trackers.

use std::io::Read;
use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use hearth_egress::BlockList;

use super::error::ConfigError;
use super::keys::OpenFile;
use super::text::parse_trimmed;

const FILE: &str = "HEARTH_BLOCK_HOSTS_FILE";

/// The maximum size of the file. Long public lists have a few MiB.
const MAX_FILE_BYTES: u64 = 32 << 20;

/// The sessions that block hosts of advertisements and trackers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum BlockMode {
    /// All sessions whose request does not decline it.
    #[default]
    Default,
    /// The sessions whose request asks for it.
    Asked,
    /// No session.
    Never,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Egress")]
pub(crate) struct BlockingSettings {
    /// Sessions that block well-known hosts of advertisements and trackers: default (all except
    /// those created with blockAds: false), asked (those created with blockAds: true), or never
    #[arg(long = "block-ads", env = "HEARTH_BLOCK_ADS", value_name = "MODE",
          default_value = "default", value_parser = modes())]
    pub block_mode: BlockMode,

    /// File with further hosts to block, in the format of /etc/hosts or with one host in a line.
    /// Their subdomains are blocked too
    #[arg(long = "block-hosts-file", env = "HEARTH_BLOCK_HOSTS_FILE", value_name = "PATH",
          value_parser = parse_trimmed::<PathBuf>)]
    hosts_file: Option<PathBuf>,
}

impl BlockMode {
    /// Returns true if a session blocks, whose request asks for it, declines it, or does neither.
    pub fn blocks(self, asked: Option<bool>) -> bool {
        match self {
            BlockMode::Default => asked != Some(false),
            BlockMode::Asked => asked == Some(true),
            BlockMode::Never => false,
        }
    }
}

impl BlockingSettings {
    /// Returns the file with further hosts.
    pub fn file(&self) -> Option<&PathBuf> {
        self.hosts_file.as_ref()
    }

    /// Returns the hosts to block. Opens the file with `open`.
    pub fn read(&self, open: OpenFile<'_>) -> Result<BlockList, ConfigError> {
        let list = BlockList::built_in();
        let Some(path) = &self.hosts_file else {
            return Ok(list);
        };
        let mut text = String::new();
        // One byte more shows that the file is too large.
        let read =
            open(path).and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text));
        let shown = path.display();
        let length = read.map_err(|error| {
            ConfigError::new(FILE, format!("cannot read {shown}: {error}")).fixed_by(format!(
                "run `ls -l {shown}`: the file must exist, and the user who starts the server must be able to read it"
            ))
        })?;
        if length as u64 > MAX_FILE_BYTES {
            let too_large = format!(
                "cannot use {shown}: it has more than {} MiB",
                MAX_FILE_BYTES >> 20
            );
            return Err(ConfigError::new(FILE, too_large).fixed_by("use a shorter list"));
        }
        list.with_hosts(&text).map_err(|error| {
            ConfigError::new(FILE, format!("cannot use {shown}: {error}"))
                .fixed_by("use lines such as `0.0.0.0 ads.example` or `ads.example`")
        })
    }
}

fn modes() -> impl TypedValueParser<Value = BlockMode> {
    PossibleValuesParser::new(["default", "asked", "never"]).map(|mode| match mode.as_str() {
        "asked" => BlockMode::Asked,
        "never" => BlockMode::Never,
        _ => BlockMode::Default,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mode_and_the_request_decide_about_blocking() {
        let requests = [None, Some(true), Some(false)];
        for (mode, blocks) in [
            (BlockMode::Default, [true, true, false]),
            (BlockMode::Asked, [false, true, false]),
            (BlockMode::Never, [false, false, false]),
        ] {
            assert_eq!(requests.map(|asked| mode.blocks(asked)), blocks, "{mode:?}");
        }
    }
}
