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
    last: Instant,
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
        Self { begun: Instant::now(), last: Instant::now(), bar }
    }

    pub(super) fn show(&mut self, progress: &Progress) {
        let line = self.line(progress);
        match &self.bar {
            Some(bar) => {
                if progress.steps > 0 && bar.length().is_none() {
                    // The directory is read: from here on it is known how much there is to do.
                    if let Ok(style) =
                        ProgressStyle::with_template("{bar:40} {pos}/{len} steps, {per_sec}, {eta} left  {msg}")
                    {
                        bar.set_style(style);
                    }
                    bar.set_length(progress.steps);
                }
                bar.set_position(progress.done);
                bar.set_message(line);
            }
            None if self.last.elapsed() >= REPEATED => {
                self.last = Instant::now();
                eprintln!("{line}");
            }
            None => {}
        }
    }

    fn line(&self, progress: &Progress) -> String {
        let Progress { pages, requests, refused, users, groups, memberships, steps, done } = *progress;
        let rate = (users + groups + memberships) / self.begun.elapsed().as_secs().max(1);
        let read = format!(
            "{users} users, {groups} groups, {memberships} memberships in {pages} pages; {requests} requests, {refused} \
             refused; {rate}/s"
        );
        if steps > 0 && self.bar.is_none() { format!("{read}; {done} of {steps} steps done") } else { read }
    }

    pub(super) fn end(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
