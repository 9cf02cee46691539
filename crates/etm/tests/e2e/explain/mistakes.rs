//! Questions that have no answer.

use etm_testkit::objects;

use super::stage::Stage;
use crate::scene::{VIP4, VIPS};

#[test]
fn mistakes_name_what_there_is() {
    let other = objects::Service::new("db", &["10.96.0.30".parse().expect("an address")])
        .namespace("shop")
        .port("sql", "TCP", 5432, 5432)
        .port("admin", "TCP", 9090, 9090)
        .port("stats", "UDP", 8125, 8125);
    let stage = Stage::new(1, 2, &[other.into()]);
    let error = |from: &str, to: &str| stage.error(&["--from", from, "--to", to]);
    assert_eq!(
        error("shop/cart", "web:http"),
        "error: --from: this node has no Pod shop/cart: there are default/caller-1, \
         default/caller-2; ask on the node where it runs, or give node or unknown"
    );
    assert_eq!(
        error("node", "shop/dbs"),
        "error: --to: there is no Service shop/dbs in the maps: there are shop/db, default/web; \
         etm get services lists them all"
    );
    assert_eq!(
        error("node", "shop/db"),
        "error: --to: Service shop/db has several ports: name one of admin (9090/TCP), sql \
         (5432/TCP), as shop/db:sql"
    );
    let has = "it has admin (9090/TCP), sql (5432/TCP), stats (8125/UDP)";
    assert_eq!(
        error("node", "shop/db:80"),
        format!("error: --to: Service shop/db has no port 80: {has}")
    );
    assert_eq!(
        error("node", "shop/db:sql/UDP"),
        format!("error: --to: Service shop/db has no port sql of UDP: {has}")
    );
    let family = stage.error(&["--from", "node", "--to", "shop/db:sql", "--family", "6"]);
    assert_eq!(
        family,
        "error: --family: Service shop/db has no address of that family; leave it away"
    );
    let form = error("node", "10.96.0.10");
    assert!(form.contains("an address needs a port, as 10.96.0.10:80"), "{form}");
    // The only port of a protocol needs no name.
    let only = stage.json(&["--from", "node", "--to", "shop/db/UDP"]);
    assert_eq!(only["called"]["service"], "shop/db:stats/UDP");
    // TCP goes first.
    let first = stage.json(&["--from", "caller-2", "--to", "web"]);
    assert_eq!(first["called"]["service"], "default/web:http/TCP");
    assert_eq!(VIPS[0], VIP4);
}
