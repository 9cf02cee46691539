//! Events, written and read.

use std::{collections::BTreeMap, time::Instant};

use etm_model::Problem;
use k8s_openapi::{
    api::{discovery::v1::EndpointSlice, events::v1::Event},
    jiff::Timestamp,
};
use kube::{
    Api, Client,
    api::{ListParams, PostParams},
};
use tokio::time::timeout_at;

use super::{
    Endpoint, Subject, Telling, Told,
    event::{Objects, events, told},
};
use crate::{
    NAME, problem,
    write::{Outcome, PATIENCE},
};

/// Label of a slice: the Service that it belongs to.
const SERVICE_NAME: &str = "kubernetes.io/service-name";
/// Services of one Pod that are told of it, at most.
const MOST_SERVICES: usize = 8;
/// Events of one page.
const PAGE: u32 = 500;

/// Reads what the cluster was told of ejections that go on, as far as Events are still there.
///
/// # Errors
///
/// Where the API server does not give them.
pub async fn read_told(client: &Client) -> Result<BTreeMap<Subject, Told>, Problem> {
    let api = Api::<Event>::all(client.clone());
    let which = format!("reportingController={NAME}");
    let mut which = ListParams::default().fields(&which).limit(PAGE);
    let mut all = Vec::new();
    loop {
        let page = timeout_at((Instant::now() + PATIENCE).into(), api.list(&which)).await;
        let page = page.map_err(|_| unread("the API server does not answer"))?;
        let page = page.map_err(|error| unread(&problem::words(&error)))?;
        all.extend(page.items);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => which = which.continue_token(&token),
            None => return Ok(told(&all)),
        }
    }
}

/// Tells of an ejection or its end, before `until`: of a Pod that is gone nothing is left to tell.
pub async fn tell(client: &Client, telling: &Telling, instance: &str, until: Instant) -> Outcome {
    let deadline = until.min(Instant::now() + PATIENCE);
    let told = async {
        let Some(objects) = find(client, telling).await? else { return Ok(Outcome::Overtaken) };
        let api = Api::<Event>::namespaced(client.clone(), &telling.subject.namespace);
        for event in events(telling, &objects, instance, Timestamp::now()) {
            match api.create(&PostParams::default(), &event).await {
                // Another one has told the same.
                Err(kube::Error::Api(status)) if status.code == 409 => {}
                outcome => drop(outcome?),
            }
        }
        Ok(Outcome::Written)
    };
    match timeout_at(deadline.into(), told).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) => failed(telling, &error),
        Err(_) => Outcome::Failed(untold(telling, "the API server does not answer")),
    }
}

/// The objects of a telling, as slices name them; none where it is an endpoint no more.
async fn find(client: &Client, telling: &Telling) -> Result<Option<Objects>, kube::Error> {
    let api = Api::<EndpointSlice>::namespaced(client.clone(), &telling.subject.namespace);
    let (mut objects, mut found) = (Objects::default(), false);
    for service in telling.services.iter().take(MOST_SERVICES) {
        let which = format!("{SERVICE_NAME}={service}");
        let slices = api.list(&ListParams::default().labels(&which).match_any()).await?;
        let owners = slices.iter().flat_map(|slice| slice.metadata.owner_references.iter());
        let mut owners = owners.flatten().filter(|owner| owner.kind == "Service");
        let uid = owners.next().map(|owner| owner.uid.clone());
        for endpoint in slices.iter().flat_map(|slice| slice.endpoints.iter().flatten()) {
            let target = endpoint.target_ref.as_ref();
            let target = target.filter(|target| target.kind.as_deref() == Some("Pod"));
            let is = match &telling.subject.endpoint {
                Endpoint::Pod(name) => {
                    target.is_some_and(|target| target.name.as_deref() == Some(&**name))
                }
                Endpoint::Address(address) => {
                    endpoint.addresses.iter().any(|one| *one == **address)
                }
            };
            if is {
                found = true;
                objects.pod = target.and_then(|target| target.uid.clone());
            }
        }
        objects.services.insert(service.clone(), uid);
    }
    Ok(found.then_some(objects))
}

fn failed(telling: &Telling, error: &kube::Error) -> Outcome {
    let reason = problem::words(error);
    let kube::Error::Api(status) = error else { return Outcome::Failed(untold(telling, &reason)) };
    match status.code {
        404 => Outcome::Overtaken,
        // A namespace that is on its way out takes nothing new.
        403 if status.message.contains("being terminated") => Outcome::Overtaken,
        400 | 422 => Outcome::Refused(untold(telling, &reason)),
        _ => Outcome::Failed(untold(telling, &reason)),
    }
}

fn untold(telling: &Telling, reason: &str) -> Problem {
    let Subject { namespace, endpoint } = &telling.subject;
    event_problem(
        format!("Event on {endpoint} of {namespace}"),
        format!("cannot be written: {reason}"),
        "it is tried again every few seconds; etm get ejections on a node says the same",
    )
}

fn unread(reason: &str) -> Problem {
    event_problem(
        "Events".to_owned(),
        format!("cannot be listed: {reason}"),
        "none is written before it is known what was told already; it is tried again every few \
         seconds",
    )
}

fn event_problem(object: String, reason: String, hint: &str) -> Problem {
    Problem { object, field: String::new(), reason, hint: hint.to_owned() }
}
