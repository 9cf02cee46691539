use etm_model::Problem;

/// Problems told of one object; a slice with thousands of bad endpoints is told of once.
const LIMIT: usize = 16;

/// Collects what is wrong with one object.
#[derive(Debug)]
pub(crate) struct Report {
    object: String,
    problems: Vec<Problem>,
    untold: usize,
}

impl Report {
    /// A report on the object that is written like this: `Service shop/cart`.
    pub(crate) fn on(object: String) -> Self {
        Self { object, problems: Vec::new(), untold: 0 }
    }

    /// Adds a problem of one field.
    pub(crate) fn add(
        &mut self,
        field: impl Into<String>,
        reason: impl Into<String>,
        hint: impl Into<String>,
    ) {
        if self.problems.len() == LIMIT {
            self.untold += 1;
            return;
        }
        self.problems.push(Problem {
            object: self.object.clone(),
            field: field.into(),
            reason: reason.into(),
            hint: hint.into(),
        });
    }

    /// All that was found.
    pub(crate) fn finish(mut self) -> Vec<Problem> {
        if self.untold > 0 {
            self.problems.push(Problem {
                object: self.object,
                field: String::new(),
                reason: format!("has {} more problems like these", self.untold),
                hint: "they show once these are mended".into(),
            });
        }
        self.problems
    }
}
