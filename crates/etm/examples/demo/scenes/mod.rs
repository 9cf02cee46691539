//! The scenes, in their order. Each leaves the stage as it found it.

mod blue_green;
mod cluster;
mod cohort;
mod cost;
mod datagrams;
mod direct;
mod ejection;
mod families;
mod membership;
mod refusal;
mod release;
mod restart;
mod spread;
mod stickiness;
mod versions;

use std::time::Duration;

use crate::{report::Report, stage::Stage};

/// One scene.
pub(crate) struct Scene {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) about: &'static str,
    pub(crate) play: fn(&mut Stage, &mut Report) -> anyhow::Result<()>,
}

/// How long each state is watched in scenes that change the world under load.
const SPAN: Duration = Duration::from_millis(800);

/// The scenes that need a Kubernetes.
pub(crate) const CLUSTER: &[Scene] =
    &[cluster::SCENE, release::SCENE, blue_green::SCENE, cohort::SCENE];

/// Every other scene.
pub(crate) const ALL: &[Scene] = &[
    direct::SCENE,
    spread::SCENE,
    membership::SCENE,
    refusal::SCENE,
    ejection::SCENE,
    families::SCENE,
    datagrams::SCENE,
    stickiness::SCENE,
    versions::SCENE,
    restart::SCENE,
    cost::SCENE,
];
