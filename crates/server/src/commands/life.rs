//! `balcony reload` and `balcony drain`: a running server takes over what has changed, or stops.

use std::time::{Duration, Instant};

use super::{Output, ask, configuration, configuration_of_running, misunderstood, say_json};
use crate::admin::{Reloaded, Reply, Request};
use crate::cli::Arguments;
use crate::report::{Exit, Report};
use crate::terminal::say;

/// A server that is told to stop has stopped within this time, or something is wrong with it.
const STOPPING_TIME: Duration = Duration::from_secs(20);

/// How often it is looked whether it has.
const LOOK_EVERY: Duration = Duration::from_millis(50);

pub(super) fn reload(arguments: &Arguments, output: Output) -> Result<Exit, Report> {
    let reply = ask(&configuration(arguments)?, &Request::Reload)?;
    let Reply::Reloaded(reloaded) = &reply else {
        return Err(misunderstood(&reply));
    };
    match output {
        Output::Machines => say_json(&reply),
        Output::People => tell(reloaded),
    }
    Ok(if reloaded.problems.is_empty() {
        Exit::Fine
    } else {
        Exit::Failed
    })
}

fn tell(reloaded: &Reloaded) {
    if reloaded.changed.is_empty() {
        say("No setting has changed; certificates were read anew.");
    } else {
        say("In force now:");
        reloaded.changed.iter().for_each(|key| say(format!("    {key}")));
    }
    if !reloaded.waiting_for_restart.is_empty() {
        say("Changed in the file, but only a restart takes it over:");
        for key in &reloaded.waiting_for_restart {
            say(format!("    {key}"));
        }
        say("Restart when it suits: sessions that can be resumed go on (systemctl restart balcony).");
    }
    reloaded.problems.iter().for_each(say);
}

pub(super) fn drain(arguments: &Arguments, is_final: bool, output: Output) -> Result<Exit, Report> {
    let configuration = configuration_of_running(arguments)?;
    #[allow(
        clippy::disallowed_methods,
        reason = "a command on a terminal waits in real time"
    )]
    let began = Instant::now();
    let reply = ask(&configuration, &Request::Drain { r#final: is_final })?;
    let Reply::Done = &reply else {
        return Err(misunderstood(&reply));
    };
    // The lock is the last thing that a server lets go.
    while crate::lock::Lock::is_held(&configuration.lock_file()) {
        if began.elapsed() > STOPPING_TIME {
            return Err(Report::failed(
                format!(
                    "the server is still there after {} seconds",
                    STOPPING_TIME.as_secs()
                ),
                "Its log says what it waits for.",
            ));
        }
        std::thread::sleep(LOOK_EVERY);
    }
    match output {
        Output::Machines => say_json(&reply),
        Output::People => say(format!(
            "The server has stopped ({:.1} s).",
            began.elapsed().as_secs_f64()
        )),
    }
    Ok(Exit::Fine)
}
