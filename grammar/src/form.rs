//! What the grammar's actions build, and the checks of form that an LALR(1) grammar leaves open: left-hand sides, heads of
//! definitions, types, the depth of expressions.

use crate::{ast::*, error, parse::Context};
use base::Span;

type ResultEntry = (Option<Name>, Type, usize, usize);

// ---- words and numbers

impl Context<'_> {
    pub(crate) fn name(&self, lo: usize, hi: usize) -> Name {
        Name { text: self.spelling(lo, hi).to_string(), span: self.span(lo, hi) }
    }

    pub(crate) fn text(&mut self, lo: usize, hi: usize) -> Text {
        let span = self.span(lo, hi);
        let written = self.spelling(lo, hi);
        // a string that is not closed, or closed otherwise, was reported by the lexer
        let inner = written.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or("");
        let mut value = String::with_capacity(inner.len());
        let mut chars = inner.chars();
        while let Some(c) = chars.next() {
            match (c, if c == '\\' { chars.next() } else { None }) {
                ('\\', Some('n')) => value.push('\n'),
                ('\\', Some('t')) => value.push('\t'),
                ('\\', Some(same @ ('"' | '\\'))) => value.push(same),
                ('\\', Some(other)) => self.errors.push(error::bad_escape(span, other)),
                (c, _) => value.push(c),
            }
        }
        Text { value, span }
    }

    pub(crate) fn int(&mut self, lo: usize, hi: usize) -> ExprKind {
        let text = self.spelling(lo, hi).to_string();
        match text.replace('_', "").parse() {
            Ok(value) => ExprKind::Int { value, text },
            Err(_) => {
                self.errors.push(error::number_too_large(self.span(lo, hi), &i64::MAX.to_string()));
                ExprKind::Error
            }
        }
    }

    pub(crate) fn float(&mut self, lo: usize, hi: usize) -> ExprKind {
        let text = self.spelling(lo, hi).to_string();
        match text.replace('_', "").parse::<f64>() {
            Ok(value) if value.is_finite() => ExprKind::Float { value, text },
            _ => {
                self.errors.push(error::number_too_large(self.span(lo, hi), "1.797e308"));
                ExprKind::Error
            }
        }
    }
}

// ---- expressions

impl Context<'_> {
    /// Every expression is made here, where its depth is bounded.
    pub(crate) fn expr(&mut self, kind: ExprKind, lo: usize, hi: usize) -> Expr {
        let span = self.span(lo, hi);
        let depth = depth_of(&kind);
        if depth > MAX_DEPTH {
            self.errors.push(error::expression_too_deep(self.span(lo, hi.min(lo + 1)), MAX_DEPTH));
            return Expr { kind: ExprKind::Error, span, depth: 1 };
        }
        Expr { kind, span, depth }
    }

    pub(crate) fn unary(&mut self, op: UnaryOp, operand: Expr, lo: usize, hi: usize) -> Expr {
        self.expr(ExprKind::Unary { op, operand: operand.into() }, lo, hi)
    }

    pub(crate) fn binary(
        &mut self,
        op: BinaryOp,
        left: Expr,
        right: Expr,
        (op_lo, op_hi): (usize, usize),
        lo: usize,
        hi: usize,
    ) -> Expr {
        let op_span = self.span(op_lo, op_hi);
        if op == BinaryOp::Near {
            self.nears.push(op_span);
        }
        self.expr(ExprKind::Binary { op, op_span, left: left.into(), right: right.into() }, lo, hi)
    }

    pub(crate) fn pipe(&mut self, input: Expr, stages: Vec<Expr>, lo: usize, hi: usize) -> Expr {
        use ExprKind::*;
        for stage in &stages {
            if !matches!(
                stage.kind,
                Name(_) | Field { .. } | Call { .. } | Repeat { .. } | If { .. } | Paren(_) | Error
            ) {
                self.errors.push(error::pipe_target(stage.span));
            }
        }
        self.expr(Pipe { input: input.into(), stages }, lo, hi)
    }

    pub(crate) fn reduce(
        &mut self,
        (word_lo, word_hi): (usize, usize),
        indices: Vec<Name>,
        body: Expr,
        lo: usize,
        hi: usize,
    ) -> Expr {
        let kind = match Reduction::from_word(self.spelling(word_lo, word_hi)) {
            Some(op) => {
                ExprKind::Reduce { op, op_span: self.span(word_lo, word_hi), indices, body: body.into() }
            }
            None => ExprKind::Error,
        };
        self.expr(kind, lo, hi)
    }

    pub(crate) fn tuple(&mut self, first: Expr, mut rest: Vec<Expr>) -> ExprKind {
        if rest.is_empty() {
            return ExprKind::Paren(first.into());
        }
        rest.insert(0, first);
        ExprKind::Tuple(rest)
    }

    pub(crate) fn call(&mut self, callee: Expr, args: Vec<Arg>, lo: usize, hi: usize) -> ExprKind {
        if let Some(at) = args.iter().position(|arg| arg.name.is_some())
            && let Some(late) = args[at..].iter().find(|arg| arg.name.is_none())
        {
            self.errors.push(error::positional_after_named(late.span, args[at].span));
        }
        ExprKind::Call { callee: callee.into(), args, args_span: self.span(lo, hi) }
    }

    pub(crate) fn range(
        &mut self,
        name: Option<Name>,
        start: Expr,
        end: Expr,
        lo: usize,
        start_lo: usize,
        hi: usize,
    ) -> Arg {
        let value = self.expr(ExprKind::Range { start: start.into(), end: end.into() }, start_lo, hi);
        Arg { name, value, span: self.span(lo, hi) }
    }

    /// `block.0.1`, whose `0.1` was cut as one number.
    pub(crate) fn two_fields(&mut self, base: Expr, lo: usize, hi: usize) -> Expr {
        let number = self.spelling(lo, hi);
        let number = &number[base.span.hi as usize - lo..];
        let from = hi - number.trim_start().trim_start_matches('.').trim_start().len();
        let written = self.spelling(from, hi);
        match written.split_once('.') {
            Some((first, second)) if !written.contains(['e', 'E', '_']) => {
                let (middle, last) = (from + first.len(), hi - second.len());
                let field = self.name(from, middle);
                let inner = self.expr(ExprKind::Field { base: base.into(), field }, lo, middle);
                let field = self.name(last, hi);
                self.expr(ExprKind::Field { base: inner.into(), field }, lo, hi)
            }
            _ => {
                let error = error::unexpected(
                    self.span(from, hi),
                    &format!("`{written}`"),
                    &["a field's name".into()],
                );
                self.errors.push(error);
                self.expr(ExprKind::Error, lo, hi)
            }
        }
    }

    pub(crate) fn misplaced_record(&mut self, lo: usize, hi: usize) -> Expr {
        self.forget_inside(self.span(lo, hi));
        self.errors.push(error::record_misplaced(self.span(lo, hi)));
        self.expr(ExprKind::Error, lo, hi)
    }
}

// ---- statements

impl Context<'_> {
    pub(crate) fn block(&mut self, stmts: Vec<Stmt>, lo: usize, hi: usize) -> Block {
        if let Some((_, before)) = stmts.split_last() {
            for stmt in before {
                if let StmtKind::Expr(expr) = &stmt.kind
                    && !matches!(expr.kind, ExprKind::If { .. } | ExprKind::Error)
                {
                    self.errors.push(error::unused_value(expr.span));
                }
            }
        }
        Block { stmts, span: self.span(lo, hi) }
    }

    pub(crate) fn value(&mut self, mut exprs: Vec<Expr>) -> StmtKind {
        match (exprs.pop(), exprs.first()) {
            (Some(only), None) => StmtKind::Expr(only),
            (Some(last), Some(first)) => {
                self.errors.push(error::several_values(first.span.to(last.span)));
                StmtKind::Error
            }
            (None, _) => StmtKind::Error,
        }
    }

    pub(crate) fn bind(&mut self, left: Vec<Expr>, value: Expr, bounds: Option<Vec<Bound>>) -> StmtKind {
        if let [Expr { kind: ExprKind::Index { base, subscripts, .. }, .. }] = left.as_slice()
            && let Some(name) = to_name(base)
            && let Some(indices) = subscripts.iter().map(to_index).collect()
        {
            return StmtKind::Equation { name, indices, value, bounds: bounds.unwrap_or_default() };
        }
        let parts = match left.as_slice() {
            [Expr { kind: ExprKind::Tuple(parts), .. }] => parts.as_slice(),
            parts => parts,
        };
        if let Some(wrong) = parts.iter().find(|part| part.as_name().is_none()) {
            // rows of a `weights` item whose head is broken: all are one mistake
            let row = matches!(wrong.kind, ExprKind::Str(_));
            let again = row && self.errors.last().is_some_and(|error| error.code == "E0108");
            if !wrong.is_error() && !again {
                self.errors.push(error::left_side(wrong.span));
            }
            return StmtKind::Error;
        }
        if let Some(bound) = bounds.iter().flatten().next() {
            self.errors.push(error::stray_where(bound.index.span.to(bound.end.span)));
            return StmtKind::Error;
        }
        StmtKind::Bind { targets: parts.iter().filter_map(to_name).collect(), ty: None, value }
    }

    pub(crate) fn write(&mut self, left: Vec<Expr>, value: Expr) -> StmtKind {
        match left.as_slice() {
            [only] if only.is_error() => StmtKind::Error,
            [only] if let Some(state) = to_name(only) => StmtKind::Write { state, value },
            several => {
                let span = several.iter().map(|expr| expr.span).reduce(Span::to);
                self.errors.extend(span.map(error::left_of_write));
                StmtKind::Error
            }
        }
    }

    pub(crate) fn require(
        &mut self,
        condition: Expr,
        within: Option<Expr>,
        message: Option<Expr>,
    ) -> StmtKind {
        if let Some(within) = within {
            self.errors.push(error::stray_within(within.span));
        }
        StmtKind::Require { condition, message: self.message(message) }
    }

    pub(crate) fn assert(
        &mut self,
        condition: Expr,
        within: Option<Expr>,
        message: Option<Expr>,
    ) -> StmtKind {
        if let ExprKind::Binary { op: BinaryOp::Near, op_span, .. } = &condition.kind {
            // the outermost operator of the statement was read last
            self.nears.pop_if(|near| near == op_span);
        } else if let Some(within) = &within {
            self.errors.push(error::stray_within(within.span));
        }
        StmtKind::Assert { condition, within, message: self.message(message) }
    }

    fn message(&mut self, message: Option<Expr>) -> Option<Text> {
        let message = message?;
        match message.kind {
            ExprKind::Str(value) => Some(Text { value, span: message.span }),
            ExprKind::Error => None,
            _ => {
                self.errors.push(error::message_not_string(message.span));
                None
            }
        }
    }

    pub(crate) fn inner_def(&mut self, def: Def) -> StmtKind {
        if def.kind == DefKind::Fn {
            return StmtKind::Fn(def);
        }
        self.errors.push(error::item_in_body(def.name.span, def.kind.word()));
        StmtKind::Error
    }

    pub(crate) fn block_for_record(&mut self, block: Block) -> SettingValue {
        self.forget_inside(block.span);
        self.errors.push(error::binding_in_record(block.span));
        SettingValue::Error(block.span)
    }

    /// Braces behind a head that is none of a definition's were read as a block for want of something better.
    pub(crate) fn broken_item(&mut self, lo: usize) -> ItemKind {
        if !self.begins_def(lo)
            && let Some(error) = self.errors.pop()
        {
            self.forget_inside(self.span(lo, lo));
            self.errors.push(error);
        }
        ItemKind::Error
    }

    /// What was read as the wrong thing is wrong once.
    fn forget_inside(&mut self, span: Span) {
        while self.errors.last().and_then(|error| error.span).is_some_and(|inner| inner.lo >= span.lo) {
            self.errors.pop();
        }
    }

    pub(crate) fn broken_setting(&mut self, lo: usize, hi: usize) -> Setting {
        let span = self.span(lo, hi);
        let key = Name { text: String::new(), span: self.span(lo, lo) };
        Setting { key, value: SettingValue::Error(span), doc: None, span }
    }
}

// ---- definitions and types

impl Context<'_> {
    #[allow(clippy::too_many_arguments, reason = "the parts of one production")]
    pub(crate) fn def(
        &mut self,
        kind: DefKind,
        name: Name,
        lists: Vec<ParamList>,
        results: Option<Results>,
        body: Body,
        lo: usize,
        hi: usize,
    ) -> Def {
        let most = if kind == DefKind::Fn { 1 } else { 2 };
        if let Some(extra) = lists.get(most) {
            let allowed = if most == 1 { "one list, the inputs" } else { "configuration, then inputs" };
            self.errors.push(error::too_many_lists(extra.span, allowed));
        }
        if kind == DefKind::Optimizer && lists.len() != 2 {
            self.errors.push(error::optimizer_lists(name.span));
        }
        if kind == DefKind::Model {
            match &results {
                None => self.errors.push(error::no_outputs(name.span)),
                Some(Results::One(ty)) => self.errors.push(error::unnamed_outputs(ty.span)),
                Some(Results::Tuple(_, span)) => self.errors.push(error::unnamed_outputs(*span)),
                Some(Results::Named(..)) => {}
            }
        }
        if let Body::Expr(expr) = &body
            && matches!(kind, DefKind::Model | DefKind::Optimizer)
        {
            self.errors.push(error::body_needs_braces(expr.span, kind.word()));
        }
        let mut lists = lists.into_iter().take(most);
        let span = self.span(lo, hi);
        let (config, inputs) = match (lists.next(), lists.next()) {
            (Some(config), Some(inputs)) => (Some(config), inputs),
            (Some(inputs), None) => (None, inputs),
            _ => (None, ParamList { params: Vec::new(), span }),
        };
        Def { kind, name, config, inputs, results, body, span }
    }

    pub(crate) fn results(&mut self, entries: Vec<ResultEntry>, lo: usize, hi: usize) -> Results {
        let span = self.span(lo, hi);
        let named = entries.iter().filter(|(name, ..)| name.is_some()).count();
        if named == 0 && entries.len() == 1 {
            if let Some((_, ty, ..)) = entries.into_iter().next() {
                return Results::One(ty);
            }
            return Results::Tuple(Vec::new(), span);
        }
        if named == 0 {
            return Results::Tuple(entries.into_iter().map(|(_, ty, ..)| ty).collect(), span);
        }
        if named != entries.len() {
            self.errors.push(error::some_results_named(span));
        }
        let named = entries.into_iter().filter_map(|(name, ty, lo, hi)| {
            Some(NamedResult { name: name?, ty, doc: self.doc(lo), span: self.span(lo, hi) })
        });
        Results::Named(named.collect(), span)
    }

    pub(crate) fn ty(&mut self, dims: Vec<Dim>, lo: usize, name_hi: usize, hi: usize) -> Type {
        let name_span = self.span(lo, name_hi);
        let word = self.spelling(lo, name_hi);
        let name = TypeName::from_word(word).unwrap_or_else(|| {
            let words = TypeName::ALL.iter().map(|(_, word)| *word);
            let near = error::dtype_elsewhere(word).or_else(|| base::did_you_mean(word, words));
            self.errors.push(error::unknown_type(name_span, word, near));
            TypeName::Error
        });
        for (at, dim) in dims.iter().enumerate() {
            match dim {
                Dim::Rest(name) if at > 0 => self.errors.push(error::rest_not_leading(name.span)),
                Dim::Rest(_) => {}
                Dim::Expr(expr) => self.dim(expr),
            }
        }
        Type { name, name_span, dims, span: self.span(lo, hi) }
    }

    fn dim(&mut self, expr: &Expr) {
        use BinaryOp::{Add, Div, Mul, Rem, Sub};
        match &expr.kind {
            ExprKind::Name(_) | ExprKind::Int { .. } | ExprKind::Error => {}
            ExprKind::Paren(inner) => self.dim(inner),
            ExprKind::Binary { op: Add | Sub | Mul | Div | Rem, left, right, .. } => {
                self.dim(left);
                self.dim(right);
            }
            ExprKind::Call { callee, args, .. }
                if matches!(callee.as_name(), Some("div" | "ceil_div" | "min" | "max"))
                    && args.iter().all(|arg| arg.name.is_none()) =>
            {
                for arg in args {
                    self.dim(&arg.value);
                }
            }
            _ => self.errors.push(error::not_a_dimension(expr.span)),
        }
    }
}

fn to_name(expr: &Expr) -> Option<Name> {
    Some(Name { text: expr.as_name()?.to_string(), span: expr.span })
}

fn to_index(subscript: &Subscript) -> Option<Name> {
    match &subscript.kind {
        SubscriptKind::At(expr) => to_name(expr),
        _ => None,
    }
}

// ---- depth

fn depth_of(kind: &ExprKind) -> u16 {
    use ExprKind::*;
    let below = match kind {
        Name(_) | Int { .. } | Float { .. } | Bool(_) | Constant(_) | Str(_) | Error => 0,
        Paren(inner) => inner.depth,
        Unary { operand, .. } => operand.depth,
        Reduce { body, .. } => body.depth,
        Field { base, .. } => base.depth,
        Tuple(items) | List(items) => deepest(items),
        Binary { left, right, .. } => left.depth.max(right.depth),
        Range { start, end } => start.depth.max(end.depth),
        Pipe { input, stages } => input.depth.max(deepest(stages)),
        Call { callee, args, .. } => callee.depth.max(deepest(args.iter().map(|arg| &arg.value))),
        Index { base, subscripts, .. } => subscripts.iter().map(subscript_depth).fold(base.depth, u16::max),
        If { arms, otherwise } => arms
            .iter()
            .map(|arm| arm.condition.depth.max(block_depth(&arm.body)))
            .chain(otherwise.as_ref().map(block_depth))
            .max()
            .unwrap_or(0),
        Repeat { count, body, .. } => count.depth.max(block_depth(body)),
        Remat(body) => block_depth(body),
        Record(settings) => settings_depth(settings),
    };
    below.saturating_add(1)
}

fn deepest<'a>(exprs: impl IntoIterator<Item = &'a Expr>) -> u16 {
    exprs.into_iter().map(|expr| expr.depth).max().unwrap_or(0)
}

fn settings_depth(settings: &[Setting]) -> u16 {
    let depth = |setting: &Setting| match &setting.value {
        SettingValue::Expr(expr) => expr.depth,
        SettingValue::Record(settings, _) => settings_depth(settings).saturating_add(1),
        SettingValue::Error(_) => 0,
    };
    settings.iter().map(depth).max().unwrap_or(0)
}

fn subscript_depth(subscript: &Subscript) -> u16 {
    match &subscript.kind {
        SubscriptKind::At(expr) => expr.depth,
        SubscriptKind::Slice { start, end, step } => deepest([start, end, step].into_iter().flatten()),
        SubscriptKind::Rest => 0,
    }
}

fn block_depth(block: &Block) -> u16 {
    let stmt_depth = |stmt: &Stmt| match &stmt.kind {
        StmtKind::Expr(expr) => expr.depth,
        StmtKind::Bind { value, .. } | StmtKind::Write { value, .. } => value.depth,
        StmtKind::Equation { value, bounds, .. } => {
            value.depth.max(deepest(bounds.iter().flat_map(|bound| [&bound.start, &bound.end])))
        }
        StmtKind::Param(decl) | StmtKind::State(decl) => deepest(&decl.init),
        StmtKind::Require { condition, .. } => condition.depth,
        StmtKind::Assert { condition, within, .. } => condition.depth.max(deepest(within)),
        // brackets bound how far definitions nest
        StmtKind::Fn(def) => match &def.body {
            Body::Block(block) => block_depth(block),
            Body::Expr(expr) => expr.depth,
        },
        StmtKind::Error => 0,
    };
    block.stmts.iter().map(stmt_depth).max().unwrap_or(0).saturating_add(1)
}
