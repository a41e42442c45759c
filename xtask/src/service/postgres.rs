//! A PostgreSQL for the tests, from the binaries that are installed.

use std::env;
use std::fmt::Write as _;
use std::io::Read as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};
use serde::{Deserialize, Serialize};

use super::{POSTGRES, process};

/// The oldest release that the read models are tested on.
const OLDEST: u32 = 15;
/// The user that the server runs as where we are root, which PostgreSQL refuses.
const SYSTEM_USER: &str = "postgres";
/// The database's own user.
const USER: &str = "pledger";
/// The file that says what was started.
const STATE: &str = "postgres.json";

/// What was started.
#[derive(Serialize, Deserialize)]
struct Server {
    bin: PathBuf,
    url: String,
    port: u16,
}

/// Starts a server in `dir` and waits until it answers; answers its URL. Uses that of `PLEDGER_TEST_POSTGRES` where set.
pub(crate) fn up(dir: &Path) -> anyhow::Result<String> {
    if let Ok(given) = env::var(POSTGRES)
        && !given.is_empty()
    {
        return Ok(given);
    }
    if let Some(server) = load(dir)? {
        if is_up(&server, dir)? {
            bail!("already up: {POSTGRES}={}; `cargo xtask postgres down` stops it", server.url);
        }
        std::fs::remove_dir_all(dir).with_context(|| format!("clearing {}", dir.display()))?;
    }
    let bin = binaries()?;
    std::fs::create_dir_all(dir).with_context(|| format!("creating {}", dir.display()))?;
    let started = make(dir, bin);
    if started.is_err() {
        drop(down(dir));
    }
    started
}

fn make(dir: &Path, bin: PathBuf) -> anyhow::Result<String> {
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700))?;
    if let Some((uid, gid)) = server_user()? {
        chown(dir, Some(uid), Some(gid)).with_context(|| format!("giving {} to {SYSTEM_USER}", dir.display()))?;
    }
    let password = password()?;
    let secret = dir.join("password");
    // The folder is the server's alone, so nobody else reads it.
    std::fs::write(&secret, &password)?;
    let data = data(dir);
    let port = process::free_ports(1)?[0];
    let server = Server { bin, url: format!("postgres://{USER}:{password}@127.0.0.1:{port}/postgres"), port };
    std::fs::write(dir.join(STATE), serde_json::to_vec_pretty(&server)?).context("writing what is started")?;
    let pwfile = format!("--pwfile={}", secret.display());
    let initdb = ["-D", &data, "-U", USER, "--auth=scram-sha-256", &pwfile, "-E", "UTF8", "--locale=C", "--no-sync"];
    run(&server.bin, "initdb", &initdb, dir)?;
    launch(&server, dir)?;
    Ok(server.url)
}

/// Starts the server that was made in `dir` and waits until it answers.
fn launch(server: &Server, dir: &Path) -> anyhow::Result<()> {
    let log = dir.join("postgres.log").to_string_lossy().into_owned();
    let options = format!("-c listen_addresses=127.0.0.1 -c port={} -c unix_socket_directories=", server.port);
    run(&server.bin, "pg_ctl", &["-D", &data(dir), "-l", &log, "-o", &options, "-w", "-t", "60", "start"], dir).with_context(|| {
        let said = std::fs::read_to_string(&log).unwrap_or_default();
        format!("PostgreSQL did not start; its log:\n{said}")
    })
}

/// Kills the server that was started in `dir`, as a crash of its machine would; its data stays.
pub(crate) fn kill(dir: &Path) -> anyhow::Result<()> {
    load(dir)?.with_context(|| format!("no PostgreSQL was started in {}", dir.display()))?;
    let file = dir.join("data/postmaster.pid");
    let text = std::fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
    let pid = text.lines().next().and_then(|line| line.trim().parse().ok()).context("the server recorded no id")?;
    let children = process::children(pid)?;
    process::end(pid, Path::new(&data(dir)))?;
    // Nothing of it writes any more once they are gone too.
    children.into_iter().try_for_each(|child| process::end(child, Path::new("postgres: ")))?;
    // A process that nobody waits for keeps its id, and would pass for a server that runs.
    std::fs::remove_file(&file).with_context(|| format!("removing {}", file.display()))
}

/// Starts the server in `dir` again that was killed.
pub(crate) fn start(dir: &Path) -> anyhow::Result<()> {
    let server = load(dir)?.with_context(|| format!("no PostgreSQL was started in {}", dir.display()))?;
    if is_up(&server, dir)? { Ok(()) } else { launch(&server, dir) }
}

/// Stops the server that was started in `dir` and removes it.
pub(crate) fn down(dir: &Path) -> anyhow::Result<()> {
    let Some(server) = load(dir)? else { return Ok(()) };
    if is_up(&server, dir)? {
        run(&server.bin, "pg_ctl", &["-D", &data(dir), "-m", "fast", "-w", "stop"], dir)?;
    }
    std::fs::remove_dir_all(dir).with_context(|| format!("removing {}", dir.display()))
}

fn load(dir: &Path) -> anyhow::Result<Option<Server>> {
    let file = dir.join(STATE);
    if !file.exists() {
        return Ok(None);
    }
    let text = std::fs::read(&file).with_context(|| format!("reading {}", file.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{} does not say what was started", file.display())).map(Some)
}

fn data(dir: &Path) -> String {
    dir.join("data").to_string_lossy().into_owned()
}

/// By the id that the server itself recorded; `pg_ctl` knows whether it is still that server's.
fn is_up(server: &Server, dir: &Path) -> anyhow::Result<bool> {
    let mut status = command(&server.bin, "pg_ctl", dir)?;
    Ok(status.args(["-D", &data(dir), "status"]).stdout(Stdio::null()).stderr(Stdio::null()).status()?.success())
}

fn run(bin: &Path, program: &str, args: &[&str], dir: &Path) -> anyhow::Result<()> {
    // The server inherits what pg_ctl writes to: a pipe would stay open as long as it runs.
    let said = dir.join(format!("{program}.out"));
    let out = std::fs::File::create(&said).with_context(|| format!("writing {}", said.display()))?;
    let mut command = command(bin, program, dir)?;
    let status = command.args(args).stdin(Stdio::null()).stderr(out.try_clone()?).stdout(out).status();
    let status = status.with_context(|| format!("running {program}"))?;
    ensure!(status.success(), "{program} failed: {}", std::fs::read_to_string(&said).unwrap_or_default());
    Ok(())
}

/// A program of PostgreSQL, as the user that may run it, where that user may be.
fn command(bin: &Path, program: &str, dir: &Path) -> anyhow::Result<Command> {
    let mut command = Command::new(bin.join(program));
    command.current_dir(dir);
    if let Some((uid, gid)) = server_user()? {
        command.uid(uid).gid(gid);
    }
    Ok(command)
}

/// The user and group of the server, where they are not our own: PostgreSQL does not run as root.
fn server_user() -> anyhow::Result<Option<(u32, u32)>> {
    let id = |args: &[&str]| -> anyhow::Result<u32> {
        let output = Command::new("id").args(args).output().context("running id")?;
        ensure!(output.status.success(), "PostgreSQL does not run as root, and there is no user {SYSTEM_USER}");
        String::from_utf8_lossy(&output.stdout).trim().parse().context("reading a user's id")
    };
    if id(&["-u"])? != 0 {
        return Ok(None);
    }
    Ok(Some((id(&["-u", SYSTEM_USER])?, id(&["-g", SYSTEM_USER])?)))
}

/// The folder of the newest installed PostgreSQL's programs.
pub(crate) fn binaries() -> anyhow::Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let on_path = env::split_paths(&path);
    // Debian keeps several releases side by side, outside of the path.
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|entry| entry.path().join("bin"));
    let found = on_path.chain(debian).filter_map(|bin| Some((release(&bin)?, bin)));
    match found.max_by_key(|(release, _)| *release) {
        Some((release, bin)) if release >= OLDEST => Ok(bin),
        Some((release, _)) => bail!("this is PostgreSQL {release}; {OLDEST} or later is needed: apt-get install postgresql"),
        None => bail!("PostgreSQL is missing: apt-get install postgresql, or set {POSTGRES}"),
    }
}

fn release(bin: &Path) -> Option<u32> {
    if !bin.join("initdb").is_file() {
        return None;
    }
    let output = Command::new(bin.join("postgres")).arg("--version").output().ok()?;
    parse_release(&String::from_utf8_lossy(&output.stdout))
}

/// The release in what `postgres --version` says: `postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)`.
fn parse_release(said: &str) -> Option<u32> {
    said.split_once("(PostgreSQL) ")?.1.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// Other users of this machine reach the port too.
pub(super) fn password() -> anyhow::Result<String> {
    let mut random = [0; 16];
    std::fs::File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut random)).context("reading /dev/urandom")?;
    let mut text = String::new();
    for byte in random {
        write!(text, "{byte:02x}").expect("a string takes any text");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_is_read_as_every_packager_writes_it() {
        for (said, release) in [
            ("postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)\n", Some(15)),
            ("postgres (PostgreSQL) 17beta1\n", Some(17)),
            ("sh: postgres: not found", None),
        ] {
            assert_eq!(parse_release(said), release, "{said}");
        }
    }

    #[test]
    fn passwords_differ() {
        let [one, other] = [password().expect("random"), password().expect("random")];
        assert_ne!(one, other);
        assert_eq!(one.len(), 32);
    }
}
