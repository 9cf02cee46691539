//! What the programs cost the kernel's verifier, held against a record.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs};

use etm_dataplane::View;

use crate::scene::Scene;

/// Verified instructions, by program.
type Counts = BTreeMap<String, u32>;

/// Set, the record is written anew.
const RECORD: &str = "ETM_RECORD_VERIFIER";

const HOW: &str = "where this is meant, write the record anew and commit it: \
                   ETM_RECORD_VERIFIER=1 cargo xtask test verifier::";

/// Asked when the test runs: clones of the tree may share a target directory.
fn record() -> PathBuf {
    let package = env::var_os("CARGO_MANIFEST_DIR").expect("this is run by cargo");
    Path::new(&package).join("../../bpf/verifier.json")
}

fn verified(scene: &Scene) -> Counts {
    let programs = View::open(&scene.pin()).expect("maps").program_usage().expect("programs");
    let count = |program: etm_dataplane::ProgramUsage| {
        let count = program.verified_instructions.expect("Linux 5.16 or later");
        (program.hook.name().to_owned(), count)
    };
    programs.into_iter().map(count).collect()
}

/// What is wrong with these counts, a line each.
fn objections(now: &Counts, record: &Counts) -> Vec<String> {
    let grown = now.iter().filter_map(|(program, count)| {
        let Some(before) = record.get(program) else {
            return Some(format!("{program} is not in bpf/verifier.json"));
        };
        (u64::from(*count) * 10 > u64::from(*before) * 11).then(|| {
            let percent = u64::from(count - before) * 100 / u64::from((*before).max(1));
            format!(
                "{program} has {count} verified instructions, {percent}% more than the {before} \
                 of bpf/verifier.json"
            )
        })
    });
    let gone = record.keys().filter(|program| !now.contains_key(*program));
    grown
        .chain(gone.map(|program| format!("{program} is gone, but in bpf/verifier.json")))
        .collect()
}

#[test]
fn no_program_outgrows_its_record() {
    let scene = Scene::new();
    // What is switched off is not verified.
    let _agent = scene.agent().arg("--unknown-port=refuse").start().expect("an agent");
    let now = verified(&scene);
    if env::var_os(RECORD).is_some() {
        let text = serde_json::to_string_pretty(&now).expect("JSON");
        fs::write(record(), format!("{text}\n")).expect("the record");
    }
    let text = fs::read_to_string(record()).unwrap_or_else(|error| {
        panic!("could not read bpf/verifier.json: {error}; {HOW}");
    });
    let record: Counts = serde_json::from_str(&text).expect("bpf/verifier.json: program -> count");
    let objections = objections(&now, &record);
    assert!(objections.is_empty(), "{}\n{HOW}", objections.join("\n"));
}

#[test]
fn growth_beyond_a_tenth_is_an_objection() {
    let counts = |count| Counts::from([("connect4".to_owned(), count)]);
    assert_eq!(objections(&counts(1100), &counts(1000)), [""; 0]);
    assert_eq!(objections(&counts(500), &counts(1000)), [""; 0]);
    let grown = objections(&counts(1101), &counts(1000));
    assert!(grown[0].contains("connect4 has 1101 verified instructions, 10% more"), "{grown:?}");
    let missing = objections(&counts(1), &Counts::new());
    assert_eq!(missing, ["connect4 is not in bpf/verifier.json"]);
    let gone = objections(&Counts::new(), &counts(1));
    assert_eq!(gone, ["connect4 is gone, but in bpf/verifier.json"]);
}
