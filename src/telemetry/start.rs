//! Where the log goes.

use std::io::IsTerminal;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

use super::{Format, Level, Options, line};

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
    Box::new(
        fmt::layer()
            .with_ansi(colour)
            .with_target(false)
            .with_writer(std::io::stderr),
    )
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
    use super::*;

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
