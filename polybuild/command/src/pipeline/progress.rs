//! What is shown of fetches: one stage each, and one of all of them together.

use std::{collections::BTreeMap, sync::Mutex};

use polybuild_fetch::{Fetcher, Progress, Request};

use crate::ui::{Stage, Ui, size};

/// Progress of one fetch: a stage that begins when something really is fetched.
pub(super) struct Shown<'a> {
    ui: &'a Ui,
    verb: &'static str,
    what: String,
    stage: Mutex<Option<Stage>>,
    all: Option<&'a All<'a>>,
}

impl<'a> Shown<'a> {
    pub(super) fn new(ui: &'a Ui, verb: &'static str, what: String) -> Shown<'a> {
        Shown {
            ui,
            verb,
            what,
            stage: Mutex::new(None),
            all: None,
        }
    }

    /// The same as one of several.
    pub(super) fn one_of(self, all: &'a All<'a>) -> Shown<'a> {
        Shown {
            all: Some(all),
            ..self
        }
    }
}

impl Progress for Shown<'_> {
    fn bytes(&self, id: &str, done: u64, total: Option<u64>) {
        if let Ok(mut stage) = self.stage.lock() {
            stage
                .get_or_insert_with(|| self.ui.stage(self.verb, &self.what))
                .bytes(done, total);
        }
        if let Some(all) = self.all {
            all.bytes(id, done);
        }
    }

    fn finished(&self, id: &str, bytes: u64, cached: bool) {
        if let Ok(mut stage) = self.stage.lock()
            && let Some(stage) = stage.take()
            && !cached
        {
            stage.finish(&size(bytes));
        }
        if let (Some(all), false) = (self.all, cached) {
            all.arrived(id, bytes);
        }
    }

    fn warning(&self, id: &str, message: &str) {
        self.ui.warn(&format!("{id}: {message}"));
    }
}

/// Several fetches together: how many have arrived of how many, and bytes of how many.
pub(super) struct All<'a> {
    ui: &'a Ui,
    /// What is to be fetched, as far as that is known before.
    count: usize,
    bytes: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    stage: Option<Stage>,
    /// Bytes by source.
    done: BTreeMap<String, u64>,
    arrived: usize,
}

impl<'a> All<'a> {
    pub(super) fn new(ui: &'a Ui, fetcher: &Fetcher, requests: &[Request]) -> All<'a> {
        // Whether a cached file is sound is seen when it is used.
        let fetched = requests.iter().filter(|request| {
            let pin = request.pin.as_ref();
            let cached = pin.is_some_and(|pin| fetcher.cache().path(&pin.sha256).is_file());
            request.local.is_none() && !cached
        });
        let sizes: Vec<u64> = fetched
            .map(|request| request.pin.as_ref().map_or(0, |pin| pin.size))
            .collect();
        All {
            ui,
            count: sizes.len(),
            bytes: sizes.iter().sum(),
            state: Mutex::new(State::default()),
        }
    }

    fn bytes(&self, id: &str, done: u64) {
        // One alone is shown by itself.
        if self.count < 2 {
            return;
        }
        let Ok(mut state) = self.state.lock() else {
            return;
        };
        state.done.insert(id.to_owned(), done);
        let sum = state.done.values().sum::<u64>();
        let stage = state.stage.get_or_insert_with(|| {
            self.ui
                .stage("Fetching", &format!("{} sources", self.count))
        });
        stage.bytes(sum.min(self.bytes), (self.bytes > 0).then_some(self.bytes));
    }

    fn arrived(&self, id: &str, bytes: u64) {
        self.bytes(id, bytes);
        if let Ok(mut state) = self.state.lock() {
            state.arrived += 1;
            let arrived = state.arrived;
            if let Some(stage) = &state.stage {
                stage.busy_with(&format!("{arrived} of {} there", self.count));
            }
        }
    }

    /// All are there.
    pub(super) fn finish(self) {
        let Ok(state) = self.state.into_inner() else {
            return;
        };
        if let Some(stage) = state.stage {
            stage.finish(&size(state.done.values().sum()));
        }
    }
}
