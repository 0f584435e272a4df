//! Derivatives of random models: reverse = forward = differences, first and second order, in f64.

use super::{
    Verdict,
    margins::{Watched, watch},
    subject::{Dims, Subject},
    tally::Tally,
};
use generate::Model;
use graph::{Array, Function, interp};
use kernel::DType;

pub fn check(model: &Model, tally: &mut Tally) -> Verdict {
    tally.models += 1;
    let verdict = match verdict(model, tally) {
        Ok(()) => Verdict::Agrees,
        Err(verdict) => verdict,
    };
    match &verdict {
        Verdict::Agrees => tally.agreed += 1,
        Verdict::Rejected(why) => *tally.rejected.entry(why).or_default() += 1,
        Verdict::Fails(_) => {}
    }
    verdict
}

/// Steps of the differences.
const STEP: f64 = 1.0 / 4096.0;
/// Of the size of what is compared.
const TOLERANCE: f64 = 1e-6;

fn verdict(model: &Model, tally: &mut Tally) -> Result<(), Verdict> {
    let subject = Subject::new(model, DType::F64, false)?;
    let sizes = model.sizes.first().ok_or(Verdict::Rejected("no sizes"))?;
    let (args, dims) = subject.arguments(model, sizes).map_err(Verdict::Fails)?;
    let case = Case { subject: &subject, args, dims };
    let all = case.watch(subject.function(), 0.0);
    let results = all.results.clone().map_err(|why| Verdict::Fails(format!("the definition: {why}")))?;
    subject.shapes_agree(model, &results, sizes).map_err(Verdict::Fails)?;
    if !results.iter().all(|result| result.values.iter().all(|value| value.is_finite())) {
        return Err(Verdict::Rejected("not finite"));
    }
    if all.largest > 1e7 {
        return Err(Verdict::Rejected("large numbers"));
    }
    let function = subject.function();
    let named = |name: &str| -> Result<&Array, Verdict> {
        let place = function.results.iter().position(|(result, ..)| result == name);
        Ok(&results[place.ok_or_else(|| Verdict::Fails(format!("there is no result `{name}`")))?])
    };
    let n_inputs = model.inputs.len() / 2;
    // The value and its slopes at places along the direction.
    let mut narrow = function.clone();
    narrow.results.retain(|(name, ..)| name == "y" || name.starts_with("slope"));
    let mut near = Vec::new();
    for step in [-2.0, -1.0, 1.0, 2.0] {
        let watched = case.watch(&narrow, step * STEP);
        near.push(watched);
    }
    let middle = case.watch(&narrow, 0.0);
    if near.iter().any(|watched| watched.decided != middle.decided) || middle.margin < 1e-6 {
        return Err(Verdict::Rejected("near a corner"));
    }
    let near: Vec<Vec<Array>> =
        near.into_iter().map(|watched| watched.results).collect::<Result<_, _>>().map_err(Verdict::Fails)?;
    // Of fourth order, and of second order with twice the step: where they differ, they say little.
    let difference = |result: usize, element: usize| {
        let at: Vec<f64> = near
            .iter()
            .map(|values| values[result].values.iter().nth(element).copied().unwrap_or(0.0))
            .collect();
        let (wide, short) = ((at[3] - at[0]) / (4.0 * STEP), (at[2] - at[1]) / (2.0 * STEP));
        ((4.0 * short - wide) / 3.0, (wide - short).abs() / 64.0)
    };
    let (reverse, forward) = (scalar(named("reverse")?), scalar(named("forward")?));
    let y = scalar(named("y")?);
    let scale = reverse.abs().max(forward.abs()).max(1e-3 * y.abs()).max(1e-6);
    close("forward and reverse", forward, reverse, 1e-9 * scale.max(1e-3 * all.largest))
        .map_err(Verdict::Fails)?;
    let (slope, unsure) = difference(0, 0);
    if unsure > 1e-4 * scale {
        return Err(Verdict::Rejected("curved"));
    }
    let noise = 1e-14 * all.largest.max(1.0) / STEP;
    close("reverse and differences", reverse, slope, TOLERANCE * scale + unsure + noise)
        .map_err(Verdict::Fails)?;
    let mut bends = Vec::new();
    for input in 0..n_inputs {
        let (bend, turn) = (named(&format!("bend{input}"))?, named(&format!("turn{input}"))?);
        let place = narrow.results.iter().position(|(name, ..)| *name == format!("slope{input}"));
        let place = place.ok_or_else(|| Verdict::Fails("a slope is missing".into()))?;
        bends.extend(bend.values.iter().zip(&turn.values).enumerate().map(|(element, (bend, turn))| {
            (format!("`bend{input}`, element {element}"), *bend, *turn, difference(place, element))
        }));
    }
    let scale = bends.iter().fold(scale, |most, (_, bend, ..)| most.max(bend.abs()));
    if bends.iter().any(|(.., (_, unsure))| *unsure > 1e-4 * scale) {
        return Err(Verdict::Rejected("curved"));
    }
    for (name, bend, turn, (slope, unsure)) in &bends {
        let allowed = 1e-9 * scale.max(1e-3 * all.largest);
        close(&format!("{name}: forward over reverse and reverse twice"), *turn, *bend, allowed)
            .map_err(Verdict::Fails)?;
        close(
            &format!("{name}: reverse twice and differences"),
            *bend,
            *slope,
            TOLERANCE * scale + unsure + noise,
        )
        .map_err(Verdict::Fails)?;
    }
    tally.note(&subject.built.module, subject.entry);
    Ok(())
}

fn scalar(array: &Array) -> f64 {
    array.values.iter().sum()
}

fn close(what: &str, found: f64, wanted: f64, allowed: f64) -> Result<(), String> {
    let off = (found - wanted).abs();
    if off.is_nan() || off > allowed {
        return Err(format!("{what}: {found} and {wanted}, allowed is {allowed:e}"));
    }
    Ok(())
}

struct Case<'a> {
    subject: &'a Subject,
    args: Vec<Array>,
    dims: Dims,
}

impl Case<'_> {
    /// Runs it with all inputs moved along their directions.
    fn watch(&self, function: &Function, step: f64) -> Watched {
        let mut args = self.args.clone();
        for (place, param) in function.params.iter().enumerate() {
            let direction = function.params.iter().position(|other| other.name == format!("d{}", param.name));
            if let Some(direction) = direction {
                args[place].values.scaled_add(step, &self.args[direction].values);
            }
        }
        let mode = interp::Mode::Rounded { float: DType::F64 };
        watch(&self.subject.built.module, function, &args, &self.dims, mode)
    }
}
