//! A plan in lines for people.

use std::fmt::{self, Display};

use super::report::{Class, Gets, Port, Report};

/// Callers that are named in a line.
const NAMED: usize = 8;

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.services.is_empty() {
            writeln!(f, "no caller on node {} gets anything else", self.node)?;
        }
        for port in &self.services {
            write!(f, "{port}")?;
        }
        for (title, problems) in [("problems", &self.problems), ("mended", &self.mended)] {
            if !problems.is_empty() {
                writeln!(f, "{title}")?;
            }
            for problem in problems {
                writeln!(f, "  {problem}")?;
            }
        }
        Ok(())
    }
}

impl Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} ({})", self.service, self.families.join("; "))?;
        for class in &self.classes {
            write!(f, "{class}")?;
        }
        Ok(())
    }
}

impl Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = self.callers.iter().take(NAMED).map(String::as_str);
        let named = named.collect::<Vec<_>>().join(", ");
        match self.callers.len() {
            0 => writeln!(f, "  everyone else")?,
            all if all > NAMED => writeln!(f, "  {named} and {} more", all - NAMED)?,
            _ => writeln!(f, "  {named}")?,
        }
        writeln!(f, "    now   {}", gets(self.now.as_ref()))?;
        if self.changes {
            writeln!(f, "    then  {}", gets(self.then.as_ref()))?;
        } else {
            writeln!(f, "    then  the same")?;
        }
        Ok(())
    }
}

fn gets(gets: Option<&Gets>) -> String {
    let Some(Gets { rule, denied, shares }) = gets else {
        return "there is no such port".to_owned();
    };
    let by = rule.as_ref().map(|rule| format!(", by {rule}")).unwrap_or_default();
    if *denied {
        return format!("denied{by}");
    }
    if shares.is_empty() {
        return format!("refused{by}");
    }
    let shares = shares.iter().map(|share| {
        let members = match share.members {
            0 => "refused: no endpoint".to_owned(),
            1 => "1 endpoint".to_owned(),
            members => format!("{members} endpoints"),
        };
        format!("{}% {} ({members})", percent(share.percent), share.to)
    });
    format!("{}{by}", shares.collect::<Vec<_>>().join(", "))
}

/// With as many digits as tell something.
fn percent(percent: f64) -> String {
    let text = format!("{percent:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
