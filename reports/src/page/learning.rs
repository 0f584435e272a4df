//! Training runs of several frameworks laid over one another: speed without learning is worth nothing.

use super::{Page, Section, grid, p, quoted, scaling::drawn};
use crate::{
    arms::{rank, title},
    chart::{Axis, Curves, Unit, curves},
    figure::Figure,
    html::Element,
    number::{duration, number, percent, plain},
    record::Curve,
    table::{Entry, Table},
};

/// Points of a curve that the file has at most.
const MOST_POINTS: usize = 200;

pub(super) fn section(page: &mut Page) -> Option<Section> {
    let results = page.results;
    let mut models: Vec<&str> = Vec::new();
    for curve in &results.curves {
        if !models.contains(&curve.model.as_str()) {
            models.push(&curve.model);
        }
    }
    let mut figures = Vec::new();
    for model in models {
        let mut of_model: Vec<&Curve> = results.curves.iter().filter(|curve| curve.model == model).collect();
        of_model.sort_by_key(|curve| rank(&curve.arm));
        type Values = fn(&Curve) -> Option<&Vec<f64>>;
        let kinds: [(&str, Values); 2] =
            [("loss", |curve| curve.loss.as_ref()), ("accuracy", |curve| curve.accuracy.as_ref())];
        for (what, values) in kinds {
            let known: Vec<(&Curve, &Vec<f64>)> = of_model
                .iter()
                .filter_map(|curve| Some((*curve, values(curve)?)))
                .filter(|(_, values)| !values.is_empty())
                .collect();
            if !known.is_empty() {
                figures.push(figure(page, model, what, &known));
            }
        }
    }
    let text = "The same model, data, batch and optimiser, from the same initial weights: what was reached after how long.";
    (!figures.is_empty()).then(|| Section {
        id: "learning",
        title: "Learning over time",
        body: vec![p(text), grid(figures)],
    })
}

fn figure(page: &mut Page, model: &str, what: &str, known: &[(&Curve, &Vec<f64>)]) -> Element {
    let shown: Vec<(&str, Vec<(f64, f64)>)> = known
        .iter()
        .map(|(curve, values)| {
            let points = curve.seconds.iter().copied().zip(values.iter().copied());
            (curve.arm.as_str(), points.collect())
        })
        .collect();
    let all = || shown.iter().flat_map(|(_, points)| points);
    let x = Axis::from_zero("time of training", Unit::Seconds, all().map(|(x, _)| *x));
    let accurate = what == "accuracy";
    let y = match accurate {
        true => Axis::linear("accuracy", Unit::Percent, all().map(|(_, y)| *y)),
        false => {
            Axis::by_spread("loss", Unit::Plain, 30.0, all().map(|(_, y)| *y).collect::<Vec<_>>().into_iter())
        }
    };
    let show = |value: f64| if accurate { percent(value) } else { number(value) };
    let (series, legend) = drawn(&shown);
    let mut table = Table::new(format!("{model}: {what} over time"))
        .texts(["framework"])
        .numbers(["at last", "after", "best"])
        .in_file(["seconds", "values"]);
    let mut spoken = Vec::new();
    for (curve, values) in known {
        let (last, after) = (values.last().copied(), curve.seconds.last().copied());
        let best = values.iter().copied().fold(None, |best: Option<f64>, value| {
            Some(best.map_or(value, |best| if accurate { best.max(value) } else { best.min(value) }))
        });
        let stride = values.len().div_ceil(MOST_POINTS).max(1);
        let list = |values: &[f64]| {
            let kept: Vec<String> = values.iter().step_by(stride).map(|value| plain(*value)).collect();
            Entry::new("", kept.join(";"))
        };
        table.row(vec![
            Entry::text(title(&curve.arm)),
            Entry::number(last, show),
            Entry::number(after, duration),
            Entry::number(best, show),
            list(&curve.seconds),
            list(values),
        ]);
        if let (Some(last), Some(after)) = (last, after) {
            spoken.push(format!("{} {} after {}", title(&curve.arm), show(last), duration(after)));
        }
    }
    let own = known.iter().find_map(|(curve, _)| curve.command.clone());
    let arms: Vec<&str> = known.iter().map(|(curve, _)| curve.arm.as_str()).collect();
    let (words, against) = (quoted(model), quoted(&arms.join(",")));
    let command =
        own.unwrap_or_else(|| format!("dlc bench --models {words} --mode train --against {against}"));
    let figure = Figure {
        title: format!("{model}: {what} while training"),
        description: spoken.join("; "),
        chart: curves(&Curves { x: &x, y: &y, series: &series, notes: &[] }),
        legend,
        table,
        command: page.anew(&command),
    };
    page.figure(figure)
}
