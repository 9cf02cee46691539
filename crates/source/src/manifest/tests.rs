use proptest::prelude::*;

use super::{File, Kind, parse};

fn read(text: &str) -> File {
    parse("shop.yaml", text.as_bytes(), None).unwrap()
}

fn keys(text: &str) -> Vec<(String, u64)> {
    let file = read(text);
    assert_eq!(file.problems, []);
    file.objects.iter().map(|object| (object.object.key().to_string(), object.line)).collect()
}

const SERVICE: &str = "\
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec: {clusterIP: 10.96.0.1, ports: [{port: 80}]}
";
const SLICE: &str = "\
addressType: IPv4
apiVersion: discovery.k8s.io/v1
endpoints: [{addresses: [10.244.0.1]}]
kind: EndpointSlice
metadata: {name: cart-1, namespace: shop, labels: {kubernetes.io/service-name: cart}}
";

#[test]
fn nothing() {
    for text in ["", "\n", "# nothing\n", "---\n", "---\n---\n", "null\n"] {
        assert_eq!(read(text), File::default(), "{text:?}");
    }
}

#[test]
fn documents() {
    let text = format!("# Two objects\n{SERVICE}---\n{SLICE}---\n");
    let expected = [("Service shop/cart".into(), 2), ("EndpointSlice shop/cart-1".into(), 7)];
    assert_eq!(keys(&text), expected);
}

#[test]
fn fields_in_any_order() {
    let text = "spec: {clusterIP: 10.96.0.1, ports: [{port: 80}]}\nmetadata: {name: cart}\n\
                kind: Service\napiVersion: v1\n";
    assert_eq!(keys(text)[0].0, "Service default/cart");
}

#[test]
fn list_with_its_kind_last() {
    let indented = |text: &str| text.trim_end().replace('\n', "\n  ");
    let text = format!(
        "apiVersion: v1\nitems:\n- {}\n- {}\nkind: List\nmetadata: {{resourceVersion: \"\"}}\n",
        indented(SERVICE),
        indented(SLICE)
    );
    let expected = [("Service shop/cart".into(), 3), ("EndpointSlice shop/cart-1".into(), 7)];
    assert_eq!(keys(&text), expected);
}

#[test]
fn list_with_the_kind_for_all() {
    let text = "apiVersion: v1\nkind: ServiceList\nitems:\n- metadata: {name: a}\n  \
                spec: {clusterIP: 10.96.0.1, ports: [{port: 80}]}\n";
    assert_eq!(keys(text), [("Service default/a".into(), 4)]);
    for empty in ["items: []", "items: null", ""] {
        assert_eq!(read(&format!("apiVersion: v1\nkind: PodList\n{empty}\n")), File::default());
    }
}

#[test]
fn json() {
    let text = "{\n\t\"kind\": \"Service\",\n\t\"apiVersion\": \"v1\",\n\t\"metadata\": {\"name\": \"caf\\u00e9\\/x\"},\n\
                \t\"spec\": {\"clusterIP\": \"10.96.0.1\", \"ports\": [{\"port\": 80}]}\n}\n";
    assert_eq!(keys(text)[0].0, "Service default/café/x");
}

#[test]
fn json_with_characters_outside_of_the_basic_plane() {
    let text = r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a",
                  "annotations": {"note": "\ud83d\ude00"}}}"#;
    assert_eq!(keys(text)[0].0, "Pod default/a");
}

#[test]
fn other_kinds_leave_the_rest_in_use() {
    let text = format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: cart}}\nspec: {{items: [1]}}\n---\n{SERVICE}"
    );
    let file = read(&text);
    assert_eq!(file.objects.len(), 1);
    let [problem] = file.problems.try_into().unwrap();
    assert_eq!(problem.object, "Deployment cart (shop.yaml:1)");
    assert_eq!(problem.field, "kind");
    assert_eq!(problem.reason, "`Deployment` of `apps/v1` is not read here");
}

#[test]
fn kinds_of_other_versions() {
    for (version, expected) in [("discovery.k8s.io/v1beta1", "v1beta1"), ("v1", "`v1`")] {
        let text = format!("apiVersion: {version}\nkind: EndpointSlice\nmetadata: {{name: a}}\n");
        let [problem] = read(&text).problems.try_into().unwrap();
        assert_eq!(problem.field, "apiVersion");
        assert!(problem.reason.contains(expected) && problem.hint.contains("discovery.k8s.io/v1"));
    }
    assert_eq!(read("kind: Service\nmetadata: {name: a}\n").problems[0].field, "apiVersion");
}

#[test]
fn no_kind() {
    let [problem] = read("apiVersion: v1\nmetadata: {name: a}\n").problems.try_into().unwrap();
    assert_eq!((&*problem.object, &*problem.field), ("shop.yaml:1", "kind"));
}

#[test]
fn problems_of_objects_have_their_place() {
    let text = format!("---\n{}", SERVICE.replace("port: 80", "port: 0"));
    let file = read(&text);
    let [problem] = &*file.objects[0].problems else { panic!("{file:?}") };
    assert_eq!(problem.object, "Service shop/cart (shop.yaml:2)");
    assert_eq!(problem.field, "spec.ports[0].port");
}

#[test]
fn broken_files_name_line_and_column() {
    for (text, place) in [
        (format!("{SERVICE}---\nkind: [\n"), "shop.yaml:6:7"),
        (
            format!(
                "{SERVICE}---\nkind: Service\napiVersion: v1\nspec:\n  ports:\n  - port: http\n"
            ),
            "shop.yaml:10:11",
        ),
        (format!("{SERVICE}  spec: {{}}\n"), "shop.yaml:5"),
        ("just text\n".into(), "shop.yaml:1:1"),
        ("kind: Service\nkind: Pod\n".into(), "shop.yaml:2:1"),
        (
            "apiVersion: v1\nkind: Service\nspec: {ports: [{port: 99999999999}]}\n".into(),
            "shop.yaml:3",
        ),
    ] {
        let problem = parse("shop.yaml", text.as_bytes(), None).unwrap_err();
        assert!(problem.object.starts_with(place), "{problem} should be at {place}");
        assert!(!problem.reason.contains('\n'), "{problem}");
        assert!(problem.hint.contains("stay as they were"));
    }
    let problem = parse("shop.yaml", b"a: b\nc: \xff\n", None).unwrap_err();
    assert_eq!((&*problem.object, &*problem.reason), ("shop.yaml:2", "is not UTF-8"));
}

#[test]
fn a_bomb_of_aliases_is_refused() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for i in 1..10 {
        let references = vec![format!("*a{}", i - 1); 10].join(", ");
        text += &format!("a{i}: &a{i} [{references}]\n");
    }
    assert!(parse("bomb.yaml", text.as_bytes(), None).is_err());
}

proptest! {
    #[test]
    fn arbitrary_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _outcome = parse("x.yaml", &bytes, None);
    }

    #[test]
    fn damaged_manifests_do_not_panic(
        at in 0..SERVICE.len() + SLICE.len(),
        length in 0_usize..20,
        put in "[-\\[\\]{}:,&*!|>'\"%@`#\n a0é]{0,6}",
    ) {
        let mut text = format!("{SERVICE}---\n{SLICE}");
        let end = (at + length).min(text.len());
        text.replace_range(at..end, &put);
        if let Ok(file) = parse("x.yaml", text.as_bytes(), None) {
            prop_assert!(file.objects.iter().all(|object| object.object.key().kind <= Kind::Node));
        }
    }
}
