//! The working tree under test: its files, its crates, and cargo run inside it.

use std::cell::{OnceCell, RefCell};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};

use crate::metadata::Metadata;
use crate::service::{Service, ServiceForTests, variables};

/// A checkout of the workspace.
pub(crate) struct Tree {
    root: PathBuf,
    metadata: OnceCell<Metadata>,
    services: RefCell<Vec<ServiceForTests>>,
    without: Vec<Service>,
    left_out: RefCell<Vec<String>>,
}

impl Tree {
    /// The checkout this program was built from, so that it works from any directory inside.
    pub(crate) fn here() -> anyhow::Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in a workspace")?;
        ensure!(root.join("Cargo.lock").is_file(), "no Cargo.lock in {}", root.display());
        Ok(Self {
            root: root.to_owned(),
            metadata: OnceCell::new(),
            services: RefCell::default(),
            without: Vec::new(),
            left_out: RefCell::default(),
        })
    }

    /// The same, where the tests that need these services are left out.
    pub(crate) fn without(self, without: Vec<Service>) -> Self {
        Self { without, ..self }
    }

    /// Whether the tests that need the service are left out.
    pub(crate) fn is_without(&self, service: Service) -> bool {
        self.without.contains(&service)
    }

    /// Remembers tests that were left out.
    pub(crate) fn leave_out(&self, tests: Vec<String>) {
        self.left_out.borrow_mut().extend(tests);
    }

    /// The tests that were left out.
    pub(crate) fn left_out(&self) -> Vec<String> {
        self.left_out.borrow().clone()
    }

    /// Whether the service was kept.
    pub(crate) fn has(&self, service: Service) -> bool {
        self.services.borrow().iter().any(|known| known.service() == service)
    }

    /// Keeps a running service for the steps to come.
    pub(crate) fn keep_service(&self, service: ServiceForTests) {
        self.services.borrow_mut().push(service);
    }

    /// Takes down the services that were kept.
    pub(crate) fn drop_services(&self) -> anyhow::Result<()> {
        self.services.take().into_iter().try_for_each(ServiceForTests::down)
    }

    /// What tests are told of the services that run for them.
    pub(crate) fn variables(&self) -> anyhow::Result<Vec<(String, String)>> {
        variables(&self.services.borrow())
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A program to run at the root, with no standard input.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root).stdin(Stdio::null());
        command
    }

    /// Whether `cargo ARGS` succeeds; its output goes straight to ours.
    pub(crate) fn cargo(&self, args: &[&str], env: &[(&str, &str)]) -> anyhow::Result<bool> {
        let status = self
            .command("cargo")
            .args(args)
            .envs(env.iter().copied())
            .status()
            .with_context(|| format!("running cargo {}", args.join(" ")))?;
        Ok(status.success())
    }

    /// What a program prints; an error when it fails.
    pub(crate) fn output(&self, program: &str, args: &[&str]) -> anyhow::Result<String> {
        let what = || format!("{program} {}", args.join(" "));
        let output = self.command(program).args(args).stderr(Stdio::inherit()).output().with_context(|| format!("running {}", what()))?;
        if !output.status.success() {
            bail!("`{}` failed: {}", what(), output.status);
        }
        String::from_utf8(output.stdout).with_context(|| format!("{} printed no UTF-8", what()))
    }

    /// The packages and their dependencies, on every platform and with every feature; read once.
    pub(crate) fn metadata(&self) -> anyhow::Result<&Metadata> {
        if let Some(known) = self.metadata.get() {
            return Ok(known);
        }
        let json = self.output("cargo", &["metadata", "--quiet", "--format-version=1", "--locked", "--all-features"])?;
        let metadata = serde_json::from_str(&json).context("reading what cargo metadata says")?;
        Ok(self.metadata.get_or_init(|| metadata))
    }

    /// The files git tracks or would track, relative to the root, that exist and whose name ends
    /// in `suffix`.
    pub(crate) fn files(&self, suffix: &str) -> anyhow::Result<Vec<String>> {
        let args = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
        let listed = self.output("git", &args)?;
        let mut files: Vec<String> = listed
            .split('\0')
            .filter(|file| !file.is_empty() && file.ends_with(suffix))
            .filter(|file| self.root.join(file).is_file())
            .map(str::to_owned)
            .collect();
        files.sort_unstable();
        files.dedup();
        Ok(files)
    }

    /// The text of a file; `None` when it is not text.
    pub(crate) fn text(&self, file: &str) -> anyhow::Result<Option<String>> {
        let bytes = std::fs::read(self.root.join(file)).with_context(|| format!("reading {file}"))?;
        Ok(String::from_utf8(bytes).ok())
    }
}
