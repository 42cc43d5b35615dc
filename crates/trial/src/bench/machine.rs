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
pub(crate) fn cpu_seconds() -> f64 {
    stat("self").1
}

/// Seconds of CPU that a process and its children have used: those that live, and those that it has
/// waited for.
pub(crate) fn cpu_of_family(pid: u32) -> f64 {
    let folders = fs::read_dir("/proc").into_iter().flatten().flatten();
    let names = folders.filter_map(|entry| entry.file_name().into_string().ok());
    let processes = names.filter(|name| name.bytes().all(|b| b.is_ascii_digit()));
    let (mut sum, own) = (0.0, pid.to_string());
    for name in processes {
        let (parent, used, waited) = stat(&name);
        if name == own {
            sum += used + waited;
        } else if parent == pid {
            sum += used;
        }
    }
    sum
}

/// The parent of a process, the seconds of CPU that it has used, and those of the children that it has
/// waited for.
#[allow(clippy::cast_precision_loss)]
fn stat(process: &str) -> (u32, f64, f64) {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The name in brackets may have spaces; the parent is the second after it, user and system time
    // are the 12th and 13th, those of children the 14th and 15th.
    let after = stat.rsplit(')').next().unwrap_or_default();
    let numbers: Vec<u64> = after
        .split_whitespace()
        .map(|word| word.parse().unwrap_or_default())
        .collect();
    let number = |at: usize| numbers.get(at).copied().unwrap_or_default();
    let seconds = |at: usize| (number(at) + number(at + 1)) as f64 / TICKS;
    let parent = u32::try_from(number(1)).unwrap_or_default();
    (parent, seconds(11), seconds(13))
}
