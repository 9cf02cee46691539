//! Routes of the Gateway API, and what of them is honoured.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use etm_model::{
    Action, DestinationRef, ObjectName, Protocol, ReferenceGrant, Route, RouteKind, RoutePort,
};
use etm_source::convert::{self, GatewayRoute, NotAccepted};

const SERVICE: &str = "{group: '', kind: Service, name: cart}";

fn converted(kind: RouteKind, spec: &str) -> convert::Converted<GatewayRoute> {
    let text = format!("metadata: {{name: split, namespace: shop}}\nspec: {spec}");
    convert::gateway_route(kind, &serde_saphyr::from_str(&text).unwrap())
}

fn gateway_route(kind: RouteKind, spec: &str) -> GatewayRoute {
    converted(kind, spec).object.unwrap()
}

fn route(kind: RouteKind, spec: &str) -> Route {
    let mut route = gateway_route(kind, spec);
    assert_eq!((route.routes.len(), &route.parents[0].route), (1, &Ok(0)), "{spec}");
    route.routes.remove(0)
}

/// The field and message for which a route is not accepted.
fn refused(kind: RouteKind, spec: &str) -> (String, String) {
    let route = gateway_route(kind, spec);
    assert_eq!(route.routes, [], "{spec}");
    let NotAccepted { field, reason, message } = route.parents[0].route.clone().unwrap_err();
    assert_eq!(reason, "UnsupportedValue");
    (field.into_owned(), message)
}

fn rules(kind: RouteKind, rules: &str) -> Route {
    route(kind, &format!("{{parentRefs: [{SERVICE}], rules: {rules}}}"))
}

#[test]
fn parents() {
    let of = |parent: &str| {
        route(RouteKind::TcpRoute, &format!("{{parentRefs: [{parent}], rules: []}}"))
    };
    let own = of(SERVICE);
    assert_eq!(own.target, ObjectName::new("shop", "cart"));
    assert_eq!(
        (own.port, own.protocol, own.consumers),
        (RoutePort::Every, Some(Protocol::Tcp), None)
    );
    assert_eq!(&*own.field, "spec.parentRefs[0]");
    let core = of("{group: core, kind: Service, name: cart, port: 80}");
    assert_eq!(core.port, RoutePort::Number(80));
    let named = of("{group: '', kind: Service, name: cart, sectionName: http}");
    assert_eq!(named.port, RoutePort::Name("http".into()));
    // A route of its callers' namespace is for them alone.
    let away = of("{group: '', kind: Service, name: cart, namespace: lab}");
    assert_eq!(away.target, ObjectName::new("lab", "cart"));
    assert_eq!(away.consumers.as_deref(), Some("shop"));

    let udp = route(RouteKind::UdpRoute, &format!("{{parentRefs: [{SERVICE}]}}"));
    assert_eq!(udp.protocol, Some(Protocol::Udp));

    let both = "{parentRefs: [{group: '', kind: Service, name: cart, port: 80, sectionName: a}]}";
    let (field, message) = refused(RouteKind::TcpRoute, both);
    assert_eq!(field, "spec.parentRefs[0]");
    assert!(message.contains("take one of them away"), "{message}");
}

#[test]
fn parents_that_are_no_services_are_left_to_others() {
    let spec = format!(
        "{{parentRefs: [{{name: outer}}, {{kind: Service, name: no-group}}, {SERVICE}, \
         {{group: '', kind: Service, name: web}}]}}"
    );
    let route = gateway_route(RouteKind::TcpRoute, &spec);
    let targets: Vec<_> = route.routes.iter().map(|route| &*route.target.name).collect();
    assert_eq!(targets, ["cart", "web"]);
    let fields: Vec<_> = route.routes.iter().map(|route| &*route.field).collect();
    assert_eq!(fields, ["spec.parentRefs[2]", "spec.parentRefs[3]"]);
    assert_eq!(route.parents[1].route, Ok(1));
    // What is for a gateway may ask for whatever that can do.
    let other = "{parentRefs: [{name: outer}], rules: [{filters: [{type: X}]}]}";
    let converted = converted(RouteKind::HttpRoute, other);
    assert_eq!(converted.problems, []);
    assert_eq!(converted.object.unwrap().parents, []);
}

#[test]
fn weights() {
    let route = rules(
        RouteKind::TcpRoute,
        "[{backendRefs: [{name: v1, port: 80, weight: 90}, {name: v2, port: 81, namespace: lab}]}, \
         {name: late, backendRefs: [{name: v3, port: 80, weight: 0}]}]",
    );
    let Action::Forward(first) = &route.rules[0].action else { panic!("{route:?}") };
    let service = |namespace, name, port| DestinationRef::Service {
        name: ObjectName::new(namespace, name),
        port: RoutePort::Number(port),
    };
    assert_eq!((first[0].weight, &first[0].to), (90, &service("shop", "v1", 80)));
    assert_eq!((first[1].weight, &first[1].to), (1, &service("lab", "v2", 81)));
    assert_eq!(&*first[1].field, "spec.rules[0].backendRefs[1]");
    assert!(route.rules.iter().all(|rule| rule.from.is_empty() && rule.share.is_none()));
    assert_eq!(&*route.rules[1].name, "late");
    let Action::Forward(second) = &route.rules[1].action else { panic!("{route:?}") };
    assert_eq!(second[0].weight, 0);
}

#[test]
fn backends_of_another_kind_have_their_share_refused() {
    let spec = format!(
        "{{parentRefs: [{SERVICE}], rules: [{{backendRefs: [{{group: x.dev, kind: Bucket, name: \
         b}}, {{name: v1}}]}}]}}"
    );
    let route = route(RouteKind::TcpRoute, &spec);
    let Action::Forward(to) = &route.rules[0].action else { panic!("{route:?}") };
    let told = to.iter().map(|to| match &to.to {
        DestinationRef::Invalid(reason) => &**reason,
        other => panic!("{other:?}"),
    });
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            "names a Bucket of x.dev; only Services are known",
            "names no port from 1 to 65535, which a Service needs",
        ]
    );
}

#[test]
fn http_routes_by_their_weights_alone() {
    let backend = "backendRefs: [{name: v1, port: 80}]";
    for plain in [
        "",
        "matches: [], ",
        "matches: [{path: {type: PathPrefix, value: /}}], ",
        "matches: [{path: {value: /}, headers: []}], ",
        "filters: [], ",
        "name: all, ",
    ] {
        let route = rules(RouteKind::HttpRoute, &format!("[{{{plain}{backend}}}]"));
        assert_eq!(route.rules.len(), 1, "{plain}");
        assert_eq!(route.protocol, Some(Protocol::Tcp));
    }
    // Of a Service's route nothing is inferred from them.
    let hosts =
        format!("{{hostnames: [cart.example], parentRefs: [{SERVICE}], rules: [{{{backend}}}]}}");
    assert_eq!(route(RouteKind::HttpRoute, &hosts).rules.len(), 1);
    for (asks, field) in [
        ("matches: [{path: {type: PathPrefix, value: /cart}}]", "matches[0]"),
        ("matches: [{path: {type: Exact, value: /}}]", "matches[0]"),
        ("matches: [{path: {value: /}}, {headers: [{name: a, value: b}]}]", "matches[1]"),
        ("matches: [{method: GET}]", "matches[0]"),
        ("filters: [{type: RequestMirror}]", "filters"),
        ("timeouts: {request: 10s}", "timeouts"),
        ("retry: {attempts: 2}", "retry"),
        ("sessionPersistence: {sessionName: a}", "sessionPersistence"),
        ("whateverComesNext: true", "whateverComesNext"),
    ] {
        let spec =
            format!("{{parentRefs: [{SERVICE}], rules: [{{{backend}}}, {{{asks}, {backend}}}]}}");
        let (at, message) = refused(RouteKind::HttpRoute, &spec);
        assert_eq!(at, format!("spec.rules[1].{field}"), "{asks}");
        assert!(message.contains("layer 7"), "{message}");
        let problems = converted(RouteKind::HttpRoute, &spec).problems;
        assert_eq!((problems.len(), &problems[0].field), (1, &at));
    }
    let filtered = format!(
        "{{parentRefs: [{SERVICE}], rules: [{{backendRefs: [{{name: v1, port: 80, filters: [{{type: \
         X}}]}}]}}]}}"
    );
    assert_eq!(refused(RouteKind::HttpRoute, &filtered).0, "spec.rules[0].backendRefs[0].filters");
}

#[test]
fn grpc_routes_by_their_weights_alone() {
    let backend = "backendRefs: [{name: v1, port: 80}]";
    assert_eq!(rules(RouteKind::GrpcRoute, &format!("[{{{backend}}}]")).rules.len(), 1);
    let spec = format!(
        "{{parentRefs: [{SERVICE}], rules: [{{matches: [{{method: {{service: a.B}}}}], {backend}}}]}}"
    );
    assert_eq!(refused(RouteKind::GrpcRoute, &spec).0, "spec.rules[0].matches[0]");
}

#[test]
fn what_cannot_be_read_counts_as_it_was() {
    let converted = converted(RouteKind::TcpRoute, "{rules: [{backendRefs: [{name: 7}]}]}");
    assert_eq!(converted.object, None);
    assert_eq!(converted.stays, Some(ObjectName::new("shop", "split")));
    assert!(converted.problems[0].reason.contains("invalid type"), "{:?}", converted.problems);
}

fn grant(spec: &str) -> Option<ReferenceGrant> {
    let text = format!("metadata: {{name: open, namespace: lab}}\nspec: {spec}");
    convert::reference_grant(&serde_saphyr::from_str(&text).unwrap()).object
}

#[test]
fn grants() {
    let from = "from: [{group: gateway.networking.k8s.io, kind: TCPRoute, namespace: shop}, \
                {group: etm.dev, kind: TrafficRoute, namespace: shop}, \
                {group: other.dev, kind: TCPRoute, namespace: shop}]";
    let all = grant(&format!("{{{from}, to: [{{group: '', kind: Service}}]}}")).unwrap();
    assert_eq!(all.name, ObjectName::new("lab", "open"));
    let kinds: Vec<_> = all.from.iter().map(|(kind, from)| (*kind, &**from)).collect();
    assert_eq!(kinds, [(RouteKind::TcpRoute, "shop"), (RouteKind::TrafficRoute, "shop")]);
    assert_eq!(all.services, None);
    let one = "to: [{group: '', kind: Service, name: v2}, {group: '', kind: Secret}]";
    let one = grant(&format!("{{{from}, {one}}}")).unwrap();
    assert_eq!(one.services, Some(vec!["v2".into()]));
    assert_eq!(grant(&format!("{{{from}, to: [{{group: '', kind: Secret}}]}}")), None);
    let gateway = "from: [{group: gateway.networking.k8s.io, kind: Gateway, namespace: shop}]";
    assert_eq!(grant(&format!("{{{gateway}, to: [{{group: '', kind: Service}}]}}")), None);
}
