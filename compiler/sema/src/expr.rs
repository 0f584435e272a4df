//! Expressions and blocks.

use crate::{
    arith::Places,
    branch::Standing,
    checker::{Checker, MAX_REPEAT},
    program::Item,
    value::{Closure, Configured, Instance, Layer, MAX_HEIGHT, MAX_LEAVES, Value},
};
use base::{Diagnostic, Span, did_you_mean};
use grammar::{
    MAX_NESTING,
    ast::{self, Constant, DefKind, ExprKind, StmtKind, UnaryOp},
};
use graph::DType;
use std::rc::Rc;

impl<'p> Checker<'p> {
    pub fn expr(&mut self, expr: &'p ast::Expr) -> Value<'p> {
        match &expr.kind {
            ExprKind::Name(name) => self.name(name, expr.span),
            ExprKind::Int { value, .. } => Value::Int(*value),
            ExprKind::Float { value, .. } => Value::Float(*value),
            ExprKind::Bool(flag) => Value::Bool(*flag),
            ExprKind::Constant(Constant::Pi) => Value::Float(std::f64::consts::PI),
            ExprKind::Constant(Constant::Inf) => Value::Float(f64::INFINITY),
            ExprKind::Constant(Constant::Nan) => Value::Float(f64::NAN),
            ExprKind::Str(text) => Value::Text(text.as_str().into()),
            ExprKind::Paren(inner) => self.expr(inner),
            ExprKind::Tuple(items) => {
                let items = items.iter().map(|item| self.expr(item)).collect();
                self.bounded(Value::tuple(items), expr.span)
            }
            ExprKind::List(items) => {
                let items: Vec<Value<'p>> = items.iter().map(|item| self.expr(item)).collect();
                // Whoever takes a list takes all of it.
                if items.iter().any(Value::is_error) {
                    return Value::Error;
                }
                self.bounded(Value::list(items), expr.span)
            }
            ExprKind::Unary { op, operand } => {
                let value = self.expr(operand);
                match op {
                    UnaryOp::Neg => self.negate(value, expr.span),
                    UnaryOp::Not => self.not(value, expr.span),
                }
            }
            ExprKind::Binary { op, left, right, .. } => {
                let at = Places { whole: expr.span, left: left.span, right: right.span };
                let left = self.expr(left);
                // `and`, `or` on known bools leave the other side alone, so that a guard can protect it.
                match (op, &left) {
                    (ast::BinaryOp::And, Value::Bool(false)) => return Value::Bool(false),
                    (ast::BinaryOp::Or, Value::Bool(true)) => return Value::Bool(true),
                    _ => {}
                }
                let right = self.expr(right);
                self.binary(*op, left, right, at)
            }
            ExprKind::Pipe { input, stages } => self.pipe(input, stages),
            ExprKind::Call { callee, args, .. } => self.call(expr, callee, args),
            ExprKind::Index { base, subscripts, .. } => self.index(expr, base, subscripts),
            ExprKind::Field { base, field } => self.field(base, field, expr.span),
            ExprKind::Range { start, end } => {
                let span = start.span.to(end.span);
                self.error("E0312", span, "a range stands only where columns of data are chosen", "not here")
            }
            ExprKind::Reduce { .. } => self.reduction_by_indices(expr),
            ExprKind::If { arms, otherwise } => self.if_else(arms, otherwise.as_ref(), Standing::Value),
            ExprKind::Repeat { count, name, body } => self.repeat(count, name, body),
            ExprKind::Remat(block) => self.remat(block),
            ExprKind::Record(_) => {
                self.error("E0312", expr.span, "a record stands only in `groups` of an optimizer", "not here")
            }
            ExprKind::Error => Value::Error,
        }
    }

    /// A list, tuple or chain, unless too much is inside.
    pub fn bounded(&mut self, value: Value<'p>, span: Span) -> Value<'p> {
        let (leaves, height) = value.extent();
        if leaves > MAX_LEAVES || height > MAX_HEIGHT {
            let message = format!("{} may hold {MAX_LEAVES} values, {MAX_HEIGHT} deep", value.kind());
            return self.error("E0402", span, message, "the limit is passed here");
        }
        value
    }

    /// What a name means, if anything: bindings, then the file, then the library.
    pub fn lookup_value(&mut self, name: &str) -> Option<Value<'p>> {
        if let Some(binding) = self.frame_ref().lookup(name) {
            return Some(binding.value.clone());
        }
        if let Some((_, value)) = self.frame_ref().extra.iter().find(|(extra, _)| *extra == name) {
            return Some(value.clone());
        }
        if name == "training" {
            return Some(Value::Bool(self.frame_ref().mode.training));
        }
        if name == "none" {
            return Some(Value::Nothing);
        }
        let file = self.current_file();
        // A name that could not be brought in is not the library's of the same name.
        if self.program.missing.contains(&name) && self.program.is_users_file(file) {
            return Some(Value::Error);
        }
        if let Some(item) = self.program.find(file, name) {
            return Some(self.item(item));
        }
        if let Some(native) = crate::natives::find(name) {
            return Some(Value::Native(native));
        }
        DType::parse(name).map(Value::DType)
    }

    /// A function of the library, whatever else has its name.
    pub fn library_function(&mut self, name: &str) -> Option<Value<'p>> {
        self.program.find_std(name).map(|item| self.item(item))
    }

    /// The definition whose body is being evaluated.
    pub fn current_def(&self) -> Option<&'p ast::Def> {
        self.calls.last().map(|(def, _)| *def).or(self.frame_ref().def)
    }

    /// What a name means where no tensor of that name is in the way.
    pub fn function_named(&mut self, name: &str) -> Option<Value<'p>> {
        let file = self.current_file();
        match self.program.find(file, name) {
            Some(item) => Some(self.item(item)),
            None => crate::natives::find(name).map(Value::Native),
        }
    }

    /// The file whose names are in scope: that of the definition being evaluated.
    fn current_file(&self) -> base::FileId {
        if let Some((file, calls)) = self.constant_in
            && calls == self.calls.len()
        {
            return file;
        }
        self.calls.last().map_or(self.program.main.span.file, |(def, _)| def.span.file)
    }

    fn item(&mut self, item: Item<'p>) -> Value<'p> {
        match item {
            Item::Def(def) => match def.kind {
                DefKind::Fn => Value::Fn(Rc::new(Closure { def, env: None, frame: 0 })),
                DefKind::Layer | DefKind::Model => {
                    Value::Layer(Rc::new(Layer::Def(Configured { def, config: Vec::new() })))
                }
                DefKind::Optimizer => Value::Optimizer(Rc::new(Configured { def, config: Vec::new() })),
            },
            Item::Const(name, ty, expr) => self.constant(name, ty.as_ref(), expr),
        }
    }

    pub fn constant(
        &mut self,
        name: &'p ast::Name,
        ty: Option<&'p ast::Type>,
        expr: &'p ast::Expr,
    ) -> Value<'p> {
        // `training` is not the same in all entry points.
        let key = (name.span, self.frames.last().is_some_and(|frame| frame.mode.training));
        if let Some(value) = self.consts.get(&key) {
            return value.clone();
        }
        // Names itself: found again while its value is being made.
        self.consts.insert(key, Value::Error);
        // `--set` goes by the names of the user's own file.
        let known = self.program.user.items.iter();
        let own = known.filter(|(_, item)| matches!(item, Item::Const(own, ..) if own.span == name.span));
        let set = own.filter_map(|(own, _)| self.options.set.get(*own)).next();
        let value = match set {
            Some(text) => self.setting_text(text),
            None => self.constant_value(name, expr),
        };
        let value = match &value {
            Value::Tensor(_) | Value::Instance(_) | Value::Field(_) => self.error(
                "E0405",
                expr.span,
                format!("`const {}` must be known while compiling", name.text),
                format!("this is {}", value.kind()),
            ),
            Value::Float(number)
                if ty.is_some_and(|ty| matches!(ty.name, ast::TypeName::Int | ast::TypeName::Dim)) =>
            {
                self.error(
                    "E0401",
                    expr.span,
                    format!("`{}` is a whole number, but this is {number}", name.text),
                    "a fraction",
                )
            }
            _ => value,
        };
        self.consts.insert(key, value.clone());
        value
    }

    /// A constant sees its own file and nothing of the place that needs it.
    fn constant_value(&mut self, name: &ast::Name, expr: &'p ast::Expr) -> Value<'p> {
        let outside = self.constant_in.replace((name.span.file, self.calls.len()));
        let scopes = std::mem::replace(&mut self.frame().scopes, vec![Vec::new()]);
        let extra = std::mem::take(&mut self.frame().extra);
        let value = self.expr(expr);
        let frame = self.frame();
        (frame.scopes, frame.extra) = (scopes, extra);
        self.constant_in = outside;
        value
    }

    /// A value given on the command line: a number, `true` or `false`, a list of values in brackets, else a text.
    pub fn setting_text(&self, text: &str) -> Value<'p> {
        let text = text.trim();
        let plain = text.replace('_', "");
        match text {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ if let Some(items) = list_items(text) => {
                Value::List(Rc::new(items.into_iter().map(|item| self.setting_text(item)).collect()))
            }
            _ => match (plain.parse::<i64>(), plain.parse::<f64>()) {
                (Ok(number), _) => Value::Int(number),
                (_, Ok(number)) => Value::Float(number),
                _ => Value::Text(text.into()),
            },
        }
    }

    fn name(&mut self, name: &str, span: Span) -> Value<'p> {
        if let Some(value) = self.lookup_value(name) {
            if let Value::Layer(layer) = &value
                && let Layer::Def(configured) = &**layer
            {
                self.used.insert(configured.def.name.span);
            }
            return value;
        }
        if self.frame_ref().extra.iter().any(|(extra, _)| *extra == "_fields") && self.calls.is_empty() {
            return Value::Field(name.into());
        }
        if name == "_" {
            return self.error("E0201", span, "`_` discards a value and has none", "not a name");
        }
        let definition = self.calls.last().map(|(def, _)| *def).or(self.frame_ref().def);
        if !self.unknown.insert((definition.map(|def| def.name.span), name.into())) {
            self.frame().faulty = true;
            return Value::Error;
        }
        let halves = &self.frame_ref().half_bound;
        if let Some((_, bound)) = halves.iter().rev().find(|(bound, _)| **bound == *name).cloned() {
            let message = format!("`{name}` is bound in a branch that may run or not");
            return self.report(
                Diagnostic::error("E0201", message)
                    .label(span, "has no value if the other branch runs")
                    .label(bound, "bound here")
                    .help("bind it in both branches, to tensors of one type"),
            );
        }
        if let Some(diagnostic) = self.bound_elsewhere(name, span) {
            return self.report(diagnostic);
        }
        let known: Vec<&str> = self.program.names().collect();
        let mut names: Vec<String> =
            self.frame_ref().scopes.iter().flatten().map(|binding| binding.name.to_string()).collect();
        names.extend(known.iter().map(|name| name.to_string()));
        names.extend(crate::natives::names().map(String::from));
        let near = did_you_mean(name, names.iter().map(String::as_str).filter(|name| !name.starts_with('_')));
        self.report(
            Diagnostic::error("E0201", format!("`{name}` is not known"))
                .label(span, "not found")
                .did_you_mean(span, near),
        )
    }

    /// A call's parameters and a body are evaluated in scopes of their own.
    pub fn block(&mut self, block: &'p ast::Block) -> Value<'p> {
        self.frame().scopes.push(Vec::new());
        let value = self.statements(block);
        self.frame().scopes.pop();
        value
    }

    /// The statements in the present scope; the value of the last one, if it is an expression.
    pub fn statements(&mut self, block: &'p ast::Block) -> Value<'p> {
        let mut last = Value::Nothing;
        let n_stmts = block.stmts.len();
        for (position, stmt) in block.stmts.iter().enumerate() {
            last = Value::Nothing;
            match &stmt.kind {
                StmtKind::Expr(expr) => {
                    let value = match &expr.kind {
                        // An `if` in the middle of a block binds into that block.
                        ExprKind::If { arms, otherwise } => {
                            let is_last = position + 1 == n_stmts;
                            let standing = if is_last { Standing::LastLine } else { Standing::Line };
                            self.if_else(arms, otherwise.as_ref(), standing)
                        }
                        _ => self.expr(expr),
                    };
                    last = value;
                }
                StmtKind::Bind { targets, ty, value } => self.bind(targets, ty.as_ref(), value),
                StmtKind::Equation { name, indices, value, bounds } => {
                    self.equation(name, indices, value, bounds);
                }
                StmtKind::Write { state, value } => self.write_state(state, value),
                StmtKind::Param(decl) => self.declare_weight(decl),
                StmtKind::State(decl) => self.declare_state(decl),
                StmtKind::Require { condition, message } => {
                    let errors = self.n_errors();
                    self.require(condition, message.as_ref());
                    // What is required, the rest of the definition needs.
                    if self.n_errors() > errors {
                        return Value::Error;
                    }
                }
                StmtKind::Assert { condition, within, message } => {
                    self.assert(condition, within.as_ref(), message.as_ref());
                }
                StmtKind::Fn(def) => {
                    let env = self.frame_ref().snapshot_of(&crate::mentions::mentions(def));
                    let frame = self.frame_ref().id;
                    let closure = Value::Fn(Rc::new(Closure { def, env: Some(env), frame }));
                    self.frame().bind(&def.name.text, closure, def.name.span);
                }
                // Told by the parser; as the last line it would have been the value.
                StmtKind::Error => last = Value::Error,
            }
        }
        last
    }

    fn bind(&mut self, targets: &'p [ast::Name], ty: Option<&'p ast::Type>, expr: &'p ast::Expr) {
        let value = self.expr(expr);
        if let [target] = targets {
            let value = self.bound_value(target, ty, value, expr);
            if target.text != "_" {
                self.frame().bind(&target.text, value, target.span);
            }
            return;
        }
        let values: Vec<Value<'p>> = match &value {
            Value::Tuple(items) | Value::List(items) if items.len() == targets.len() => items.to_vec(),
            Value::Error => vec![Value::Error; targets.len()],
            other => {
                let have = match other {
                    Value::Tuple(items) | Value::List(items) => format!("{} values", items.len()),
                    other => other.kind().into(),
                };
                self.error(
                    "E0310",
                    expr.span,
                    format!("{} names are bound here, but this is {have}", targets.len()),
                    have,
                );
                vec![Value::Error; targets.len()]
            }
        };
        for (target, value) in targets.iter().zip(values) {
            let value = self.instances(&target.text, value, target.span);
            if target.text != "_" {
                self.frame().bind(&target.text, value, target.span);
            }
        }
    }

    /// What a name stands for: a layer becomes an instance, a list of fractions a tensor, a stated type is proved.
    fn bound_value(
        &mut self,
        target: &'p ast::Name,
        ty: Option<&'p ast::Type>,
        value: Value<'p>,
        expr: &'p ast::Expr,
    ) -> Value<'p> {
        let value = match self.instances(&target.text, value, target.span) {
            Value::List(items) if has_float(&items) => {
                Self::tensor_or_error(self.tensor(&Value::List(items), None, expr.span))
            }
            value => value,
        };
        let Some(ty) = ty else { return value };
        let hint = self.dtype(ty.name);
        let Some(id) = self.tensor(&value, hint, expr.span) else { return Value::Error };
        Self::tensor_or_error(self.ascribe(id, ty, expr.span, &format!("`{}`", target.text)))
    }

    /// A layer that gets a name is an instance; those of a list or a tuple are `name.0`, `name.1`, ….
    pub fn instances(&mut self, name: &str, value: Value<'p>, span: Span) -> Value<'p> {
        match &value {
            Value::Layer(layer) => {
                let frame = self.frame_ref().id;
                let layer = layer.clone();
                let instance = Rc::new(Instance { name: name.into(), layer, frame, replaced: Vec::new() });
                self.frame().instances.insert(name.into(), instance.clone());
                Value::Instance(instance)
            }
            Value::List(items) if value.lists_layers() => Value::list(self.numbered(name, items, span)),
            Value::Tuple(items) if value.lists_layers() => Value::tuple(self.numbered(name, items, span)),
            _ => value,
        }
    }

    fn numbered(&mut self, name: &str, items: &[Value<'p>], span: Span) -> Vec<Value<'p>> {
        if self.frame_ref().instances.len() as i64 > MAX_REPEAT {
            let message = format!("more than {MAX_REPEAT} instances of layers stand in one body");
            self.error("E0402", span, message, "the limit is passed here");
            return vec![Value::Error; items.len()];
        }
        let items = items.iter().enumerate();
        items.map(|(number, item)| self.instances(&format!("{name}.{number}"), item.clone(), span)).collect()
    }

    fn require(&mut self, condition: &'p ast::Expr, message: Option<&'p ast::Text>) {
        use ast::BinaryOp::*;
        if let ExprKind::Binary { op: And, left, right, .. } = &condition.peel().kind {
            self.require(left, message);
            self.require(right, message);
            return;
        }
        let said = message.map(|text| text.value.clone()).filter(|said| !said.is_empty());
        let said = said.unwrap_or_else(|| "a requirement is not met".into());
        // A comparison of dynamic dimensions is assumed from here on and tested when the model runs.
        if let ExprKind::Binary { op, left, right, .. } = &condition.peel().kind
            && matches!(op, Eq | Le | Ge | Lt | Gt)
        {
            let (a, b) = (self.expr(left), self.expr(right));
            if a.is_error() || b.is_error() {
                return;
            }
            if let (Some(x), Some(y)) = (a.as_dim(), b.as_dim())
                && (x.as_const().is_none() || y.as_const().is_none())
            {
                self.require_dims(*op, x, y, said, condition.span);
                return;
            }
            let at = Places { whole: condition.span, left: left.span, right: right.span };
            let value = self.binary(*op, a, b, at);
            self.require_known(value, said, condition.span);
            return;
        }
        let value = self.expr(condition);
        self.require_known(value, said, condition.span);
    }

    fn require_dims(&mut self, op: ast::BinaryOp, a: shape::Dim, b: shape::Dim, message: String, span: Span) {
        use ast::BinaryOp::*;
        use shape::Proof;
        let one = shape::Dim::from(1i64);
        let facts = self.frame_ref().function.facts.clone();
        let proof = match op {
            Eq => facts.prove_eq(&a, &b),
            Ge => facts.prove_ge(&a, &b),
            Le => facts.prove_ge(&b, &a),
            Gt => facts.prove_gt(&a, &b),
            _ => facts.prove_gt(&b, &a),
        };
        match proof {
            Proof::Proved => return,
            Proof::Disproved => {
                self.error("E0406", span, message, format!("{a} {} {b} does not hold", op.symbol()));
                return;
            }
            Proof::Unknown => {}
        }
        let function = &mut self.frame().function;
        let effect = match op {
            Eq => {
                function.facts.assume_eq(a.clone(), b.clone());
                graph::Effect::RequireEq { a, b, message, span: Some(span) }
            }
            Ge | Gt => {
                let least = if op == Gt { &b + &one } else { b };
                function.facts.assume_ge(a.clone(), least.clone());
                graph::Effect::RequireGe { value: a, at_least: least, message, span: Some(span) }
            }
            _ => {
                let least = if op == Lt { &a + &one } else { a };
                function.facts.assume_ge(b.clone(), least.clone());
                graph::Effect::RequireGe { value: b, at_least: least, message, span: Some(span) }
            }
        };
        function.effects.push(effect);
    }

    fn require_known(&mut self, value: Value<'p>, message: String, span: Span) {
        match value {
            Value::Bool(true) | Value::Error => {}
            Value::Bool(false) => {
                self.error("E0406", span, message, crate::checker::FALSE);
            }
            other => {
                // Numbers that a call would give now are tensors where a definition is checked by itself.
                if self.generic && matches!(other, Value::Tensor(_)) {
                    return;
                }
                let message =
                    format!("`require` takes a condition on dimensions, but this is {}", other.kind());
                self.error("E0302", span, message, other.kind());
            }
        }
    }

    fn field(&mut self, base: &'p ast::Expr, field: &'p ast::Name, span: Span) -> Value<'p> {
        // The dotted path as written: `block.0.wq.w`.
        let mut path = vec![field.text.clone()];
        let mut root = base.peel();
        while let ExprKind::Field { base, field } = &root.kind {
            path.insert(0, field.text.clone());
            root = base.peel();
        }
        let Some(first) = root.as_name() else {
            return self.error("E0311", span, "only an instance of a layer has fields", "not an instance");
        };
        // A name for an instance with replaced weights means the instance.
        let first = match self.frame_ref().lookup(first).map(|binding| &binding.value) {
            Some(Value::Instance(instance)) => instance.name.clone(),
            _ => first.to_string(),
        };
        let first = first.as_str();
        let full = format!("{first}.{}", path.join("."));
        path.insert(0, root.as_name().unwrap_or_default().to_string());
        if let Some((id, _)) = self.frame_ref().weights.get(&full) {
            return Value::Tensor(*id);
        }
        if let Some(state) = self.frame_ref().states.get(&full) {
            return Value::Tensor(state.current);
        }
        if self.frame_ref().lookup(first).is_some_and(|binding| binding.value.is_error())
            || self.frame_ref().failed.contains(first)
        {
            return Value::Error;
        }
        let prefix = format!("{first}.");
        let written = root.as_name().unwrap_or_default();
        if !self.frame_ref().instances.keys().any(|name| name == first || name.starts_with(&prefix)) {
            let help = self.function_for(written, &field.text);
            return self.report(
                Diagnostic::error("E0311", format!("`{written}` is not an instance of a layer"))
                    .label(root.span, "has no weights")
                    .maybe_help(help),
            );
        }
        let names = self.frame_ref().weights.keys().filter(|name| name.starts_with(&prefix));
        let names: Vec<String> = names.map(|name| self.shown_name(name)).collect();
        // An instance that is not applied, after a fault that may be why.
        if names.is_empty() && self.frame_ref().faulty {
            return Value::Error;
        }
        let full = path.join(".");
        let mut diagnostic =
            Diagnostic::error("E0207", format!("there is no weight `{full}`")).label(span, "not found");
        if names.is_empty() {
            diagnostic = diagnostic.help(format!(
                "`{written}` has not been applied yet, so its weights have no shapes: use it first"
            ));
        } else if let Some(near) = did_you_mean(&full, names.iter().map(String::as_str)) {
            diagnostic = diagnostic.did_you_mean(span, Some(near));
        } else {
            diagnostic = diagnostic.note(format!("its weights are {}", names.join(", ")));
        }
        self.report(diagnostic)
    }
}

/// What stands between the brackets of `[a, b, [c, d]]` and its commas, where the text is of this form.
fn list_items(text: &str) -> Option<Vec<&str>> {
    let inner = text.strip_prefix('[')?.strip_suffix(']')?;
    let (mut items, mut from, mut depth) = (Vec::new(), 0, 0usize);
    for (at, symbol) in inner.char_indices() {
        match symbol {
            '[' if depth == MAX_NESTING => return None,
            '[' => depth += 1,
            ']' => depth = depth.checked_sub(1)?,
            ',' if depth == 0 => {
                items.push(&inner[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    let last = &inner[from..];
    if !last.trim().is_empty() {
        items.push(last);
    }
    (depth == 0).then_some(items)
}

fn has_float(items: &[Value<'_>]) -> bool {
    items.iter().any(|item| match item {
        Value::Float(_) => true,
        Value::List(items) => has_float(items),
        _ => false,
    })
}
