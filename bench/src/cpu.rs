//! CPU time of this process, all threads together, as the kernel counts it.

use std::fs;

/// Nanoseconds on a CPU since the process began.
///
/// # Panics
/// The kernel does not tell: `CONFIG_SCHEDSTATS` is off, or this is not Linux.
pub fn nanoseconds() -> u64 {
    let threads = fs::read_dir("/proc/self/task").expect("Linux, with /proc");
    threads
        .filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("schedstat")).ok())
        .filter_map(|line| line.split(' ').next()?.parse::<u64>().ok())
        .sum()
}

/// The middle one of some figures.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
