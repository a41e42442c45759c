//! A program that may take only so long: where it does not end, it is said what still runs of it, and all of that is ended.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::service::process::{children, command_line, signal};
use crate::step::Verdict;

/// How often the program is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Passed where the program ends in time, and well; its output goes straight to ours.
pub(crate) fn run(command: &mut Command, limit: Duration) -> anyhow::Result<Verdict> {
    let program = command.get_program().to_string_lossy().into_owned();
    let mut child = command.spawn().with_context(|| format!("running {program}"))?;
    let until = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait().with_context(|| format!("waiting for {program}"))? {
            return Ok(Verdict::from_success(status.success()));
        }
        if Instant::now() > until {
            break;
        }
        std::thread::sleep(LOOK_EVERY);
    }
    let running = family(child.id())?;
    let told =
        running.iter().map(|(depth, pid)| format!("{:width$}{pid} {}", "", command_line(*pid), width = depth * 2)).collect::<Vec<_>>();
    for (_, pid) in &running {
        // It may have ended with one before it.
        drop(signal(*pid, "KILL"));
    }
    child.wait().with_context(|| format!("waiting for {program}"))?;
    let late = format!("{program} was ended after {} s; these still ran:", limit.as_secs());
    Ok(Verdict::Failed(std::iter::once(late).chain(told).collect()))
}

/// A process and those that it started, and those that they did, each with how far down it is; whoever started comes first.
fn family(pid: u32) -> anyhow::Result<Vec<(usize, u32)>> {
    let mut family = Vec::new();
    let mut open = vec![(0, pid)];
    while let Some((depth, pid)) = open.pop() {
        family.push((depth, pid));
        open.extend(children(pid)?.into_iter().map(|child| (depth + 1, child)));
    }
    Ok(family)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn who_ends_in_time_says_how() {
        let long = Duration::from_secs(60);
        assert_eq!(run(&mut shell("exit 0"), long).expect("run"), Verdict::Passed(Vec::new()));
        assert_eq!(run(&mut shell("exit 3"), long).expect("run"), Verdict::Failed(Vec::new()));
    }

    #[test]
    fn who_does_not_end_is_named_and_ended_with_whom_it_started() {
        let verdict = run(&mut shell("sleep 4711 & sleep 4712; true"), Duration::from_millis(500)).expect("run");
        let Verdict::Failed(told) = verdict else { panic!("{verdict:?}") };
        let pids: Vec<u32> =
            told[1..].iter().map(|line| line.split_whitespace().next().expect("an id").parse().expect("a number")).collect();
        assert_eq!(pids.len(), 3, "{told:?}");
        assert!(["sleep 4711", "sleep 4712"].iter().all(|sleep| told.iter().any(|line| line.contains(sleep))), "{told:?}");
        // Who lost its parent is waited for by somebody else, a little later.
        let until = Instant::now() + Duration::from_secs(60);
        while pids.iter().any(|pid| command_line(*pid).contains("sleep 471")) {
            assert!(Instant::now() < until, "{told:?}");
            std::thread::sleep(LOOK_EVERY);
        }
    }
}
