//! The key `augment` of a `train` block: `{ image: [random_crop(32, padding: 4), flip()] }`.

use crate::{
    api::{Augment, Origin, TrainSpec, Transform},
    checker::Checker,
};
use base::{Diagnostic, did_you_mean};
use grammar::ast::{Arg, Expr, ExprKind, Setting, SettingValue};

/// Steps of one field.
const MOST_STEPS: usize = 16;

impl<'p> Checker<'p> {
    pub(crate) fn augment(&mut self, rows: &'p [Setting]) -> Vec<Augment> {
        let mut augments = Vec::new();
        for row in rows {
            let SettingValue::Expr(expr) = &row.value else {
                self.error("E0415", row.span, "a field is augmented by a list of steps", "not a list");
                continue;
            };
            let steps = match &expr.peel().kind {
                ExprKind::List(steps) => &steps[..],
                _ => std::slice::from_ref(expr),
            };
            if steps.len() > MOST_STEPS {
                let message = format!("a field is augmented in at most {MOST_STEPS} steps");
                self.error("E0401", expr.span, message, format!("{} steps", steps.len()));
                continue;
            }
            let steps: Option<Vec<Transform>> = steps.iter().map(|step| self.transform(step)).collect();
            if let Some(transforms) = steps {
                augments.push(Augment { field: row.key.text.clone(), transforms, span: row.span });
            }
        }
        augments
    }

    fn transform(&mut self, expr: &'p Expr) -> Option<Transform> {
        let ExprKind::Call { callee, args, .. } = &expr.peel().kind else {
            return self.not_a_step(expr);
        };
        let named = |arg: &'p Arg| arg.name.as_ref().map(|name| name.text.as_str());
        let sides: Vec<&Arg> = args.iter().filter(|arg| arg.name.is_none()).collect();
        let padding = args.iter().find(|arg| named(arg) == Some("padding"));
        let known = args.len() == sides.len() + usize::from(padding.is_some());
        match (callee.as_name(), &sides[..]) {
            (Some("flip"), []) if args.is_empty() => Some(Transform::Flip),
            (Some("random_crop"), [height, rest @ ..]) if known && rest.len() <= 1 => {
                let width = rest.first().unwrap_or(height);
                let height = self.side(&height.value, "random_crop")?;
                let width = self.side(&width.value, "random_crop")?;
                let padding = match padding {
                    Some(padding) => self.whole(&padding.value, "padding", 0)?,
                    None => 0,
                };
                Some(Transform::RandomCrop { height, width, padding })
            }
            (Some(name), _) if !["flip", "random_crop"].contains(&name) => {
                let near = did_you_mean(name, ["flip", "random_crop"]);
                self.report(
                    Diagnostic::error("E0415", format!("nothing is augmented by `{name}`"))
                        .label(callee.span, "not known")
                        .note("there are random_crop, flip")
                        .did_you_mean(callee.span, near),
                );
                None
            }
            _ => self.not_a_step(expr),
        }
    }

    fn not_a_step(&mut self, expr: &Expr) -> Option<Transform> {
        let message = "a step is `random_crop(size)`, `random_crop(height, width, padding: n)` or `flip()`";
        self.error("E0415", expr.span, message, "not that");
        None
    }

    /// Whether what is cropped fits into what there is, and gives what the model takes.
    pub(crate) fn check_augment(&mut self, spec: &TrainSpec) {
        for augment in &spec.augment {
            let name = &augment.field;
            let Some(field) = spec.fields.iter().find(|field| field.name == *name) else {
                let near = did_you_mean(name, spec.fields.iter().map(|field| field.name.as_str()));
                self.report(
                    Diagnostic::error(
                        "E0415",
                        format!("training reads no field `{name}`, which is augmented"),
                    )
                    .label(augment.span, "augmented here")
                    .maybe_help(near.map(|near| format!("did you mean `{near}`?"))),
                );
                continue;
            };
            let sides: Vec<Option<i64>> = field.ty.shape.iter().skip(1).map(|dim| dim.as_const()).collect();
            let [.., height, width] = sides[..] else {
                let message = format!("the field `{name}` is {}, which is no picture", field.ty);
                self.error("E0415", augment.span, message, "its last two axes are not height and width");
                continue;
            };
            let cropped = spec.cropped(name);
            if let (Some((new_height, new_width)), Some(height), Some(width)) = (cropped, height, width)
                && (new_height, new_width) != (height, width)
            {
                let message = format!(
                    "the field `{name}` is {}, but it is cropped to {new_height} × {new_width}",
                    field.ty
                );
                self.error("E0415", augment.span, message, "cropped here");
                continue;
            }
            // Pictures come in the size that their source says, all else in that of the model.
            let Some((mut height, mut width)) = spec.picture(name).or(height.zip(width)) else { continue };
            for transform in &augment.transforms {
                if let Transform::RandomCrop { height: new_height, width: new_width, padding } = *transform {
                    let fits = |new: i64, old: i64| {
                        padding
                            .checked_mul(2)
                            .and_then(|both| both.checked_add(old))
                            .is_some_and(|old| new <= old)
                    };
                    if !fits(new_height, height) || !fits(new_width, width) {
                        let message = format!(
                            "a part of {new_height} × {new_width} does not fit into {height} × {width} with a padding of {padding}"
                        );
                        self.error("E0415", augment.span, message, "cropped here");
                        break;
                    }
                    (height, width) = (new_height, new_width);
                }
            }
        }
    }
}

impl TrainSpec {
    /// Height and width that the last crop of a field leaves.
    pub(crate) fn cropped(&self, field: &str) -> Option<(i64, i64)> {
        let augment = self.augment.iter().find(|augment| augment.field == field)?;
        augment.transforms.iter().rev().find_map(|transform| match *transform {
            Transform::RandomCrop { height, width, .. } => Some((height, width)),
            Transform::Flip => None,
        })
    }

    /// Height and width in which pictures of a folder come.
    fn picture(&self, field: &str) -> Option<(i64, i64)> {
        let source = self.source.as_ref()?;
        let described = source.fields.iter().find(|described| described.field == field)?;
        match described.origin {
            Origin::Picture { height, width, .. } => Some((height, width)),
            _ => None,
        }
    }
}
