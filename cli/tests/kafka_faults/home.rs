//! A cluster of several processes: an API, processors, and one that keeps the read models.

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

use crate::{
    checker,
    processes::{Cluster, Process, until},
    schemas::InPostgres,
    services::Services,
    story,
    told::{Told, while_asking},
};

/// How long the service may be away. It is back in a fraction of it where nothing else keeps the machine busy.
const AWAY: Duration = Duration::from_secs(60);

/// A ledger of its own on services that others had before.
pub(crate) struct Home<'a> {
    pub(crate) services: &'a Services,
    cluster: Cluster,
    /// The same ledger, to be reached through the network that breaks.
    behind: Cluster,
    pub(crate) postgres: InPostgres,
    /// What was found out besides how long the service was away.
    notes: Mutex<Vec<String>>,
}

impl<'a> Home<'a> {
    /// Has something go wrong.
    pub(crate) fn with(services: &'a Services, case: fn(&Self)) {
        let cluster = Cluster::init(&services.brokers);
        let behind = Cluster { brokers: services.network.brokers(), prefix: cluster.prefix.clone() };
        case(&Self { services, cluster, behind, postgres: InPostgres::new(&services.postgres), notes: Mutex::default() });
    }

    /// Starts a process with these roles, and more that is said on the command line.
    pub(crate) fn serve(&self, roles: &str, args: &[&str]) -> Process {
        self.serve_on(&self.cluster, roles, args)
    }

    /// One that reaches the brokers through the network that breaks.
    pub(crate) fn serve_behind(&self, roles: &str) -> Process {
        self.serve_on(&self.behind, roles, &[])
    }

    fn serve_on(&self, cluster: &Cluster, roles: &str, args: &[&str]) -> Process {
        let database = ["--roles", roles, "--postgres", &self.postgres.url, "--postgres-schema", &self.postgres.schema];
        cluster.serve(&[&database, args].concat())
    }

    /// Waits until two processors have half of the slices each.
    pub(crate) fn share_out(&self, processors: [&Process; 2]) {
        until("the slices are shared out", || processors.map(slices) == [4, 4]);
    }

    /// Has clients ask while something goes wrong; holds what came of it against what they were told.
    pub(crate) fn under_load(&self, api: &Process, meanwhile: impl FnOnce(&Told)) {
        story::open(api);
        let told = while_asking(|client, number, told| story::chapter(api, client, number, told), meanwhile);
        let void = checker::check(&self.cluster.ledger(), &self.postgres, &told);
        self.note(format!("{} commands, {void} void records", told.count()));
        eprintln!("the longest wait was {:.1} s; {}", told.longest().as_secs_f64(), self.notes.lock().expect("no panic").join("; "));
        assert!(told.longest() < AWAY, "somebody waited for {:?}", told.longest());
    }

    /// Waits until something is so again; notes how long that took.
    pub(crate) fn is_back(&self, what: &str, is_so: impl FnMut() -> bool) {
        let begun = Instant::now();
        until(what, is_so);
        self.note(format!("{what} after {:.1} s", begun.elapsed().as_secs_f64()));
        assert!(begun.elapsed() < AWAY, "{what}: {:?}", begun.elapsed());
    }

    /// Remembers something to be printed in the end.
    pub(crate) fn note(&self, note: String) {
        self.notes.lock().expect("no panic").push(note);
    }

    /// How many rows a view has in the database; none where that is away.
    pub(crate) fn rows(&self, view: &str) -> usize {
        let counted = self.postgres.sql(&format!("SELECT count(*)::text FROM {{}}.{view}"));
        counted.ok().and_then(|rows| rows[0][0].parse().ok()).unwrap_or(0)
    }
}

/// How many slices a processor writes.
pub(crate) fn slices(processor: &Process) -> u32 {
    processor.metric("pledger_processor_slices") as u32
}
