//! The sections of scanners, [sieve.spam] and [sieve.virus]: checked as wholes, and as the filter takes them.

use super::reader::{Reader, Section};
use super::{Config, ScanKind, SpamHeaders, VirusHeaders};
use crate::sieve::{FieldPattern, Maximum, Points, Scale, Scanner, SpamSettings, Verdict};

/// The most that `virustest` answers (RFC 5235 §2.4).
const VIRUS_MAX: u8 = 5;

impl Config {
    /// What the filter's tests of spam and viruses look at.
    #[must_use]
    pub fn scanners(&self) -> SpamSettings {
        SpamSettings {
            spam: Written::from(&self.spam).scanner(),
            virus: Written::from(&self.virus).scanner(),
        }
    }

    /// Sections that look as if they meant something, and do not.
    pub(super) fn idle_scanners(&self) -> impl Iterator<Item = &'static str> {
        let sections = [
            (SpamHeaders::INFO.name, Written::from(&self.spam)),
            (VirusHeaders::INFO.name, Written::from(&self.virus)),
        ];
        let idle = |(name, written): (&'static str, Written<'_>)| {
            let set = written.max.is_some() || written.max_header.is_some() || !written.values.is_empty();
            (written.header.is_none() && set).then_some(name)
        };
        sections.into_iter().filter_map(idle)
    }
}

/// Reads [sieve.spam].
pub(super) fn spam(reader: &mut Reader<'_>) -> Option<SpamHeaders> {
    let read = SpamHeaders::read(reader)?;
    Written::from(&read).check(reader);
    Some(read)
}

/// Reads [sieve.virus].
pub(super) fn virus(reader: &mut Reader<'_>) -> Option<VirusHeaders> {
    let read = VirusHeaders::read(reader)?;
    Written::from(&read).check(reader);
    if read.values.iter().flatten().any(|verdict| verdict.value > VIRUS_MAX) {
        let what = format!("`virustest` is at most {VIRUS_MAX}");
        reader.wrong("values", what, "write a number from 0 to 5 before each word");
    }
    Some(read)
}

/// Either section.
struct Written<'a> {
    header: Option<&'a FieldPattern>,
    kind: ScanKind,
    max: Option<Points>,
    max_header: Option<&'a FieldPattern>,
    values: &'a [Verdict],
}

impl<'a> From<&'a SpamHeaders> for Written<'a> {
    fn from(section: &'a SpamHeaders) -> Written<'a> {
        Written {
            header: section.header.as_ref(),
            kind: section.kind,
            max: section.max,
            max_header: section.max_header.as_ref(),
            values: section.values.as_deref().unwrap_or_default(),
        }
    }
}

impl<'a> From<&'a VirusHeaders> for Written<'a> {
    fn from(section: &'a VirusHeaders) -> Written<'a> {
        Written {
            header: section.header.as_ref(),
            kind: section.kind,
            max: section.max,
            max_header: section.max_header.as_ref(),
            values: section.values.as_deref().unwrap_or_default(),
        }
    }
}

impl Written<'_> {
    fn check(&self, reader: &mut Reader<'_>) {
        if self.header.is_none() {
            return;
        }
        match self.kind {
            ScanKind::Text if self.values.is_empty() => {
                let help = "write values = [\"1 = No\", \"10 = Yes\"], in the words of the scanner";
                reader.wrong("header", "with kind = \"text\" the words must be known", help);
            }
            ScanKind::Text => {}
            _ if self.max.is_some() == self.max_header.is_some() => {
                let help = "write one of them, such as max = 15";
                reader.wrong("header", "either `max` or `max_header` must be set", help);
            }
            _ if !self.values.is_empty() => {
                let what = "`values` is for kind = \"text\" alone";
                reader.wrong("values", what, "leave it out, or change the kind");
            }
            _ => {}
        }
    }

    fn scanner(&self) -> Option<Scanner> {
        let maximum = || match (self.max, self.max_header) {
            (Some(points), _) => Some(Maximum::Points(points)),
            (None, field) => field.cloned().map(Maximum::Field),
        };
        Some(Scanner {
            field: self.header?.clone(),
            scale: match self.kind {
                ScanKind::Score => Scale::Score(maximum()?),
                ScanKind::Length => Scale::Length(maximum()?),
                ScanKind::Text => Scale::Text(self.values.to_vec()),
            },
        })
    }
}
