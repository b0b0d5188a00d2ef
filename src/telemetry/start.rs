//! Where the log goes.

use std::fmt::{Debug, Write};
use std::io::IsTerminal;

use tracing::field::Field;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

use super::line::{self, Cleaner};
use super::{Format, Level, Options};

/// Why the log cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The journal cannot be reached.
    #[error(
        "cannot reach the journal at /run/systemd/journal/socket; where systemd does not run, set format = \"human\" or \"json\" in [log]"
    )]
    Journald(#[source] std::io::Error),
    /// Somebody in this process has set up a log before.
    #[error("the log has been started before")]
    Twice,
}

/// Starts the log of this process.
///
/// # Errors
/// [`StartError`] where the journal cannot be reached, or a log was started before.
pub fn start(options: &Options) -> Result<(), StartError> {
    let format = resolve(options.format);
    let layer = match format {
        Format::Json => json(std::io::stderr),
        Format::Journald => journald()?,
        Format::Auto | Format::Human => human(),
    };
    let registry = Registry::default().with(layer.with_filter(filter(options.level)));
    registry.try_init().map_err(|_| StartError::Twice)?;
    line::spell_out(format == Format::Journald);
    Ok(())
}

type Boxed = Box<dyn Layer<Registry> + Send + Sync>;

fn human() -> Boxed {
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let colour = !plain && std::io::stderr().is_terminal();
    human_to(std::io::stderr, colour)
}

fn human_to<W>(writer: W, colour: bool) -> Boxed
where
    W: for<'a> fmt::MakeWriter<'a> + Send + Sync + 'static,
{
    Box::new(
        fmt::layer()
            .with_ansi(colour)
            .with_target(false)
            .fmt_fields(debug_fn(write_field).delimited(" "))
            .with_writer(writer),
    )
}

// Texts of scripts and of other servers stand in messages and causes of every room.
fn write_field(writer: &mut Writer<'_>, field: &Field, value: &dyn Debug) -> std::fmt::Result {
    match field.name() {
        "message" => {}
        name => write!(writer, "{name}=")?,
    }
    write!(Cleaner::new(writer), "{value:?}")
}

pub(super) fn json<W>(writer: W) -> Boxed
where
    W: for<'a> fmt::MakeWriter<'a> + Send + Sync + 'static,
{
    Box::new(
        fmt::layer()
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .with_writer(writer),
    )
}

fn journald() -> Result<Boxed, StartError> {
    let layer = tracing_journald::layer().map_err(StartError::Journald)?;
    let layer = layer
        .with_syslog_identifier("postroom".to_owned())
        .with_field_prefix(Some("POSTROOM".to_owned()));
    Ok(Box::new(layer))
}

// Other crates speak only of what is grave.
pub(super) fn filter(level: Level) -> EnvFilter {
    let others = if level == Level::Error { "error" } else { "warn" };
    EnvFilter::new(format!("{others},postroom={}", level.name()))
}

fn resolve(format: Format) -> Format {
    match format {
        Format::Auto if is_journal() => Format::Journald,
        Format::Auto => Format::Human,
        format => format,
    }
}

// systemd.exec(5): JOURNAL_STREAM names device and inode of the stream that a
// service got; only where standard error is still that one does it count.
fn is_journal() -> bool {
    let named = std::env::var("JOURNAL_STREAM").unwrap_or_default();
    match rustix::fs::fstat(std::io::stderr()) {
        Ok(stat) => named == format!("{}:{}", stat.st_dev, stat.st_ino),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_scripts_and_servers_say_stays_on_its_line() {
        let written = Written::default();
        let writer = written.clone();
        let layer = human_to(move || writer.clone(), false).with_filter(filter(Level::Info));
        let said = "550 no\r\nINFO mail id=\"FAKE\" status=\"delivered\"\u{1b}[2K";
        tracing::subscriber::with_default(Registry::default().with(layer), || {
            tracing::warn!(user = "ann\n", cause = %said, "a filter failed: {said}");
        });
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert!(text.ends_with('\n'), "{text}");
        assert!(!text.trim_end_matches('\n').contains(char::is_control), "{text:?}");
        assert!(text.contains(" WARN a filter failed: 550 no??INFO mail "), "{text}");
        assert!(text.contains(" user=\"ann\\n\" cause=550 no??INFO"), "{text}");
    }

    #[test]
    fn filters_by_level() {
        for (level, text) in [
            (Level::Error, "postroom=error,error"),
            (Level::Info, "postroom=info,warn"),
            (Level::Trace, "postroom=trace,warn"),
        ] {
            assert_eq!(filter(level).to_string(), text);
        }
    }

    #[test]
    fn a_missing_journal_names_the_remedy() {
        let error = StartError::Journald(std::io::ErrorKind::NotFound.into());
        assert!(error.to_string().contains("[log]"), "{error}");
    }
}
