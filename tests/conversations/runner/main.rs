//! Plays the scripts of this directory (see `README.md`), each as one test that carries the clause in its name.
//!
//! In memory, in several orders of turns. Over real sockets they are not played yet.

mod memory;
mod pattern;
mod play;
mod script;
mod stage;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use libtest_mimic::{Arguments, Failed, Trial};

use crate::memory::Memory;
use crate::script::Conversation;

/// Orders of turns that every conversation is played in.
const SEEDS: std::ops::Range<u64> = 0..4;

fn main() -> std::process::ExitCode {
    let arguments = Arguments::from_args();
    match trials() {
        Ok(trials) => libtest_mimic::run(&arguments, trials).exit_code(),
        Err(wrong) => {
            eprintln!("{wrong}");
            std::process::ExitCode::FAILURE
        }
    }
}

fn trials() -> Result<Vec<Trial>, String> {
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
    Ok(conversations.into_iter().map(in_memory).collect())
}

fn in_memory(conversation: Conversation) -> Trial {
    Trial::test(conversation.name.clone(), move || {
        for seed in SEEDS {
            let mut stage = Memory::new(seed, &accounts(&conversation));
            play::play(&conversation, &mut stage)
                .map_err(|wrong| Failed::from(format!("{wrong}\n(seed {seed})")))?;
        }
        Ok(())
    })
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
