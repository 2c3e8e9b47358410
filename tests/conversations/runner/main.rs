//! Plays the scripts of this directory (see `README.md`), each as one test that carries the clause in its name.
//!
//! In memory, in several orders of turns, and over real sockets against `balcony run`. What only a server in memory lets
//! happen says so in its script, and is listed as ignored over sockets.

mod memory;
mod pattern;
mod play;
mod script;
mod sockets;
mod stage;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

use crate::memory::Memory;
use crate::script::Conversation;
use crate::sockets::{Servers, Sockets};

/// Orders of turns that every conversation is played in.
const SEEDS: std::ops::Range<u64> = 0..4;

fn main() -> ExitCode {
    if let Some(exit) = sockets::be_the_server() {
        return exit;
    }
    let arguments = Arguments::from_args();
    let servers = Servers::default();
    match trials(&servers) {
        Ok(trials) => {
            let conclusion = libtest_mimic::run(&arguments, trials);
            servers.end();
            conclusion.exit_code()
        }
        Err(wrong) => {
            eprintln!("{wrong}");
            ExitCode::FAILURE
        }
    }
}

fn trials(servers: &Servers) -> Result<Vec<Trial>, String> {
    let mut conversations = Vec::new();
    for file in scripts()? {
        let text = std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        let named = file.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap_or(&file);
        conversations.extend(script::parse(named, &text)?);
    }
    let mut names = BTreeSet::new();
    for conversation in &conversations {
        if !names.insert(conversation.name.clone()) {
            return Err(format!(
                "{}: there are two of {}",
                conversation.file.display(),
                conversation.name
            ));
        }
    }
    let over_sockets: Vec<Trial> = conversations
        .iter()
        .map(|conversation| over_sockets(conversation.clone(), servers.clone()))
        .collect();
    Ok(conversations
        .into_iter()
        .map(in_memory)
        .chain(over_sockets)
        .collect())
}

fn in_memory(conversation: Conversation) -> Trial {
    let name = conversation.name.clone();
    let trial = Trial::test(name, move || {
        for seed in SEEDS {
            let mut stage = Memory::new(seed, &accounts(&conversation));
            play::play(&conversation, &mut stage)
                .map_err(|wrong| Failed::from(format!("{wrong}\n(seed {seed})")))?;
        }
        Ok(())
    });
    trial.with_kind("memory")
}

fn over_sockets(conversation: Conversation, servers: Servers) -> Trial {
    let name = conversation.name.clone();
    let Some(reason) = conversation.memory_only.clone() else {
        let play = move || {
            let mut stage = Sockets::new(&servers, &accounts(&conversation))?;
            if let Err(wrong) = play::play(&conversation, &mut stage) {
                return Err(Failed::from(format!(
                    "{wrong}\n    the server's log ends so:\n{}",
                    stage.log()
                )));
            }
            Ok(stage.finish(&servers)?)
        };
        return Trial::test(name, play).with_kind("sockets");
    };
    let because = format!("in memory only: {reason}");
    Trial::test(name, move || Err(Failed::from(because)))
        .with_kind("sockets")
        .with_ignored_flag(true)
}

/// Everybody who is named has an account.
fn accounts(conversation: &Conversation) -> Vec<String> {
    let named = conversation.lines.iter().flat_map(|line| line.act.accounts());
    named
        .map(script::Who::account)
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect()
}

fn scripts() -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    let read = |directory: &Path| {
        let entries =
            std::fs::read_dir(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
        entries
            .map(|entry| entry.map(|entry| entry.path()).map_err(|error| error.to_string()))
            .collect::<Result<Vec<_>, _>>()
    };
    for directory in read(Path::new(env!("CARGO_MANIFEST_DIR")))? {
        if directory.is_dir() {
            files.extend(
                read(&directory)?
                    .into_iter()
                    .filter(|file| file.extension().is_some_and(|end| end == "script")),
            );
        }
    }
    files.sort();
    Ok(files)
}
