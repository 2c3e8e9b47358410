//! The rows that every Prometheus client tells about its process, read from `/proc`. Where there is none, there are none.

use super::Families;

/// Ticks of a second in `/proc` (USER_HZ): 100 on every architecture that Linux still supports in servers.
const TICKS_PER_SECOND: f64 = 100.0;

/// Adds the standard rows.
pub(super) fn collect(families: &mut Families) {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    if let Some(stat) = read("/proc/self/stat").as_deref().and_then(Stat::parse) {
        families
            .counter(
                "process_cpu_seconds_total",
                "User and system CPU time spent in seconds.",
            )
            .row(&[], stat.cpu_ticks / TICKS_PER_SECOND);
        if let Some(boot) = read("/proc/stat").as_deref().and_then(boot_time) {
            families
                .gauge(
                    "process_start_time_seconds",
                    "Start time of the process since unix epoch in seconds.",
                )
                .row(&[], boot + stat.start_ticks / TICKS_PER_SECOND);
        }
    }
    if let Some(status) = read("/proc/self/status") {
        for (field, name, help) in [
            (
                "VmRSS:",
                "process_resident_memory_bytes",
                "Resident memory size in bytes.",
            ),
            (
                "VmSize:",
                "process_virtual_memory_bytes",
                "Virtual memory size in bytes.",
            ),
        ] {
            if let Some(kibibytes) = field_of(&status, field) {
                families
                    .gauge(name, help)
                    .row(&[], kibibytes.saturating_mul(1024));
            }
        }
        if let Some(threads) = field_of(&status, "Threads:") {
            families
                .gauge("process_threads", "Number of OS threads in the process.")
                .row(&[], threads);
        }
    }
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        // One of them is the directory that is being read.
        families
            .gauge("process_open_fds", "Number of open file descriptors.")
            .row(&[], open.count().saturating_sub(1));
    }
    if let Ok(allowed) = rlimit::Resource::NOFILE.get_soft() {
        families
            .gauge("process_max_fds", "Maximum number of open file descriptors.")
            .row(&[], allowed);
    }
}

struct Stat {
    cpu_ticks: f64,
    start_ticks: f64,
}

impl Stat {
    /// Reads `/proc/self/stat` (proc_pid_stat(5)). The name of the program may hold anything, even a parenthesis: what
    /// counts begins behind the last one.
    fn parse(text: &str) -> Option<Stat> {
        let (_, fields) = text.rsplit_once(") ")?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        // The fields are numbered from 1 in the manual, and these begin with the third.
        let field = |number: usize| fields.get(number.checked_sub(3)?)?.parse::<f64>().ok();
        Some(Stat {
            cpu_ticks: field(14)? + field(15)?,
            start_ticks: field(22)?,
        })
    }
}

fn boot_time(stat: &str) -> Option<f64> {
    stat.lines()
        .find_map(|line| line.strip_prefix("btime "))?
        .trim()
        .parse()
        .ok()
}

fn field_of(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_the_program_does_not_confuse_the_reader() {
        let text = "7 (bal) cony) S 1 7 7 0 -1 4194304 1 2 3 4 150 50 0 0 20 0 3 0 1234 9 9 9";
        let stat = Stat::parse(text).unwrap();
        assert!((stat.cpu_ticks - 200.0).abs() < 0.1 && (stat.start_ticks - 1234.0).abs() < 0.1);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_standard_rows_are_there() {
        let mut families = Families::default();
        collect(&mut families);
        let told = families.write();
        for name in [
            "process_cpu_seconds_total",
            "process_start_time_seconds",
            "process_resident_memory_bytes",
            "process_virtual_memory_bytes",
            "process_threads",
            "process_open_fds",
            "process_max_fds",
        ] {
            assert!(told.contains(&format!("\n{name} ")), "{name} is missing:\n{told}");
        }
    }
}
