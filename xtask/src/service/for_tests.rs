//! The Kafka of a test run: brought up before the tests, and down after them.

use std::env;
use std::path::PathBuf;

use anyhow::Context;

use super::{KAFKA, XTASK, kafka, process::Group, scratch};
use crate::step::{Step, Verdict};
use crate::tree::Tree;

pub(crate) const STEP: Step = Step {
    name: "kafka",
    about: "a Kafka broker answers, for the tests that need one",
    advice: "see above; `cargo xtask test --without kafka` leaves those tests out",
    stops_the_run: false,
    run,
};

/// A running Kafka.
pub(crate) struct KafkaForTests {
    brokers: String,
    xtask: PathBuf,
    /// Where it was started; nothing where it was running before.
    dir: Option<PathBuf>,
}

impl KafkaForTests {
    fn up(tree: &Tree) -> anyhow::Result<Self> {
        let xtask = env::current_exe().context("the path of this program")?;
        let dir = scratch(tree, "kafka-test");
        let given = env::var_os(KAFKA).is_some_and(|brokers| !brokers.is_empty());
        if !given {
            // What a run that was killed left behind.
            kafka::down(&dir)?;
        }
        let brokers = kafka::up(&dir, 1, Group::Ours)?;
        Ok(Self { brokers, xtask, dir: (!given).then_some(dir) })
    }

    /// What tests are told where there is none, though the environment may name one.
    pub(crate) fn none() -> Vec<(String, String)> {
        [KAFKA, XTASK].map(|name| (name.to_owned(), String::new())).into()
    }

    /// What tests are told.
    pub(crate) fn variables(&self) -> Vec<(String, String)> {
        vec![(KAFKA.to_owned(), self.brokers.clone()), (XTASK.to_owned(), self.xtask.display().to_string())]
    }

    /// Stops what was started for the tests.
    pub(crate) fn down(mut self) -> anyhow::Result<()> {
        self.dir.take().map_or(Ok(()), |dir| kafka::down(&dir))
    }
}

impl Drop for KafkaForTests {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.dir.take().map(|dir| kafka::down(&dir)) {
            eprintln!("Kafka was not taken down: {error:#}");
        }
    }
}

fn run(tree: &Tree) -> anyhow::Result<Verdict> {
    if tree.is_without_kafka() {
        return Ok(Verdict::Passed(vec!["left out: --without kafka".to_owned()]));
    }
    let kafka = KafkaForTests::up(tree)?;
    let summary = match &kafka.dir {
        Some(dir) => format!("started at {}, in {}", kafka.brokers, dir.display()),
        None => format!("{KAFKA} names {}", kafka.brokers),
    };
    tree.keep_kafka(kafka);
    Ok(Verdict::Passed(vec![summary]))
}
