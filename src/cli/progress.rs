//! A bar on the terminal while something takes long.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Steps that are worth a bar where each of them is short.
const MANY: usize = 2000;

/// A bar on standard error, where that is a terminal; nothing otherwise. It is gone when this is dropped.
pub(super) struct Progress(ProgressBar);

impl Progress {
    /// A bar of so many steps, each of them one `what`.
    pub(super) fn new(steps: usize, what: &'static str) -> Progress {
        let bar = ProgressBar::with_draw_target(Some(steps as u64), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template(&format!(
            "{{bar:30}} {{pos}} of {{len}} {what}, {{eta}} left {{wide_msg}}"
        ));
        // A template that is wrong would be one of ours; the bar then looks otherwise.
        if let Ok(style) = style {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(500));
        Progress(bar)
    }

    /// A bar for so many short steps; none where they are few.
    pub(super) fn of_many(steps: usize, what: &'static str) -> Option<Progress> {
        (steps >= MANY).then(|| Progress::new(steps, what))
    }

    /// What is being done now.
    pub(super) fn at(&self, what: &str) {
        self.0.set_message(what.to_owned());
    }

    /// So many steps are done.
    pub(super) fn step(&self, steps: usize) {
        self.0.inc(steps as u64);
    }

    /// Writes a line to standard error above the bar.
    pub(super) fn say(&self, line: &str) {
        self.0.suspend(|| eprintln!("{line}"));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
