//! The objects, typed.

use k8s_openapi::{
    DeepMerge,
    api::{
        apps::v1::{DaemonSet, Deployment},
        core::v1::{Container, EnvVar, Namespace, PodTemplateSpec, Service, ServiceAccount},
        rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding},
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{ObjectsError, Parameters};

/// A file of `deploy/kustomize`: its name and its text.
macro_rules! shipped {
    ($file:literal) => {
        read($file, include_str!(concat!("../../../deploy/kustomize/", $file)))
    };
}

/// All that is installed, in the order in which it is made.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Objects {
    /// The agent's namespace, in which Pods may be privileged.
    pub namespace: Namespace,
    /// The kinds `NodeHealth`, `NodeMonitor`, `NodeReport`, `Release`, `TrafficPolicy` and `TrafficRoute`,
    /// ordered as kustomize does.
    pub kinds: [CustomResourceDefinition; 6],
    /// Who the agent is to the API server.
    pub service_account: ServiceAccount,
    /// What the agent may read.
    pub cluster_role: ClusterRole,
    /// That it may.
    pub cluster_role_binding: ClusterRoleBinding,
    /// The agent, on each node.
    pub daemon_set: DaemonSet,
    /// The one that writes, for the whole cluster.
    pub controller: Controller,
}

/// The controller and its rights.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Controller {
    /// Who it is to the API server.
    pub service_account: ServiceAccount,
    /// What it may read and write in all namespaces.
    pub cluster_role: ClusterRole,
    /// That it may.
    pub cluster_role_binding: ClusterRoleBinding,
    /// What it may do with its Lease.
    pub role: Role,
    /// That it may.
    pub role_binding: RoleBinding,
    /// Where Alertmanager reaches it.
    pub service: Service,
    /// The controller itself.
    pub deployment: Deployment,
}

impl Objects {
    /// The shipped objects, changed as the parameters say.
    ///
    /// # Errors
    ///
    /// [`ObjectsError::Read`] and [`ObjectsError::NoContainer`] where the shipped files are not
    /// what this program was written for.
    pub fn new(parameters: &Parameters) -> Result<Self, ObjectsError> {
        let mut objects = Self {
            namespace: shipped!("namespace.yaml")?,
            kinds: [
                shipped!("crds/nodehealths.etm.dev.yaml")?,
                shipped!("crds/nodemonitors.etm.dev.yaml")?,
                shipped!("crds/nodereports.etm.dev.yaml")?,
                shipped!("crds/releases.etm.dev.yaml")?,
                shipped!("crds/trafficpolicies.etm.dev.yaml")?,
                shipped!("crds/trafficroutes.etm.dev.yaml")?,
            ],
            service_account: shipped!("service-account.yaml")?,
            cluster_role: shipped!("cluster-role.yaml")?,
            cluster_role_binding: shipped!("cluster-role-binding.yaml")?,
            daemon_set: shipped!("daemon-set.yaml")?,
            controller: Controller::new()?,
        };
        if let Some(secret) = &parameters.outcomes {
            objects.ask_outcomes(secret)?;
        }
        if let Some(namespace) = &parameters.namespace {
            objects.move_to(namespace);
        }
        let controller = objects.controller.container()?;
        change(controller, parameters.image.as_ref(), &parameters.controller_environment);
        let container = objects.container()?;
        change(container, parameters.image.as_ref(), &parameters.environment);
        if parameters.keep_stale {
            keep_stale(container);
        }
        if let Some(arguments) = &parameters.arguments {
            container.args = Some(arguments.clone());
            container.startup_probe = None;
            container.liveness_probe = None;
            container.readiness_probe = None;
        }
        if parameters.keep_stale {
            let pod = objects.daemon_set.spec.template.spec.as_mut();
            let volumes = pod.and_then(|pod| pod.volumes.as_mut());
            volumes.into_iter().for_each(|all| all.retain(|volume| volume.name != NAMESPACES));
        }
        Ok(objects)
    }

    /// One YAML document an object.
    ///
    /// # Errors
    ///
    /// [`ObjectsError::Write`].
    pub fn to_yaml(&self) -> Result<String, ObjectsError> {
        let controller = &self.controller;
        let mut documents = vec![yaml(&self.namespace)?];
        for kind in &self.kinds {
            documents.push(yaml(kind)?);
        }
        documents.extend([
            yaml(&self.service_account)?,
            yaml(&controller.service_account)?,
            yaml(&controller.role)?,
            yaml(&self.cluster_role)?,
            yaml(&controller.cluster_role)?,
            yaml(&controller.role_binding)?,
            yaml(&self.cluster_role_binding)?,
            yaml(&controller.cluster_role_binding)?,
            yaml(&controller.service)?,
            yaml(&controller.deployment)?,
            yaml(&self.daemon_set)?,
        ]);
        Ok(documents.join("---\n"))
    }

    /// Gives agents and controller the certificate by which one asks the others.
    fn ask_outcomes(&mut self, secret: &str) -> Result<(), ObjectsError> {
        patch(&mut self.daemon_set, shipped!("outcomes/agent.yaml")?);
        patch(&mut self.controller.deployment, shipped!("outcomes/controller.yaml")?);
        let templates =
            [&mut self.daemon_set.spec.template, &mut self.controller.deployment.spec.template];
        let pods = templates.into_iter().filter_map(|template| template.spec.as_mut());
        let volumes = pods.flat_map(|pod| pod.volumes.iter_mut().flatten());
        for source in volumes.filter_map(|volume| volume.secret.as_mut()) {
            source.secret_name = Some(secret.to_owned());
        }
        Ok(())
    }

    fn move_to(&mut self, namespace: &str) {
        let namespace = Some(namespace.to_owned());
        self.namespace.metadata.name.clone_from(&namespace);
        self.service_account.metadata.namespace.clone_from(&namespace);
        self.daemon_set.metadata.namespace.clone_from(&namespace);
        let controller = &mut self.controller;
        controller.service_account.metadata.namespace.clone_from(&namespace);
        controller.role.metadata.namespace.clone_from(&namespace);
        controller.role_binding.metadata.namespace.clone_from(&namespace);
        controller.service.metadata.namespace.clone_from(&namespace);
        controller.deployment.metadata.namespace.clone_from(&namespace);
        let subjects = self.cluster_role_binding.subjects.iter_mut().flatten();
        let subjects = subjects
            .chain(controller.cluster_role_binding.subjects.iter_mut().flatten())
            .chain(controller.role_binding.subjects.iter_mut().flatten());
        for subject in subjects {
            subject.namespace.clone_from(&namespace);
        }
    }

    fn container(&mut self) -> Result<&mut Container, ObjectsError> {
        container("daemon-set.yaml", &mut self.daemon_set.spec.template)
    }
}

impl Controller {
    fn new() -> Result<Self, ObjectsError> {
        Ok(Self {
            service_account: shipped!("controller/service-account.yaml")?,
            cluster_role: shipped!("controller/cluster-role.yaml")?,
            cluster_role_binding: shipped!("controller/cluster-role-binding.yaml")?,
            role: shipped!("controller/role.yaml")?,
            role_binding: shipped!("controller/role-binding.yaml")?,
            service: shipped!("controller/service.yaml")?,
            deployment: shipped!("controller/deployment.yaml")?,
        })
    }

    fn container(&mut self) -> Result<&mut Container, ObjectsError> {
        container("controller/deployment.yaml", &mut self.deployment.spec.template)
    }
}

/// Takes a patch in as kustomize does, which puts what it adds to a list before what is there.
fn patch<T: DeepMerge + Clone>(object: &mut T, mut patch: T) {
    patch.merge_from(object.clone());
    *object = patch;
}

fn container<'a>(
    file: &'static str,
    template: &'a mut PodTemplateSpec,
) -> Result<&'a mut Container, ObjectsError> {
    let spec = template.spec.as_mut();
    spec.and_then(|spec| spec.containers.first_mut()).ok_or(ObjectsError::NoContainer { file })
}

fn change(container: &mut Container, image: Option<&String>, environment: &[(String, String)]) {
    if let Some(image) = image {
        container.image = Some(image.clone());
    }
    for (name, value) in environment {
        set(container.env.get_or_insert_default(), name, value);
    }
}

/// The volume with the network namespaces of Pods.
const NAMESPACES: &str = "netns";

/// Leaves stale sockets alone, and gives back what only that takes.
fn keep_stale(container: &mut Container) {
    set(container.env.get_or_insert_default(), "ETM_STALE_CONNECTIONS", "keep");
    let context = container.security_context.as_mut();
    let added = context.and_then(|context| context.capabilities.as_mut()?.add.as_mut());
    added.into_iter().for_each(|added| added.retain(|capability| capability != "SYS_ADMIN"));
    let mounts = container.volume_mounts.iter_mut();
    mounts.for_each(|mounts| mounts.retain(|mount| mount.name != NAMESPACES));
}

fn set(environment: &mut Vec<EnvVar>, name: &str, value: &str) {
    let variable =
        EnvVar { name: name.to_owned(), value: Some(value.to_owned()), ..EnvVar::default() };
    match environment.iter_mut().find(|variable| variable.name == name) {
        Some(there) => *there = variable,
        None => environment.push(variable),
    }
}

fn read<T: DeserializeOwned>(file: &'static str, text: &str) -> Result<T, ObjectsError> {
    serde_saphyr::from_str(text)
        .map_err(|error| ObjectsError::Read { file, source: Box::new(error) })
}

fn yaml<T: Serialize>(object: &T) -> Result<String, ObjectsError> {
    // By way of JSON, which leaves out what is not set.
    let value = serde_json::to_value(object).map_err(|error| ObjectsError::Write(error.into()))?;
    serde_saphyr::to_string(&value).map_err(|error| ObjectsError::Write(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects(parameters: &Parameters) -> Objects {
        Objects::new(parameters).expect("objects")
    }

    #[test]
    fn nothing_asked_for_changes_nothing() {
        let shipped = objects(&Parameters::default());
        let yaml = shipped.to_yaml().expect("YAML");
        let documents: Vec<serde_json::Value> =
            serde_saphyr::from_multiple(&yaml).expect("documents");
        assert_eq!(documents.len(), 18);
        assert_eq!(documents[17], serde_json::to_value(&shipped.daemon_set).expect("JSON"));
    }

    #[test]
    fn the_image_is_of_this_version() {
        let mut shipped = objects(&Parameters::default());
        let image = format!("localhost/etm:{}", env!("CARGO_PKG_VERSION"));
        assert_eq!(shipped.container().expect("a container").image.as_ref(), Some(&image));
        let controller = shipped.controller.container().expect("a container");
        assert_eq!(controller.image, Some(image));
    }

    #[test]
    fn a_namespace_is_changed_wherever_it_is_named() {
        let moved = objects(&Parameters { namespace: Some("net".into()), ..Parameters::default() });
        let yaml = moved.to_yaml().expect("YAML");
        assert!(!yaml.contains("etm-system"), "{yaml}");
        assert_eq!(yaml.matches("namespace: net\n").count(), 10, "{yaml}");
    }

    #[test]
    fn who_keeps_stale_sockets_gives_no_right_to_end_them() {
        let mut kept = objects(&Parameters { keep_stale: true, ..Parameters::default() });
        let yaml = kept.to_yaml().expect("YAML");
        assert!(!yaml.contains("SYS_ADMIN") && !yaml.contains("netns"), "{yaml}");
        let variables = kept.container().expect("a container").env.clone().expect("variables");
        let keep = variables.iter().find(|variable| variable.name == "ETM_STALE_CONNECTIONS");
        assert_eq!(keep.and_then(|variable| variable.value.as_deref()), Some("keep"));
        let shipped = objects(&Parameters::default()).to_yaml().expect("YAML");
        assert!(shipped.contains("SYS_ADMIN") && shipped.contains("/run/netns"));
    }

    #[test]
    fn a_variable_is_replaced_or_added() {
        let pairs = [("ETM_ADMIN", "127.0.0.1:9"), ("ETM_UNKNOWN_PORT", "refuse")];
        let environment = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let mut changed = objects(&Parameters { environment, ..Parameters::default() });
        let variables = changed.container().expect("a container").env.clone().expect("variables");
        for (name, value) in pairs {
            let found: Vec<_> = variables.iter().filter(|variable| variable.name == name).collect();
            assert_eq!(found.len(), 1, "{name}");
            assert_eq!(found[0].value.as_deref(), Some(value));
        }
    }
}
