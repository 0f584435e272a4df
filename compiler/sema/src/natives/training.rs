//! What the loop around the compiled step decides.

use super::Args;
use crate::{api::Plateau, checker::Checker, value::Value};
use base::Diagnostic;
use graph::{DType, Param, Role, Type};

impl<'p> Checker<'p> {
    /// `_plateau(factor, patience, on)`: a scalar that begins at 1 and that the loop lowers.
    pub(super) fn plateau_scale(&mut self, args: &mut Args<'p>) -> Option<Value<'p>> {
        let span = args.span;
        if !self.frame_ref().extra.iter().any(|(name, _)| *name == "update") {
            return Some(self.error(
                "E0415",
                span,
                "a plateau is a learning rate of a `train` block",
                "not here",
            ));
        }
        let factor = self.need(args, "factor")?;
        let Some(number) = factor.value.as_f64().filter(|number| *number > 0.0 && *number < 1.0) else {
            return Some(self.error(
                "E0401",
                factor.span,
                "`factor` is a number between 0 and 1",
                "not that",
            ));
        };
        let patience = self.need(args, "patience")?;
        let Value::Int(count @ 1..) = patience.value else {
            let message = "`patience` is a whole number of at least 1";
            return Some(self.error("E0401", patience.span, message, "not that"));
        };
        let on = self.need(args, "on")?;
        let Value::Text(watched) = &on.value else {
            return Some(self.error("E0415", on.span, "`on` is a string", "as in `\"val.loss\"`"));
        };
        let plateau = Plateau { on: watched.to_string(), factor: number, patience: count };
        let scale = match &self.plateau {
            Some((known, id)) if *known == plateau => *id,
            Some(_) => {
                return Some(
                    self.report(
                        Diagnostic::error("E0415", "two plateaus differ")
                            .label(span, "another one")
                            .help("all learning rates of a `train` block are lowered together"),
                    ),
                );
            }
            None => {
                let ty = Type::scalar(DType::F64);
                let id = self.param(Param { name: "lr_scale".into(), role: Role::Control, ty });
                let id = self.cast(id, self.float(), span)?;
                self.plateau = Some((plateau, id));
                id
            }
        };
        Some(Value::Tensor(scale))
    }
}
