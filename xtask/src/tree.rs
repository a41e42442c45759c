//! The working tree under test: its files, its crates, and cargo run inside it.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};

use crate::metadata::Metadata;

/// A checkout of the workspace.
pub(crate) struct Tree {
    root: PathBuf,
    metadata: OnceCell<Metadata>,
}

impl Tree {
    /// The checkout this program was built from, so that it works from any directory inside.
    pub(crate) fn here() -> anyhow::Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in a workspace")?;
        ensure!(root.join("Cargo.lock").is_file(), "no Cargo.lock in {}", root.display());
        Ok(Self { root: root.to_owned(), metadata: OnceCell::new() })
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
