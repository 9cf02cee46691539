//! An agent that serves the Service to a cgroup, and callers in it.

use std::path::PathBuf;

use etm_dataplane::View;
use etm_testkit::{Agent, BpfDir, Cgroup, Manifests, Place};
use serde_json::Value;

use crate::{
    caller::Plan,
    stage::{Calling, Stage},
};

pub(crate) struct Covered {
    _agent: Agent,
    pins: BpfDir,
    cgroup: Cgroup,
    _manifests: Manifests,
}

impl Covered {
    /// Starts one, which knows nothing of what was before; `health` is the policy's.
    pub(crate) fn start(stage: &Stage, health: &Value) -> anyhow::Result<Self> {
        let (cgroup, pins, manifests) = (Cgroup::new()?, BpfDir::new()?, Manifests::new()?);
        stage.cluster().declare(&manifests, health)?;
        let agent = Agent::of_folder(&manifests, &cgroup, &pins)?.start()?;
        Ok(Self { _agent: agent, pins, cgroup, _manifests: manifests })
    }

    /// The kernel's maps.
    pub(crate) fn view(&self) -> anyhow::Result<View> {
        Ok(View::open(&self.pin())?)
    }

    /// The agent's directory in bpffs.
    pub(crate) fn pin(&self) -> PathBuf {
        self.pins.path().join("etm")
    }

    /// Has every calling Pod call by a plan.
    pub(crate) fn call(&self, stage: &Stage, plan: &Plan) -> anyhow::Result<Vec<Calling>> {
        stage.callers.iter().map(|pod| self.call_from(&pod.place(), plan)).collect()
    }

    /// Has a Pod call by a plan.
    pub(crate) fn call_from(&self, place: &Place, plan: &Plan) -> anyhow::Result<Calling> {
        Calling::start(|program| place.within(&self.cgroup).command(program), plan)
    }
}
