//! What the machine is, and what a process used of it.

use std::collections::BTreeMap;
use std::fs;

/// Clock ticks a second in `/proc`, on every Linux that this runs on.
const TICKS: f64 = 100.0;

/// What the machine is.
pub(crate) fn facts() -> BTreeMap<&'static str, String> {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find(|line| line.starts_with("model name"));
    let model = model
        .and_then(|line| line.split(": ").nth(1))
        .unwrap_or("unknown");
    let cores = cpu
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default().to_owned();
    BTreeMap::from([
        ("cpu", model.to_owned()),
        ("cores", cores.to_string()),
        ("kernel", kernel.trim().to_owned()),
        ("load", load),
    ])
}

/// Seconds of CPU that this process has used.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name in brackets may have spaces; user and system time are the 12th and 13th after it.
    let after = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after.split_whitespace().skip(11).take(2);
    ticks.filter_map(|t| t.parse::<u64>().ok()).sum::<u64>() as f64 / TICKS
}
