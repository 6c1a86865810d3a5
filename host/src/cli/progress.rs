//! How far a run is: a bar with counts and rate on a terminal, a line now and then elsewhere. What can't be shown is no reason to stop.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::sync::Progress;

/// How often a line is written where there is no terminal.
const REPEATED: Duration = Duration::from_secs(10);
/// How often the bar moves by itself.
const TICK: Duration = Duration::from_millis(120);

pub(super) struct Shown {
    begun: Instant,
    last: Option<Instant>,
    /// The newest.
    progress: Progress,
    /// `None`: no terminal.
    bar: Option<ProgressBar>,
}

impl Shown {
    pub(super) fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            bar.enable_steady_tick(TICK);
            bar
        });
        Self { begun: Instant::now(), last: None, progress: Progress::default(), bar }
    }

    pub(super) fn show(&mut self, progress: &Progress) {
        match &self.bar {
            Some(bar) => {
                if progress.steps > 0 && bar.length().is_none() {
                    // The directory is read: from here on it is known how much there is to do, and rate and time left count anew.
                    let line = self.read(progress);
                    bar.println(line);
                    let template = "{wide_bar} {pos}/{len} steps, {per_sec}, {eta} left";
                    if let Ok(style) = ProgressStyle::with_template(template) {
                        bar.set_style(style);
                    }
                    bar.set_length(progress.steps);
                    bar.reset_elapsed();
                    bar.reset_eta();
                }
                bar.set_position(progress.done);
                if progress.steps == 0 {
                    bar.set_message(self.read(progress));
                }
            }
            None if self.last.is_none_or(|last| last.elapsed() >= REPEATED) => self.write(progress),
            None => {}
        }
        self.progress = *progress;
    }

    fn write(&mut self, progress: &Progress) {
        self.last = Some(Instant::now());
        let Progress { steps, done, .. } = *progress;
        let steps = if steps > 0 { format!("; {done} of {steps} steps done") } else { String::new() };
        eprintln!("{}{steps}", self.read(progress));
    }

    /// In less than a line of a terminal.
    fn read(&self, progress: &Progress) -> String {
        let Progress { requests, refused, users, groups, memberships, .. } = *progress;
        let rate = (users + groups + memberships) / self.begun.elapsed().as_secs().max(1);
        let refused = if refused > 0 { format!(" ({refused} refused)") } else { String::new() };
        format!("{users} users, {groups} groups, {memberships} members; {requests} requests{refused}, {rate}/s")
    }

    /// The last word, where there is no bar: how far it came.
    pub(super) fn end(&mut self) {
        match &self.bar {
            Some(bar) => bar.finish_and_clear(),
            None => {
                let progress = self.progress;
                self.write(&progress);
            }
        }
    }
}
