//! `balcony trace`: what passes, live, without what is in it.

use super::{Output, configuration_of_running, runtime, say_json};
use crate::admin::{Client, Traced};
use crate::cli::Arguments;
use crate::report::{Exit, Report};
use crate::terminal::say;

pub(super) fn trace(arguments: &Arguments, who: &str, output: Output) -> Result<Exit, Report> {
    let client = Client::new(&configuration_of_running(arguments)?.admin_socket());
    let show = |traced: Traced| match output {
        Output::Machines => say_json(&traced),
        Output::People => say(line(&traced)),
    };
    runtime()?.block_on(client.trace(who, show))??;
    Ok(Exit::Fine)
}

/// One stanza on one line.
fn line(traced: &Traced) -> String {
    let mut line = format!("{}  {:<11}  {}", traced.time, traced.border, traced.stanza);
    if let Some(kind) = &traced.r#type {
        line += &format!(" {kind}");
    }
    if let Some(id) = &traced.id {
        line += &format!(" {id:?}");
    }
    let or_nobody = |address: &Option<String>| address.clone().unwrap_or_else(|| "-".to_owned());
    line += &format!(
        "  {} → {}  {} bytes",
        or_nobody(&traced.from),
        or_nobody(&traced.to),
        traced.bytes
    );
    if let Some(error) = &traced.error {
        line += &format!("  error {error}");
    }
    if !traced.children.is_empty() {
        line += &format!("  {}", traced.children.join(", "));
    }
    if traced.missed > 0 {
        line = format!("({} passed too fast to be shown)\n{line}", traced.missed);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stanza_is_one_line() {
        let traced = Traced {
            time: "2026-11-20T12:00:00Z".to_owned(),
            border: "from client".to_owned(),
            stanza: "message".to_owned(),
            r#type: Some("chat".to_owned()),
            from: Some("romeo@montague.lit/orchard".to_owned()),
            to: Some("juliet@capulet.lit".to_owned()),
            id: Some("m\n1".to_owned()),
            children: vec!["body (jabber:client)".to_owned()],
            bytes: 120,
            ..Traced::default()
        };
        assert_eq!(
            line(&traced),
            "2026-11-20T12:00:00Z  from client  message chat \"m\\n1\"  romeo@montague.lit/orchard → juliet@capulet.lit  \
             120 bytes  body (jabber:client)"
        );
    }
}
