//! The services of a test run: brought up before the tests, and down after them.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::{Service, TOOLS, XTASK, jars, kafka, postgres, process::Group, scratch};
use crate::step::{Step, Verdict};
use crate::tree::Tree;

pub(crate) const KAFKA_STEP: Step = Step {
    name: "kafka",
    about: "a Kafka broker answers, for the tests that need one",
    advice: "see above; `cargo xtask test --without kafka` leaves those tests out",
    stops_the_run: false,
    run: |tree| run(tree, Service::Kafka),
};

pub(crate) const POSTGRES_STEP: Step = Step {
    name: "postgres",
    about: "a PostgreSQL server answers, for the tests that need one",
    advice: "see above; `cargo xtask test --without postgres` leaves those tests out",
    stops_the_run: false,
    run: |tree| run(tree, Service::Postgres),
};

/// A running service.
pub(crate) struct ServiceForTests {
    service: Service,
    /// How it is reached.
    address: String,
    /// Where it was started; nothing where it was running before.
    dir: Option<PathBuf>,
}

impl ServiceForTests {
    /// Starts it in a scratch folder that is named after its purpose, unless the environment names one that runs.
    pub(crate) fn up(tree: &Tree, service: Service, purpose: &str) -> anyhow::Result<Self> {
        let dir = scratch(tree, &format!("{}-{purpose}", service.name()));
        let given = env::var_os(service.variable()).is_some_and(|address| !address.is_empty());
        if !given {
            // What a run that was killed left behind.
            take_down(service, &dir)?;
        }
        let address = match service {
            Service::Kafka => kafka::up(&dir, 1, kafka::Jvm::SoonUp, Group::Ours)?,
            Service::Postgres => postgres::up(&dir)?,
        };
        Ok(Self { service, address, dir: (!given).then_some(dir) })
    }

    /// Which service it is.
    pub(crate) fn service(&self) -> Service {
        self.service
    }

    /// How it is reached.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Stops what was started for the tests.
    pub(crate) fn down(mut self) -> anyhow::Result<()> {
        self.dir.take().map_or(Ok(()), |dir| take_down(self.service, &dir))
    }
}

impl Drop for ServiceForTests {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.dir.take().map(|dir| take_down(self.service, &dir)) {
            eprintln!("{} was not taken down: {error:#}", self.service.name());
        }
    }
}

fn take_down(service: Service, dir: &Path) -> anyhow::Result<()> {
    match service {
        Service::Kafka => kafka::down(dir),
        Service::Postgres => postgres::down(dir),
    }
}

/// What tests are told: nothing of a service that does not run, though the environment may name one.
pub(crate) fn variables(running: &[ServiceForTests]) -> anyhow::Result<Vec<(String, String)>> {
    let address = |service| running.iter().find(|known| known.service == service).map(|known| known.address.clone()).unwrap_or_default();
    let mut variables: Vec<_> = Service::ALL.iter().map(|service| (service.variable().to_owned(), address(*service))).collect();
    let xtask = if running.is_empty() { PathBuf::new() } else { env::current_exe().context("the path of this program")? };
    variables.push((XTASK.to_owned(), xtask.display().to_string()));
    let has_kafka = running.iter().any(|known| known.service == Service::Kafka);
    variables.push((TOOLS.to_owned(), if has_kafka { jars::class_path()? } else { String::new() }));
    Ok(variables)
}

fn run(tree: &Tree, service: Service) -> anyhow::Result<Verdict> {
    if tree.is_without(service) {
        return Ok(Verdict::Passed(vec![format!("left out: --without {}", service.name())]));
    }
    let running = ServiceForTests::up(tree, service, "test")?;
    let summary = match &running.dir {
        Some(dir) => format!("started in {}", dir.display()),
        None => format!("{} names one", service.variable()),
    };
    tree.keep_service(running);
    Ok(Verdict::Passed(vec![summary]))
}
