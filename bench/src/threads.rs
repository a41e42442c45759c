//! How long threads of this process were on a core: steadier than the time on the wall where others use the machine too.

use std::fs;

/// The unit of `/proc/self/stat`, the same on every Linux that matters here.
const TICKS_PER_SECOND: f64 = 100.0;

/// The seconds that the threads whose name begins with `name` have been on a core. Linux only; 0 elsewhere.
pub(crate) fn cpu_seconds(name: &str) -> f64 {
    let Ok(tasks) = fs::read_dir("/proc/self/task") else { return 0.0 };
    let nanos = tasks.flatten().filter_map(|task| {
        let read = |file| fs::read_to_string(task.path().join(file)).ok();
        let is_named = read("comm")?.starts_with(name);
        let on_core: f64 = read("schedstat")?.split(' ').next()?.parse().ok()?;
        is_named.then_some(on_core)
    });
    nanos.sum::<f64>() / 1e9
}

/// The seconds that all processes of this machine have been on its cores. Linux only; 0 elsewhere.
#[cfg(feature = "cluster")]
pub(crate) fn machine_cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    // user, nice, system, idle, iowait, irq, softirq
    let fields = stat.lines().next().and_then(|all| all.strip_prefix("cpu ")).unwrap_or_default();
    let ticks: Vec<f64> = fields.split_whitespace().map_while(|ticks| ticks.parse().ok()).take(7).collect();
    let busy: f64 = ticks.iter().enumerate().filter(|(at, _)| ![3, 4].contains(at)).map(|(_, ticks)| ticks).sum();
    busy / TICKS_PER_SECOND
}

/// The seconds that this process and its threads, ended ones too, have been on a core. Linux only; 0 elsewhere.
pub(crate) fn process_cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name, in parentheses, may hold anything; user and system time are the 12th and 13th field after it.
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
    let ticks: f64 = fields.split(' ').skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum();
    ticks / TICKS_PER_SECOND
}
