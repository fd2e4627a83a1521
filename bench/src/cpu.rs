//! CPU time of this process over all threads, as reported by the kernel.

use std::fs;

/// CPU time in nanoseconds since the process started.
///
/// # Panics
/// The kernel does not report it: `CONFIG_SCHEDSTATS` is off, or the system is not Linux.
pub fn nanoseconds() -> u64 {
    let threads = fs::read_dir("/proc/self/task").expect("Linux, with /proc");
    threads
        .filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("schedstat")).ok())
        .filter_map(|line| line.split(' ').next()?.parse::<u64>().ok())
        .sum()
}

/// The median.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
