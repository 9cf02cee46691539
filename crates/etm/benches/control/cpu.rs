//! Processor time of a process.

use std::fs;

use anyhow::Context as _;

/// Seconds so far, with those of the children that it has waited for: kube-proxy leaves much of its
/// work to other programs.
pub(crate) fn seconds(process: u32) -> anyhow::Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name may have spaces and parentheses in it; what follows the last one has neither.
    let (_, fields) = stat.rsplit_once(')').context("a stat without a name")?;
    // utime, stime, cutime and cstime are fields 14 to 17 of proc_pid_stat(5), the state is 3.
    let times = fields.split_whitespace().skip(11).take(4);
    let ticks = times.map(str::parse::<u64>).sum::<Result<u64, _>>()?;
    Ok(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}
