//! Several connections to the API server, since one waits for each answer.

use std::{
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use anyhow::anyhow;
use etm_testkit::Api;

/// As many as keep the API server busy.
const CONNECTIONS: usize = 8;

/// Does every job once, in their order, and gives what came of each.
pub(crate) fn each<T: Send>(
    kubeconfig: &Path,
    jobs: usize,
    work: impl Fn(&Api, usize) -> anyhow::Result<T> + Sync,
) -> anyhow::Result<Vec<T>> {
    let next = AtomicUsize::new(0);
    let write = || -> anyhow::Result<Vec<(usize, T)>> {
        let api = Api::new(kubeconfig)?;
        // Connects, which is no part of any job.
        api.text("/livez")?;
        let numbers = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
        let mine = numbers.take_while(|number| *number < jobs);
        mine.map(|number| Ok((number, work(&api, number)?))).collect()
    };
    let mut done = Vec::new();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..CONNECTIONS).map(|_| scope.spawn(write)).collect();
        for thread in threads {
            done.extend(thread.join().map_err(|_| anyhow!("a writer panicked"))??);
        }
        anyhow::Ok(())
    })?;
    done.sort_by_key(|(number, _)| *number);
    Ok(done.into_iter().map(|(_, outcome)| outcome).collect())
}
