//! The configuration file: its keys are the flags of agent and controller, and its values stand
//! where neither a flag nor an environment variable says otherwise. One file may be for both: what
//! only the other has is left to it.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    ffi::OsString,
    fs,
    path::Path,
};

use anyhow::{Context as _, bail};
use clap::{Command, CommandFactory as _};
use serde::Deserialize;

use crate::cli::Cli;

/// The verbs that read it.
const VERBS: [&str; 2] = ["agent", "controller"];

/// A value of the file; every flag takes one of these.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Value {
    Flag(bool),
    Number(u64),
    Text(String),
}

/// The command line, with the configuration file's values as defaults of those verbs.
pub(crate) fn command() -> anyhow::Result<Command> {
    let command = Cli::command();
    match path(env::args_os()) {
        Some(path) => with_file(command, Path::new(&path)),
        None => Ok(command),
    }
}

/// The file that `--config` or `ETM_CONFIG` names. It must be known before the arguments are
/// parsed, since it changes their defaults.
fn path(arguments: impl Iterator<Item = OsString>) -> Option<OsString> {
    let lenient =
        Cli::command().ignore_errors(true).disable_help_flag(true).disable_version_flag(true);
    let lenient = VERBS.into_iter().fold(lenient, |command, verb| {
        command.mut_subcommand(verb, |verb| verb.disable_help_flag(true))
    });
    let matches = lenient.try_get_matches_from(arguments).ok()?;
    let (verb, matches) = matches.subcommand()?;
    let matches = VERBS.contains(&verb).then_some(matches)?;
    matches.get_raw("config")?.next().map(std::ffi::OsStr::to_owned)
}

fn with_file(command: Command, path: &Path) -> anyhow::Result<Command> {
    let text = fs::read_to_string(path)
        .with_context(|| format!("could not read configuration {}", path.display()))?;
    let values: BTreeMap<String, Value> = if text.trim().is_empty() {
        BTreeMap::new()
    } else {
        serde_saphyr::from_str_with_options(&text, serde_saphyr::options! { with_snippet: false })
            .with_context(|| format!("configuration {} is not a map of options", path.display()))?
    };
    let options = |verb| options(&command, verb);
    let known: Vec<String> = VERBS.into_iter().flat_map(options).collect();
    if let Some(unknown) = values.keys().find(|key| !known.contains(key)) {
        let known: BTreeSet<String> = known.into_iter().collect();
        bail!(
            "configuration {}: unknown option {unknown}; known are {}",
            path.display(),
            Vec::from_iter(known).join(", ")
        );
    }
    let own = VERBS.map(|verb| (verb, options(verb)));
    Ok(own.into_iter().fold(command, |command, (verb, own)| {
        command.mut_subcommand(verb, |verb| with_defaults(verb, &own, &values))
    }))
}

/// The options of a verb that the file may have.
fn options(command: &Command, verb: &str) -> Vec<String> {
    let arguments = command.find_subcommand(verb).into_iter().flat_map(Command::get_arguments);
    arguments
        .filter_map(|argument| argument.get_long().map(str::to_owned))
        .filter(|name| name != "config" && name != "help")
        .collect()
}

fn with_defaults(verb: Command, own: &[String], values: &BTreeMap<String, Value>) -> Command {
    values.iter().filter(|(key, _)| own.contains(key)).fold(verb, |verb, (key, value)| {
        let text = match value {
            Value::Flag(flag) => flag.to_string(),
            Value::Number(number) => number.to_string(),
            Value::Text(text) => text.clone(),
        };
        verb.mut_arg(key.replace('-', "_"), |argument| argument.required(false).default_value(text))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(line: &[&str]) -> Vec<OsString> {
        line.iter().map(OsString::from).collect()
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_file_is_found_before_the_arguments_are_complete() {
        let line = arguments(&["etm", "agent", "--config", "/x.yaml"]);
        assert_eq!(path(line.into_iter()), Some("/x.yaml".into()));
    }

    #[test]
    fn values_of_the_file_yield_to_flags() {
        let file = env::temp_dir().join(format!("etm-config-{}.yaml", std::process::id()));
        fs::write(&file, "manifests: /etc/etm\nmax-slots: 77\nunknown-port: refuse\n").unwrap();
        let command = with_file(Cli::command(), &file).unwrap();
        let matches = command.get_matches_from(arguments(&["etm", "agent", "--max-slots", "88"]));
        let agent = matches.subcommand_matches("agent").unwrap();
        assert_eq!(agent.get_one::<u32>("max_slots"), Some(&88));
        assert_eq!(agent.get_one::<std::path::PathBuf>("manifests"), Some(&"/etc/etm".into()));
        fs::remove_file(file).unwrap();
    }

    #[test]
    fn a_cluster_in_the_file() {
        let file = env::temp_dir().join(format!("etm-config-cluster-{}.yaml", std::process::id()));
        let text = "kubernetes: true\napi-server: a:6443,b\nadmin: 127.0.0.1:9440\n";
        fs::write(&file, text).unwrap();
        let matches = |line: &[&str]| {
            let command = with_file(Cli::command(), &file).unwrap();
            let matches = command.get_matches_from(arguments(line));
            matches.subcommand_matches("agent").unwrap().clone()
        };
        let agent = matches(&["etm", "agent"]);
        assert_eq!(agent.get_one::<bool>("kubernetes"), Some(&true));
        let servers: Vec<&String> = agent.get_many("api_server").unwrap().collect();
        assert_eq!(servers, ["a:6443", "b"]);
        let agent = matches(&["etm", "agent", "--kubernetes=false", "--api-server", "c,d"]);
        assert_eq!(agent.get_one::<bool>("kubernetes"), Some(&false));
        let servers: Vec<&String> = agent.get_many("api_server").unwrap().collect();
        assert_eq!(servers, ["c", "d"]);
        let agent = matches(&["etm", "agent", "--kubernetes"]);
        assert_eq!(agent.get_one::<bool>("kubernetes"), Some(&true));
        fs::remove_file(file).unwrap();
    }

    #[test]
    fn one_file_for_agent_and_controller() {
        let file = env::temp_dir().join(format!("etm-config-both-{}.yaml", std::process::id()));
        fs::write(&file, "max-slots: 77\nnamespace: net\ncontext: test\n").unwrap();
        let matches = |verb: &str| {
            let command = with_file(Cli::command(), &file).unwrap();
            let matches = command.get_matches_from(arguments(&["etm", verb]));
            matches.subcommand_matches(verb).unwrap().clone()
        };
        let (agent, controller) = (matches("agent"), matches("controller"));
        assert_eq!(agent.get_one::<u32>("max_slots"), Some(&77));
        assert_eq!(controller.get_one::<String>("namespace"), Some(&"net".to_owned()));
        for both in [agent, controller] {
            assert_eq!(both.get_one::<String>("context"), Some(&"test".to_owned()));
        }
        fs::remove_file(file).unwrap();
        let line = arguments(&["etm", "controller", "--config", "/x.yaml"]);
        assert_eq!(path(line.into_iter()), Some("/x.yaml".into()));
    }

    #[test]
    fn an_unknown_option_is_named() {
        let file = env::temp_dir().join(format!("etm-config-bad-{}.yaml", std::process::id()));
        fs::write(&file, "manifest: /etc/etm\n").unwrap();
        let error = with_file(Cli::command(), &file).unwrap_err().to_string();
        assert!(error.contains("unknown option manifest;"), "{error}");
        fs::remove_file(file).unwrap();
    }
}
