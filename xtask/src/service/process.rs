//! Processes by their recorded ids: whether they are still ours, and signals to them.

use std::fs::File;
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

/// How long a process may take to end.
const TO_END: Duration = Duration::from_secs(15);
/// How often it is looked at meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Whose signals a service gets.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    /// Its own: it outlives the terminal's Ctrl-C.
    Own,
    /// Ours: an interrupted test run takes it along.
    Ours,
}

/// Starts a program that goes on when we end, its output in `log`; answers its id.
pub(super) fn launch(command: &mut Command, log: &Path, group: Group) -> anyhow::Result<u32> {
    let out = File::options().create(true).append(true).open(log).with_context(|| format!("writing {}", log.display()))?;
    command.stdin(Stdio::null()).stderr(out.try_clone()?).stdout(out);
    if group == Group::Own {
        command.process_group(0);
    }
    let program = command.get_program().to_string_lossy().into_owned();
    Ok(command.spawn().with_context(|| format!("starting {program}"))?.id())
}

/// Whether the process runs and is the one recorded: its command line names `mark`. Ids are used again.
pub(super) fn is_ours(pid: u32, mark: &Path) -> bool {
    command_line(pid).contains(&*mark.to_string_lossy())
}

/// The program that a process runs and its arguments; nothing once it has ended.
pub(crate) fn command_line(pid: u32) -> String {
    let proc = Path::new("/proc");
    let line = if proc.join("self").exists() {
        // Empty once it has ended, even before its parent has taken notice.
        std::fs::read(proc.join(pid.to_string()).join("cmdline")).unwrap_or_default()
    } else {
        Command::new("ps").args(["-o", "command=", "-p", &pid.to_string()]).output().map(|output| output.stdout).unwrap_or_default()
    };
    String::from_utf8_lossy(&line).replace('\0', " ").trim().to_owned()
}

/// Sends a signal by its name. The shell's own `kill` is everywhere, the program is not.
pub(crate) fn signal(pid: u32, name: &str) -> anyhow::Result<()> {
    let status = Command::new("sh").args(["-c", "kill -s \"$1\" \"$2\"", "sh", name, &pid.to_string()]).status().context("running sh")?;
    if !status.success() {
        bail!("process {pid} took no signal {name}");
    }
    Ok(())
}

/// The processes that a process started and that still run.
pub(crate) fn children(pid: u32) -> anyhow::Result<Vec<u32>> {
    let proc = Path::new("/proc");
    if !proc.join("self").exists() {
        let output = Command::new("ps").args(["-A", "-o", "pid=,ppid="]).output().context("running ps")?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let pairs = said.lines().filter_map(|line| line.trim().split_once(char::is_whitespace));
        return Ok(pairs.filter(|(_, parent)| parent.trim().parse() == Ok(pid)).filter_map(|(child, _)| child.parse().ok()).collect());
    }
    let mut children = Vec::new();
    for entry in std::fs::read_dir(proc).context("reading /proc")?.flatten() {
        let Some(child) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // Its name, in parentheses, may hold anything; then come its state and its parent.
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok());
        if parent == Some(pid) {
            children.push(child);
        }
    }
    Ok(children)
}

/// Ends a process at once: what it would save in an orderly end is scratch. It is gone afterwards.
pub(super) fn end(pid: u32, mark: &Path) -> anyhow::Result<()> {
    let until = Instant::now() + TO_END;
    while is_ours(pid, mark) {
        if Instant::now() > until {
            bail!("process {pid} cannot be ended");
        }
        // It may end between the look and the signal.
        drop(signal(pid, "KILL"));
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(())
}

/// Waits until `is_ready` says so, while `is_alive`; an error quotes the end of `log`.
pub(super) fn wait_until(
    what: &str,
    log: &Path,
    within: Duration,
    is_alive: impl Fn() -> bool,
    is_ready: impl Fn() -> bool,
) -> anyhow::Result<()> {
    let until = Instant::now() + within;
    while !is_ready() {
        // Looked at twice: a program that was only just started has no command line for a moment.
        let ended = !is_alive() && {
            std::thread::sleep(LOOK_EVERY);
            !is_alive()
        };
        if ended {
            bail!("{what} ended while it started; the end of {}:\n{}", log.display(), last_lines(log));
        }
        if Instant::now() > until {
            bail!("{what} did not answer within {} s; the end of {}:\n{}", within.as_secs(), log.display(), last_lines(log));
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(())
}

fn last_lines(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

/// Ports of the loopback interface that nobody listens on now, all different.
pub(super) fn free_ports(count: usize) -> anyhow::Result<Vec<u16>> {
    // Held together, or the system might give one of them twice.
    let held = (0..count).map(|_| TcpListener::bind(("127.0.0.1", 0))).collect::<Result<Vec<_>, _>>().context("no free port")?;
    held.iter().map(|listener| Ok(listener.local_addr()?.port())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_ours_by_its_mark_until_it_has_ended() {
        let mark = std::env::temp_dir().join(format!("pledger-mark-{}", std::process::id()));
        let log = mark.with_extension("log");
        let mut command = Command::new("sh");
        // A loop, so that the shell stays and does not become the `sleep`.
        command.args(["-c", "while :; do sleep 1; done", "sh"]).arg(&mark);
        let pid = launch(&mut command, &log, Group::Ours).expect("started");
        let mine = wait_until("the shell", &log, TO_END, || true, || is_ours(pid, &mark));
        assert!(children(std::process::id()).expect("listed").contains(&pid));
        assert!(!is_ours(pid, Path::new("/another/mark")));
        end(pid, &mark).expect("ended");
        assert!(!is_ours(pid, &mark));
        mine.expect("it was ours");
        std::fs::remove_file(log).expect("removed");
    }

    #[test]
    fn ports_differ() {
        let mut ports = free_ports(6).expect("ports");
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 6);
    }
}
