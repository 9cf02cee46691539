//! A metric of Pods that a real Prometheus scrapes, and a controller that asks it.

use etm_testkit::{Agent, Exporter, Prometheus};

use crate::scene::Scene;

/// Tells the errors of this test's Pods, as they are set.
pub(crate) fn exporter(scene: &Scene) -> Exporter {
    let labels = format!(r#"namespace="{}""#, scene.namespace);
    Exporter::start("errors", "pod", &labels).expect("an exporter")
}

/// The query for them, for this test's namespace alone.
pub(crate) fn query(scene: &Scene) -> String {
    format!(r#"errors{{namespace="{}"}}"#, scene.namespace)
}

pub(crate) fn controller(scene: &Scene, prometheus: &Prometheus) -> Agent {
    let controller = scene.controller(scene.admin).arg("--prometheus").arg(prometheus.url());
    controller.start().expect("a controller")
}
