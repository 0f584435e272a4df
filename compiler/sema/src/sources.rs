//! Where a `train` block takes its data from. Sources are read from the tree, since `column` and the like exist only
//! here; nothing is opened.

use crate::{
    api::{Column, DrawSpec, FieldSource, FieldSpec, Origin, Source, Step, TrainSpec},
    checker::Checker,
    value::Value,
};
use base::{Diagnostic, did_you_mean};
use grammar::ast::{Arg, BinaryOp, Expr, ExprKind, UnaryOp};
use graph::Type;

const SOURCES: &[&str] =
    &["csv", "npz", "npy", "idx", "images", "text", "parquet", "safetensors", "synthetic"];

/// Of a text that is read in windows, and of one side of a picture.
const MOST: i64 = 1 << 20;

impl<'p> Checker<'p> {
    /// `csv("file", field: column(3), …)`.
    pub(crate) fn source(&mut self, expr: &'p Expr) -> Option<Source> {
        let ExprKind::Call { callee, args, .. } = &expr.peel().kind else {
            self.error(
                "E0415",
                expr.span,
                "`data` is a source, as in `csv(\"file.csv\", x: column(0))`",
                "not a source",
            );
            return None;
        };
        let kind = callee.as_name().unwrap_or("");
        if !SOURCES.contains(&kind) {
            let near = did_you_mean(kind, SOURCES.iter().copied());
            self.report(
                Diagnostic::error("E0415", format!("there is no data source `{kind}`"))
                    .label(callee.span, "not known")
                    .note(format!("the sources are {}", SOURCES.join(", ")))
                    .did_you_mean(callee.span, near),
            );
            return None;
        }
        let mut source =
            Source { kind: kind.into(), path: None, rows: None, fields: Vec::new(), span: expr.span };
        for arg in args {
            match &arg.name {
                None if kind == "synthetic" => source.rows = self.whole(&arg.value, "rows", 1),
                None => source.path = self.text(&arg.value, "the file"),
                Some(name) if kind == "text" && name.text == "tokenizer" => self.tokenizer(&arg.value)?,
                Some(name) => {
                    let field = self.field_source(kind, name.text.clone(), arg)?;
                    source.fields.push(field);
                }
            }
        }
        if source.path.is_none() && source.rows.is_none() {
            self.error("E0415", expr.span, format!("`{kind}` needs its file"), "as its first argument");
            return None;
        }
        if kind == "text" {
            let windows: Vec<i64> = source.fields.iter().filter_map(|field| window(&field.origin)).collect();
            if windows.is_empty() || windows.iter().any(|window| *window != windows[0]) {
                self.error(
                    "E0415",
                    expr.span,
                    "a text is read in windows of one length",
                    "as in `text(\"file.txt\", x: window(64), target: next())`",
                );
                return None;
            }
        }
        Some(source)
    }

    /// The types that training gave to the fields, against what the source can give.
    pub(crate) fn check_source(&mut self, spec: &TrainSpec) {
        self.check_augment(spec);
        let (Some(source), fields) = (&spec.source, &spec.fields) else { return };
        let length = source.fields.iter().find_map(|field| window(&field.origin)).unwrap_or(0);
        for described in &source.fields {
            let Some(FieldSpec { ty, .. }) = fields.iter().find(|field| field.name == described.field) else {
                continue;
            };
            let (rows, integer, gives) = match described.origin {
                Origin::Window(_) | Origin::Next => {
                    (vec![length], true, format!("integers of the shape [batch, {length}]"))
                }
                Origin::Picture { height, width, .. } => {
                    let (height, width) = spec.cropped(&described.field).unwrap_or((height, width));
                    let gives = format!("floats of the shape [batch, 3, {height}, {width}]");
                    (vec![3, height, width], false, gives)
                }
                Origin::Folder => (Vec::new(), true, "integers of the shape [batch]".into()),
                _ => continue,
            };
            if !takes(ty, &rows, integer) {
                let message =
                    format!("the field `{}` is {ty}, but its source gives {gives}", described.field);
                self.error("E0415", described.span, message, format!("gives {gives}"));
            }
        }
    }

    fn tokenizer(&mut self, expr: &'p Expr) -> Option<()> {
        let ExprKind::Call { callee, args, .. } = &expr.peel().kind else {
            self.error("E0415", expr.span, "`tokenizer` is `chars()`", "not that");
            return None;
        };
        match (callee.as_name(), args.is_empty()) {
            (Some("chars"), true) => Some(()),
            (name, _) => {
                self.unsupported(expr.span, &format!("the tokenizer `{}`", name.unwrap_or("…")));
                None
            }
        }
    }

    fn field_source(&mut self, kind: &str, field: String, arg: &'p Arg) -> Option<FieldSource> {
        let mut steps = Vec::new();
        let value = self.arithmetic(&arg.value, &mut steps)?;
        let origin = self.data_origin(kind, value)?;
        let countable = matches!(origin, Origin::Window(_) | Origin::Next | Origin::Folder | Origin::Draw(_));
        if countable && !steps.is_empty() {
            self.error(
                "E0415",
                arg.value.span,
                "there is arithmetic on numbers of a file only, not on what is counted or drawn",
                "arithmetic here",
            );
            return None;
        }
        Some(FieldSource { field, origin, steps, span: arg.value.span })
    }

    /// Takes `… * 2 + 1` apart: what stands innermost, and the steps from there to the outside.
    fn arithmetic(&mut self, expr: &'p Expr, steps: &mut Vec<Step>) -> Option<&'p Expr> {
        let expr = expr.peel();
        match &expr.kind {
            ExprKind::Unary { op: UnaryOp::Neg, operand } => {
                let inner = self.arithmetic(operand, steps)?;
                steps.push(Step::Multiply(-1.0));
                Some(inner)
            }
            ExprKind::Binary { op, left, right, .. } => {
                let data_first = holds_origin(left);
                let (data, number) = if data_first { (left, right) } else { (right, left) };
                if !holds_origin(data) || holds_origin(number) {
                    self.error(
                        "E0415",
                        expr.span,
                        "arithmetic on data is between one column and numbers",
                        "as in `columns(0..64) / 16`",
                    );
                    return None;
                }
                let inner = self.arithmetic(data, steps)?;
                let value = self.expr(number);
                if matches!(value, Value::Error) {
                    return None;
                }
                let Some(n) = value.as_f64().filter(|n| n.is_finite()) else {
                    self.error("E0415", number.span, "data are combined with finite numbers", value.kind());
                    return None;
                };
                match (op, data_first) {
                    (BinaryOp::Add, _) => steps.push(Step::Add(n)),
                    (BinaryOp::Sub, true) => steps.push(Step::Add(-n)),
                    (BinaryOp::Sub, false) => steps.extend([Step::Multiply(-1.0), Step::Add(n)]),
                    (BinaryOp::Mul, _) => steps.push(Step::Multiply(n)),
                    (BinaryOp::Div, true) if n != 0.0 => steps.push(Step::Divide(n)),
                    (BinaryOp::Div, true) => {
                        self.error("E0415", number.span, "data are divided by 0", "is 0");
                        return None;
                    }
                    _ => {
                        self.error(
                            "E0415",
                            expr.span,
                            format!("there is no `{}` on data in this place", op.symbol()),
                            "a column takes `+ - *` with a number, and `/` by one",
                        );
                        return None;
                    }
                }
                Some(inner)
            }
            _ => Some(expr),
        }
    }

    fn data_origin(&mut self, kind: &str, value: &'p Expr) -> Option<Origin> {
        let wanted = match kind {
            "csv" | "parquet" => "`column(…)` or `columns(…)`",
            "npz" | "safetensors" => "the name of an array, as a string",
            "npy" | "idx" => "the name of a file, as a string",
            "text" => "`window(…)` or `next()`",
            "images" => "`resize(…)`, `crop(…)` or `folder()`",
            _ => "`normal(mean, std)` or `uniform(low, high)`",
        };
        if matches!(kind, "npz" | "npy" | "safetensors" | "idx") {
            return match self.expr(value) {
                Value::Text(entry) => Some(Origin::Entry(entry.to_string())),
                Value::Error => None,
                _ => self.not_a_field(kind, value, wanted),
            };
        }
        let ExprKind::Call { callee, args, .. } = &value.kind else {
            return self.not_a_field(kind, value, wanted);
        };
        match (kind, callee.as_name(), &args[..]) {
            ("csv" | "parquet", Some("column"), [arg]) => Some(Origin::Column(self.column(&arg.value)?)),
            (
                "csv" | "parquet",
                Some("columns"),
                [Arg { value: Expr { kind: ExprKind::Range { start, end }, .. }, .. }],
            ) => match (self.column(start)?, self.column(end)?) {
                (Column::Index(from), Column::Index(to)) => Some(Origin::Indices { from, to }),
                (Column::Name(from), Column::Name(to)) => Some(Origin::Names { from, to }),
                _ => self.not_a_field(
                    kind,
                    value,
                    "`columns` from a number to a number, or from a name to a name",
                ),
            },
            ("csv" | "parquet", Some("columns"), list) => {
                let columns: Option<Vec<Column>> = list.iter().map(|arg| self.column(&arg.value)).collect();
                Some(Origin::Columns(columns?))
            }
            ("synthetic", Some(name @ ("normal" | "uniform")), [first, second]) => {
                let (first, second) = (self.expr(&first.value).as_f64(), self.expr(&second.value).as_f64());
                match (first, second) {
                    (Some(mean), Some(std)) if name == "normal" => {
                        Some(Origin::Draw(DrawSpec::Normal { mean, std }))
                    }
                    (Some(low), Some(high)) => Some(Origin::Draw(DrawSpec::Uniform { low, high })),
                    _ => self.not_a_field(kind, value, wanted),
                }
            }
            ("text", Some("window"), [arg]) => Some(Origin::Window(self.side(&arg.value, "window")?)),
            ("text", Some("next"), []) => Some(Origin::Next),
            ("images", Some(name @ ("resize" | "crop")), [side]) => {
                let side = self.side(&side.value, name)?;
                Some(Origin::Picture { height: side, width: side, crop: name == "crop" })
            }
            ("images", Some(name @ ("resize" | "crop")), [height, width]) => {
                let (height, width) = (self.side(&height.value, name)?, self.side(&width.value, name)?);
                Some(Origin::Picture { height, width, crop: name == "crop" })
            }
            ("images", Some("folder"), []) => Some(Origin::Folder),
            _ => self.not_a_field(kind, value, wanted),
        }
    }

    fn not_a_field(&mut self, kind: &str, value: &'p Expr, wanted: &str) -> Option<Origin> {
        self.error("E0415", value.span, format!("a field of `{kind}` is {wanted}"), "not that");
        None
    }

    pub(crate) fn side(&mut self, expr: &'p Expr, what: &str) -> Option<i64> {
        let length = self.whole(expr, what, 1)?;
        if length > MOST {
            self.error(
                "E0401",
                expr.span,
                format!("`{what}` is at most {MOST}, but this is {length}"),
                "too large",
            );
            return None;
        }
        Some(length)
    }

    fn column(&mut self, expr: &'p Expr) -> Option<Column> {
        match self.expr(expr) {
            Value::Int(index) if index >= 0 => Some(Column::Index(index)),
            Value::Text(name) => Some(Column::Name(name.to_string())),
            Value::Error => None,
            _ => {
                self.error("E0415", expr.span, "a column is a number from 0 or a name", "not that");
                None
            }
        }
    }
}

fn window(origin: &Origin) -> Option<i64> {
    match origin {
        Origin::Window(length) => Some(*length),
        _ => None,
    }
}

/// Whether a column, an array or a picture stands somewhere in the arithmetic.
fn holds_origin(expr: &Expr) -> bool {
    match &expr.peel().kind {
        ExprKind::Str(_) => true,
        ExprKind::Call { callee, .. } => matches!(
            callee.as_name(),
            Some(
                "column"
                    | "columns"
                    | "resize"
                    | "crop"
                    | "folder"
                    | "window"
                    | "next"
                    | "normal"
                    | "uniform"
            )
        ),
        ExprKind::Unary { operand, .. } => holds_origin(operand),
        ExprKind::Binary { left, right, .. } => holds_origin(left) || holds_origin(right),
        _ => false,
    }
}

/// Whether a field of this type takes rows of this shape; a dimension that is not known may be any.
fn takes(ty: &Type, rows: &[i64], integer: bool) -> bool {
    let fits = if integer { ty.dtype.is_int() } else { ty.dtype.is_float() };
    let dims = ty.shape.get(1..).unwrap_or_default();
    fits && ty.rank() == rows.len() + 1
        && dims.iter().zip(rows).all(|(dim, size)| dim.as_const().is_none_or(|dim| dim == *size))
}
