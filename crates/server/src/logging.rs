//! What the server says while it runs: one line for each event, for people or for machines.

use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;

use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::reload::Handle;

use crate::config::{Log, LogFormat};
use crate::report::Report;

/// Starts logging to standard error. `filter` is the value of `BALCONY_LOG`, which goes before the configured level.
///
/// # Errors
/// When `filter` is none.
pub fn start(log: &Log, filter: Option<&str>) -> Result<(), Report> {
    let colours = log.format == LogFormat::Text && io::stderr().is_terminal();
    let replace = match log.format {
        LogFormat::Text => install(text(log, filter, colours, io::stderr)?),
        LogFormat::Json => install(json(log, filter, io::stderr)?),
    }?;
    if !is_given(filter) {
        // The subscriber is the only one of the process, and so is this.
        let _ = REPLACE.set(replace);
    }
    Ok(())
}

/// What makes the log tell more or less while the server runs.
type Replace = Box<dyn Fn(EnvFilter) + Send + Sync>;

/// Absent while `BALCONY_LOG` decides.
static REPLACE: OnceLock<Replace> = OnceLock::new();

/// Another level from now on, unless `BALCONY_LOG` goes before it.
pub fn replace_level(log: &Log) {
    if let (Some(replace), Ok(filter)) = (REPLACE.get(), wanted(log, None)) {
        replace(filter);
    }
}

fn install((subscriber, replace): (impl Subscriber + Send + Sync, Replace)) -> Result<Replace, Report> {
    tracing::subscriber::set_global_default(subscriber)
        .map_err(|error| Report::failed(format!("logging cannot be started: {error}"), ""))?;
    Ok(replace)
}

/// Lines for people.
fn text<W>(
    log: &Log,
    filter: Option<&str>,
    colours: bool,
    writer: W,
) -> Result<(impl Subscriber + use<W>, Replace), Report>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt()
        .with_env_filter(wanted(log, filter)?)
        .with_ansi(colours)
        .with_writer(OneLine(writer))
        .with_filter_reloading();
    let replace = replacing(builder.reload_handle());
    Ok((builder.finish(), replace))
}

fn replacing<S: 'static>(handle: Handle<EnvFilter, S>) -> Replace {
    Box::new(move |filter| {
        // It fails only when the subscriber is gone, and with it whoever would read of it.
        let _ = handle.reload(filter);
    })
}

/// One JSON object in each line, the fields of the event beside its message.
fn json<W>(log: &Log, filter: Option<&str>, writer: W) -> Result<(impl Subscriber + use<W>, Replace), Report>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_env_filter(wanted(log, filter)?)
        .with_writer(OneLine(writer))
        .with_filter_reloading();
    let replace = replacing(builder.reload_handle());
    Ok((builder.finish(), replace))
}

fn wanted(log: &Log, filter: Option<&str>) -> Result<EnvFilter, Report> {
    // The database library tells every statement at debug: only its complaints are ours.
    let default = format!("{},sqlx=warn,hyper=warn", log.level.as_str());
    let directives = filter.filter(|_| is_given(filter)).unwrap_or(&default);
    EnvFilter::try_new(directives).map_err(|error| {
        Report::wrong_use(
            format!("BALCONY_LOG cannot be \"{directives}\": {error}"),
            "Write a level such as info, or levels for parts such as info,transport=debug.",
        )
    })
}

fn is_given(filter: Option<&str>) -> bool {
    filter.is_some_and(|filter| !filter.trim().is_empty())
}

/// Keeps an event on its line: what a peer sent may hold line breaks, and must not look like events of its own.
struct OneLine<W>(W);

impl<'w, W: MakeWriter<'w>> MakeWriter<'w> for OneLine<W> {
    type Writer = LineWriter<W::Writer>;

    fn make_writer(&'w self) -> Self::Writer {
        LineWriter(self.0.make_writer())
    }
}

struct LineWriter<W>(W);

impl<W: Write> Write for LineWriter<W> {
    /// Takes one whole event, as the formatter hands it over.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let line = event.strip_suffix(b"\n").unwrap_or(event);
        if line.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
            let mut escaped = Vec::with_capacity(line.len() + 16);
            for byte in line {
                match byte {
                    b'\n' => escaped.extend_from_slice(b"\\n"),
                    b'\r' => escaped.extend_from_slice(b"\\r"),
                    other => escaped.push(*other),
                }
            }
            escaped.push(b'\n');
            self.0.write_all(&escaped)?;
        } else {
            self.0.write_all(event)?;
        }
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::config::LogLevel;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Buffer {
        fn lines(&self) -> Vec<String> {
            String::from_utf8(self.0.lock().unwrap().clone())
                .unwrap()
                .lines()
                .map(str::to_owned)
                .collect()
        }
    }

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'w> MakeWriter<'w> for Buffer {
        type Writer = Buffer;

        fn make_writer(&'w self) -> Buffer {
            self.clone()
        }
    }

    fn log(format: LogFormat, level: LogLevel) -> Log {
        Log { format, level }
    }

    #[test]
    fn an_event_is_one_json_object_with_its_fields() {
        let buffer = Buffer::default();
        let (subscriber, _) = json(&log(LogFormat::Json, LogLevel::Info), None, buffer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(host = "montague.lit", listeners = 2, "listening");
            tracing::debug!("not told");
        });
        let lines = buffer.lines();
        assert_eq!(lines.len(), 1);
        let event: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!(event["message"], "listening");
        assert_eq!(event["host"], "montague.lit");
        assert_eq!(event["listeners"], 2);
        assert_eq!(event["level"], "INFO");
    }

    #[test]
    fn what_a_peer_sends_cannot_look_like_an_event_of_its_own() {
        let hostile = "juliet\n2026-11-20T00:00:00Z ERROR server: all is lost\r\n";
        let buffer = Buffer::default();
        let (subscriber, _) =
            text(&log(LogFormat::Text, LogLevel::Info), None, false, buffer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(resource = %hostile, "bound");
            tracing::info!("{hostile}");
        });
        let lines = buffer.lines();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].contains("\\n2026"), "{lines:?}");
    }

    #[test]
    fn the_level_changes_while_the_server_runs() {
        let buffer = Buffer::default();
        let (subscriber, replace) =
            text(&log(LogFormat::Text, LogLevel::Info), None, false, buffer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            for level in [LogLevel::Debug, LogLevel::Warn, LogLevel::Info] {
                // One place in the program, which remembers whether it is told.
                tracing::debug!("before {level:?}");
                replace(wanted(&log(LogFormat::Text, level), None).unwrap());
            }
            tracing::debug!("not told");
        });
        let lines = buffer.lines();
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].ends_with("before Warn"), "{lines:?}");
    }

    #[test]
    fn the_environment_goes_before_the_configured_level() {
        let buffer = Buffer::default();
        let configured = log(LogFormat::Text, LogLevel::Trace);
        let (subscriber, _) = text(&configured, Some("warn,server=error"), false, buffer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(target: "transport", "not told");
            tracing::warn!(target: "transport", "told");
            tracing::warn!(target: "server", "not told");
        });
        assert_eq!(buffer.lines().len(), 1);
        let report = text(&configured, Some("server=loud"), false, Buffer::default())
            .err()
            .unwrap();
        assert_eq!(report.exit, crate::report::Exit::WrongUse);
        assert!(
            report
                .message
                .starts_with("BALCONY_LOG cannot be \"server=loud\""),
            "{report}"
        );
    }
}
