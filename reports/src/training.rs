//! The page of a training run: curves, numbers, environment, configuration. It is made anew from the log each time, so
//! a resumed run has one page.

mod goals;

use crate::{
    chart::{Axis, Curves, Ink, Marker, Series, Unit, curves},
    figure::{Figure, Figures},
    html::{Element, el},
    number::{duration, number, scaled, seconds},
    page::{document, grid, p},
    table::{Entry, Table},
};
use goals::{Best, Goals};
use serde_json::Value;

/// One line of the log.
#[derive(Clone, PartialEq, Debug)]
pub struct Line {
    /// Updates done.
    pub step: u64,
    pub epoch: u64,
    /// `train`, `val` or `test`.
    pub split: String,
    pub loss: f64,
    pub metrics: Vec<(String, f64)>,
    pub lr: Option<f64>,
    /// Since the run began.
    pub seconds: f64,
}

/// What a log does not say of its run.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct About {
    /// What makes the run anew, as a shell takes it.
    pub command: String,
    /// Of the machine and the program, each with its name.
    pub environment: Vec<(String, String)>,
}

const SPLITS: [(&str, Ink, Marker); 3] = [
    ("train", Ink::SERIES[0], Marker::Circle),
    ("val", Ink::SERIES[1], Marker::Square),
    ("test", Ink::SERIES[2], Marker::Triangle),
];

/// A positive quantity that falls by more than this is shown by its powers of ten.
const LOGARITHMIC_FROM: f64 = 30.0;

/// Evaluations shown in the table at most; the log has them all.
const MOST_ROWS: usize = 100;

/// Points of a curve in its file; the log has them all.
const MOST_POINTS: usize = 1000;

/// The page as HTML. `config` is the run's configuration as JSON; what it does not say is left out.
pub fn page(model: &str, lines: &[Line], config: &str, about: &About) -> String {
    let settings: Value = serde_json::from_str(config).unwrap_or_default();
    let run = Run { lines, goals: Goals::of(&settings), about };
    let title = format!("Training of {model}");
    let header = el("header").child(el("h1").text(title.clone())).child(p(run.subtitle()).class("faint"));
    let mut main = el("main");
    let best = run.goals.best_of_run(lines);
    main = main.child(el("div").class("cards").children(run.cards(&settings, best.as_ref())));
    if !lines.is_empty() {
        main = main.child(el("h2").text("Curves")).child(grid(run.figures(&settings)));
        main = main.child(el("h2").text("Final numbers")).child(run.finals().html());
        main = main.children(run.evaluations(best.as_ref()));
    }
    if !about.environment.is_empty() {
        let facts = about.environment.iter();
        let facts = facts.flat_map(|(name, fact)| [el("dt").text(name.clone()), el("dd").text(fact.clone())]);
        main = main.child(el("h2").text("Environment")).child(el("dl").children(facts));
    }
    main = main.child(el("h2").text("Configuration"));
    main = main.child(el("pre").attr("tabindex", "0").child(el("code").text(config.trim_end())));
    document(&title, [header, main])
}

struct Run<'r> {
    lines: &'r [Line],
    goals: Goals,
    about: &'r About,
}

/// A point of a curve and where it stands in the log.
struct Point<'r> {
    line: &'r Line,
    value: f64,
}

impl Run<'_> {
    fn subtitle(&self) -> String {
        match self.lines.last() {
            Some(last) => format!("{} steps, epoch {}, {}", last.step, last.epoch, duration(last.seconds)),
            None => "The log has no lines yet.".into(),
        }
    }

    fn cards(&self, settings: &Value, best: Option<&Best>) -> Vec<Element> {
        let card = |what: &str, value: String, more: String| {
            let card = el("div").class("card").child(el("p").class("what").text(what));
            card.child(el("p").class("big").text(value)).child(p(more))
        };
        let mut cards = Vec::new();
        if let Some(best) = best {
            let after = duration(best.line.seconds);
            let more = format!("step {}, epoch {}, after {after}", best.line.step, best.line.epoch);
            cards.push(card(&format!("Best {}", self.goals.on), number(best.value), more));
        }
        for (split, ..) in SPLITS {
            if let Some(last) = self.lines.iter().rfind(|line| line.split == split) {
                let metrics = last.metrics.iter().filter(|_| split != "train");
                let metrics: Vec<String> =
                    metrics.map(|(name, value)| format!("{name} {}", number(*value))).collect();
                let at = format!("at step {}", last.step);
                let more = if metrics.is_empty() { at } else { format!("{}, {at}", metrics.join(", ")) };
                cards.push(card(&format!("Last {split}.loss"), number(last.loss), more));
            }
        }
        let rates = self.rates(settings);
        let rates: Vec<f64> = rates.iter().map(|point| point.value).collect();
        if let Some(rate) = crate::statistics::median(&rates) {
            cards.push(card(
                "Examples per second",
                scaled(rate),
                "median while training, evaluations left out".into(),
            ));
        }
        cards
    }

    fn figures(&self, settings: &Value) -> Vec<Element> {
        let mut figures = Figures::default();
        let mut drawn = vec![self.figure(&mut figures, "loss", &self.points(|line| Some(line.loss)))];
        // What was measured comes before what only accompanies training.
        let names = self.metric_names();
        let measured = |name: &&&str| {
            self.lines.iter().any(|line| line.split != "train" && metric(line, name).is_some())
        };
        let (first, others): (Vec<&str>, Vec<&str>) = names.iter().partition(measured);
        for name in first {
            drawn.push(self.figure(&mut figures, name, &self.points(|line| metric(line, name))));
        }
        for (name, points) in
            [("learning rate", self.points(|line| line.lr)), ("examples per second", self.rates(settings))]
        {
            if !points.is_empty() {
                drawn.push(self.figure(&mut figures, name, &points));
            }
        }
        for name in others {
            drawn.push(self.figure(&mut figures, name, &self.points(|line| metric(line, name))));
        }
        drawn
    }

    fn points(&self, value: impl Fn(&Line) -> Option<f64>) -> Vec<Point<'_>> {
        self.lines.iter().filter_map(|line| Some(Point { line, value: value(line)? })).collect()
    }

    /// Between a line of training and the one before, which an evaluation writes when it is over.
    fn rates(&self, settings: &Value) -> Vec<Point<'_>> {
        let rows = |key: &str, otherwise: Option<f64>| settings[key].as_f64().or(otherwise);
        let Some(rows) = rows("batch", None).zip(rows("accumulate", Some(1.0))) else { return Vec::new() };
        let pairs = self.lines.iter().zip(self.lines.iter().skip(1));
        let pairs = pairs.filter(|(_, line)| line.split == "train");
        let rates = pairs.map(|(before, line)| {
            let steps = line.step.saturating_sub(before.step) as f64;
            Point { line, value: steps * rows.0 * rows.1 / (line.seconds - before.seconds) }
        });
        rates.filter(|point| point.value.is_finite() && point.value > 0.0).collect()
    }

    fn figure(&self, figures: &mut Figures, name: &str, points: &[Point]) -> Element {
        let steps = self.lines.iter().map(|line| line.step as f64);
        let x = Axis::from_zero("step", Unit::Scaled, steps);
        let values: Vec<f64> = points.iter().map(|point| point.value).collect();
        // The rate has the shape of a schedule, which powers of ten would bend.
        let y = match name {
            "learning rate" => Axis::linear("", Unit::Plain, values.into_iter()),
            "examples per second" => Axis::from_zero("", Unit::Scaled, values.into_iter()),
            _ => Axis::by_spread("", Unit::Plain, LOGARITHMIC_FROM, values.into_iter()),
        };
        let (mut series, mut legend, mut spoken) = (Vec::new(), Vec::new(), Vec::new());
        for (split, ink, marker) in SPLITS {
            let of_split: Vec<&Point> = points.iter().filter(|point| point.line.split == split).collect();
            let (Some(first), Some(last)) = (of_split.first(), of_split.last()) else { continue };
            spoken.push(format!("{split} from {} to {}", number(first.value), number(last.value)));
            let best = (split == "val")
                .then(|| self.goals.best(name, of_split.iter().map(|one| (one.line, one.value))));
            let best = best.flatten();
            legend.push((
                ink,
                marker,
                match &best {
                    Some(best) => format!("{split} (best {} at step {})", number(best.value), best.line.step),
                    None => split.to_string(),
                },
            ));
            let curve = of_split.iter().map(|point| (point.line.step as f64, point.value)).collect();
            let best = best.map(|best| (best.line.step as f64, best.value));
            series.push(Series { best, ..Series::line(ink, marker, curve) });
        }
        let spoken = if spoken.is_empty() { "no values".into() } else { spoken.join(", ") };
        let mut table = Table::new(format!("{name} by step"))
            .texts(["split"])
            .numbers(["step", "epoch", "seconds", name]);
        let stride = points.len().div_ceil(MOST_POINTS).max(1);
        for (index, Point { line, value }) in points.iter().enumerate() {
            if index % stride == 0 || index + 1 == points.len() {
                table.row(vec![
                    Entry::text(line.split.clone()),
                    Entry::count(Some(line.step)),
                    Entry::count(Some(line.epoch)),
                    Entry::number(Some(line.seconds), seconds),
                    Entry::number(Some(*value), number),
                ]);
            }
        }
        figures.add(Figure {
            title: name.into(),
            description: format!("{name} by step: {spoken}"),
            chart: curves(&Curves { x: &x, y: &y, series: &series, notes: &[] }),
            legend,
            table,
            command: self.about.command.clone(),
        })
    }

    /// All metrics of the log, in the order in which they come up.
    fn metric_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for (name, _) in self.lines.iter().flat_map(|line| &line.metrics) {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        names
    }

    fn finals(&self) -> Table {
        let last = |(split, ..): &(&str, Ink, Marker)| self.lines.iter().rfind(|line| line.split == *split);
        let finals: Vec<&Line> = SPLITS.iter().filter_map(last).collect();
        self.table("The last line of each split", &finals, None)
    }

    fn evaluations(&self, best: Option<&Best>) -> Vec<Element> {
        let measured: Vec<&Line> = self.lines.iter().filter(|line| line.split != "train").collect();
        let shown = &measured[measured.len().saturating_sub(MOST_ROWS)..];
        if shown.is_empty() {
            return Vec::new();
        }
        let mut parts = vec![el("h2").text("Evaluations")];
        if shown.len() < measured.len() {
            parts.push(p(format!("The last {} of {}; metrics.jsonl has all.", shown.len(), measured.len())));
        }
        parts.push(self.table("Every evaluation", shown, best).html());
        parts
    }

    /// Columns that no line has a value for are left out; the line of the best stands out.
    fn table(&self, caption: &str, lines: &[&Line], best: Option<&Best>) -> Table {
        let mut names = self.metric_names();
        names.retain(|name| lines.iter().any(|line| metric(line, name).is_some()));
        let mut table = Table::new(caption).texts(["split"]).numbers(["step", "epoch", "loss"]);
        for name in &names {
            table = table.numbers([*name]);
        }
        for line in lines {
            let mut entries = vec![
                Entry::text(line.split.clone()),
                Entry::count(Some(line.step)),
                Entry::count(Some(line.epoch)),
                Entry::number(Some(line.loss), number),
            ];
            entries.extend(names.iter().map(|name| Entry::number(metric(line, name), number)));
            let is_best =
                best.is_some_and(|best| (best.line.step, &best.line.split) == (line.step, &line.split));
            table.row_as(if is_best { "best" } else { "" }, entries);
        }
        table
    }
}

fn metric(line: &Line, name: &str) -> Option<f64> {
    line.metrics.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
}
