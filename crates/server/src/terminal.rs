//! Talking with the person or script in front: output that may break off, passwords that are not shown.

use std::io::{self, BufRead, IsTerminal, Write};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::admin::Password;
use crate::report::Report;

/// Writes a line to standard output. Whoever stops reading, such as `head`, has what it wanted.
pub fn say(line: impl AsRef<str>) {
    let _ = writeln!(io::stdout(), "{}", line.as_ref());
}

/// Writes a line to standard error.
pub fn complain(line: impl AsRef<str>) {
    let _ = writeln!(io::stderr(), "{}", line.as_ref());
}

/// Where a password comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordSource {
    /// The first line of standard input.
    StandardInput,
    /// The person at the terminal, asked twice.
    Terminal,
}

/// Reads a new password.
///
/// # Errors
/// When there is none, or the two that were typed differ.
pub fn new_password(source: PasswordSource) -> Result<Password, Report> {
    let unreadable = |error: io::Error| Report::failed(format!("the password cannot be read: {error}"), "");
    match source {
        PasswordSource::StandardInput => {
            Password::new(read_line(&mut io::stdin().lock()).map_err(unreadable)?)
        }
        PasswordSource::Terminal if !io::stdin().is_terminal() => Err(Report::wrong_use(
            "there is no terminal on which a password could be typed",
            "Give it on standard input, with --password-stdin.",
        )),
        PasswordSource::Terminal => {
            let first = Password::new(ask_unseen("New password: ").map_err(unreadable)?)?;
            let second = ask_unseen("Once more: ").map_err(unreadable)?;
            if first.reveal() == second {
                Ok(first)
            } else {
                Err(Report::wrong_use("the two passwords differ", "Try again."))
            }
        }
    }
}

fn read_line(input: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    input.read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn ask_unseen(question: &str) -> io::Result<String> {
    let _ = write!(io::stderr(), "{question}").and_then(|()| io::stderr().flush());
    let silence = Silence::new()?;
    let answer = read_line(&mut io::stdin().lock());
    drop(silence);
    complain("");
    answer
}

/// The terminal does not show what is typed, until this goes.
struct Silence(Termios);

impl Silence {
    fn new() -> io::Result<Silence> {
        let before = tcgetattr(io::stdin())?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &silent)?;
        Ok(Silence(before))
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_one_line_without_its_end() {
        for (input, line) in [
            ("rose\n", "rose"),
            ("rose\r\nmore\n", "rose"),
            ("rose", "rose"),
            (" a b \n", " a b "),
        ] {
            assert_eq!(read_line(&mut input.as_bytes()).unwrap(), line);
        }
    }
}
