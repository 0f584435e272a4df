//! What is to be reached, as the configuration says.

use super::{Line, metric};
use serde_json::Value;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Lower,
    Higher,
}

pub(super) struct Goals {
    /// What the best checkpoint goes by.
    pub on: String,
    /// Of what is measured.
    directions: Vec<(String, Direction)>,
}

/// The first of the best values.
pub(super) struct Best<'r> {
    pub line: &'r Line,
    pub value: f64,
}

impl Goals {
    /// Of a configuration that says nothing of them: the loss, which is to be low.
    pub fn of(config: &Value) -> Goals {
        let mut directions = vec![("loss".to_string(), Direction::Lower)];
        for (name, direction) in config["metrics"].as_object().into_iter().flatten() {
            match direction.as_str() {
                Some("higher") => directions.push((name.clone(), Direction::Higher)),
                Some("lower") => directions.push((name.clone(), Direction::Lower)),
                _ => {}
            }
        }
        Goals { on: config["checkpoint"]["best"].as_str().unwrap_or("val.loss").into(), directions }
    }

    /// Nothing of what has no direction, and of numbers that are none.
    pub fn best<'r>(&self, name: &str, points: impl Iterator<Item = (&'r Line, f64)>) -> Option<Best<'r>> {
        let (_, direction) = self.directions.iter().find(|(known, _)| known == name)?;
        points.filter(|(_, value)| !value.is_nan()).fold(None, |best: Option<Best>, (line, value)| {
            let improves = best.as_ref().is_none_or(|best| match direction {
                Direction::Lower => value < best.value,
                Direction::Higher => value > best.value,
            });
            if improves { Some(Best { line, value }) } else { best }
        })
    }

    pub fn best_of_run<'r>(&self, lines: &'r [Line]) -> Option<Best<'r>> {
        let name = self.on.strip_prefix("val.")?;
        let value = |line: &Line| if name == "loss" { Some(line.loss) } else { metric(line, name) };
        let measured = lines.iter().filter(|line| line.split == "val");
        self.best(name, measured.filter_map(|line| Some((line, value(line)?))))
    }
}
