//! How long threads of this process were on a core: steadier than the time on the wall where others use the machine too.

use std::fs;

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
