use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use etm_model::Problem;

use crate::manifest::{Declared, ObjectKey};

/// A file's word on an object.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) file: Arc<str>,
    pub(super) declared: Declared,
}

impl Claim {
    /// The older object counts, as in Kubernetes' conflicts; then the first file; then the first
    /// line.
    fn rank(&self) -> (bool, Option<i64>, &str, u64) {
        let created = self.declared.created;
        (created.is_none(), created, &self.file, self.declared.line)
    }

    fn place(&self) -> String {
        format!("{}:{}", self.file, self.declared.line)
    }
}

/// Who says what about each object; more than one claim is a mistake, but an easy one.
#[derive(Debug, Default)]
pub(super) struct Claims {
    /// By rank; never empty.
    claims: BTreeMap<ObjectKey, Vec<Claim>>,
    /// Those about which there is something to tell.
    flawed: BTreeSet<ObjectKey>,
}

impl Claims {
    /// The claim that counts.
    pub(super) fn winner(&self, key: &ObjectKey) -> Option<&Claim> {
        self.claims.get(key)?.first()
    }

    pub(super) fn add(&mut self, key: &ObjectKey, file: Arc<str>, declared: Declared) {
        let claim = Claim { file, declared };
        let claims = self.claims.entry(key.clone()).or_default();
        let place = claims.partition_point(|other| other.rank() <= claim.rank());
        claims.insert(place, claim);
        self.judge(key);
    }

    /// What a file says of an object.
    pub(super) fn of<'a>(
        &'a self,
        key: &ObjectKey,
        file: &'a str,
    ) -> impl Iterator<Item = &'a Declared> {
        let claims = self.claims.get(key).into_iter().flatten();
        claims.filter(move |claim| *claim.file == *file).map(|claim| &claim.declared)
    }

    /// Takes back all that a file says of an object.
    pub(super) fn remove(&mut self, key: &ObjectKey, file: &str) {
        if let Some(claims) = self.claims.get_mut(key) {
            claims.retain(|claim| *claim.file != *file);
            if claims.is_empty() {
                self.claims.remove(key);
            }
        }
        self.judge(key);
    }

    /// Takes back all that is said of an object.
    pub(super) fn remove_all(&mut self, key: &ObjectKey) {
        self.claims.remove(key);
        self.judge(key);
    }

    /// The object with its place: `Service shop/cart (shop.yaml:3)`.
    pub(super) fn written(&self, key: &ObjectKey) -> String {
        match self.winner(key) {
            Some(claim) => format!("{key} ({})", claim.place()),
            None => key.to_string(),
        }
    }

    pub(super) fn problems(&self) -> impl Iterator<Item = Problem> {
        self.flawed.iter().filter_map(|key| Some((key, self.claims.get(key)?))).flat_map(
            |(key, claims)| {
                let (winner, others) = claims.split_at(claims.len().min(1));
                let own = winner.iter().flat_map(|claim| claim.declared.problems.iter().cloned());
                let duplicates = others.iter().zip(winner.iter().cycle());
                own.chain(duplicates.map(|(claim, winner)| duplicate(key, claim, winner)))
            },
        )
    }

    fn judge(&mut self, key: &ObjectKey) {
        let flawed = self.claims.get(key).is_some_and(|claims| {
            claims.len() > 1 || claims.iter().any(|claim| !claim.declared.problems.is_empty())
        });
        if flawed {
            self.flawed.insert(key.clone());
        } else {
            self.flawed.remove(key);
        }
    }
}

fn duplicate(key: &ObjectKey, claim: &Claim, winner: &Claim) -> Problem {
    let why = if claim.declared.created == winner.declared.created {
        "which comes first by file name and line"
    } else {
        "which has the older creationTimestamp"
    };
    Problem {
        object: format!("{key} ({})", claim.place()),
        field: String::new(),
        reason: format!("is also in {}, {why}", winner.place()),
        hint: "delete one of the two; this one has no effect until then".into(),
    }
}
