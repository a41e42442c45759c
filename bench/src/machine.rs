//! The machine that the figures are of.

use std::fs;

use serde::Serialize;

/// What a reader has to know of it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) cores: usize,
    pub(crate) cpu: String,
    pub(crate) memory_gib: f64,
    pub(crate) os: String,
    /// Tasks that wanted to run when the benchmark began: far above zero, and the figures are of a busy machine.
    pub(crate) load_before: f64,
}

impl Machine {
    /// As far as `/proc` tells; elsewhere fields stay empty.
    pub(crate) fn describe() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let cpu = field(&read("/proc/cpuinfo"), "model name").unwrap_or_default();
        let memory_kib = field(&read("/proc/meminfo"), "MemTotal").and_then(|text| kib(&text)).unwrap_or_default();
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            cpu,
            memory_gib: memory_kib / (1024.0 * 1024.0),
            os: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            load_before: read("/proc/loadavg").split(' ').next().and_then(|load| load.parse().ok()).unwrap_or_default(),
        }
    }
}

/// The memory of this process in MiB: the most it ever had, and what it has now.
pub(crate) fn memory_mib() -> (f64, f64) {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mib = |name| field(&status, name).and_then(|text| kib(&text)).unwrap_or_default() / 1024.0;
    (mib("VmHWM"), mib("VmRSS"))
}

fn field(text: &str, name: &str) -> Option<String> {
    let (_, value) = text.lines().find(|line| line.starts_with(name))?.split_once(':')?;
    Some(value.trim().to_owned())
}

fn kib(text: &str) -> Option<f64> {
    text.strip_suffix(" kB")?.trim().parse().ok()
}
