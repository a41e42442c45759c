//! A server of a test's own, to be killed.

use std::{
    fs::Permissions,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Started by the program that `PLEDGER_XTASK` names; taken down in the end.
pub(crate) struct Server {
    xtask: PathBuf,
    dir: tempfile::TempDir,
    pub(crate) url: String,
}

impl Server {
    pub(crate) fn up(xtask: &Path) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        // The server may be another user's.
        std::fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).expect("its permissions");
        let mut server = Self { xtask: xtask.to_owned(), dir, url: String::new() };
        let said = server.xtask("up");
        server.url = said.trim().strip_prefix("PLEDGER_TEST_POSTGRES=").expect("it says where it is").to_owned();
        server
    }

    /// Kills it as a crash would.
    pub(crate) fn kill(&self) {
        self.xtask("kill");
    }

    /// Starts it again.
    pub(crate) fn start(&self) {
        self.xtask("start");
    }

    fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(&self.xtask);
        command.args(["postgres", verb, "--dir"]).arg(self.dir.path().join("postgres"));
        command.env_remove("PLEDGER_TEST_POSTGRES").stderr(Stdio::inherit());
        command
    }

    fn xtask(&self, verb: &str) -> String {
        let output = self.command(verb).output().expect("xtask");
        assert!(output.status.success(), "postgres {verb} failed");
        String::from_utf8(output.stdout).expect("text")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A test may have failed because it does not start.
        drop(self.command("down").status());
    }
}
