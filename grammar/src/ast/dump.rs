//! The tree as text, for `--emit ast` and for comparing trees: one node a line, children indented, no places.

use super::*;
use std::fmt::Write;

/// The whole file, in source order.
pub fn dump(file: &File) -> String {
    let mut tree = Tree { out: String::new(), level: 0 };
    for item in &file.items {
        tree.item(item);
    }
    tree.out
}

struct Tree {
    out: String,
    level: usize,
}

impl Tree {
    fn line(&mut self, text: impl std::fmt::Display) {
        let _ = writeln!(self.out, "{:width$}{text}", "", width = self.level * 2);
    }

    /// A line, and below it what `children` writes.
    fn node(&mut self, text: impl std::fmt::Display, children: impl FnOnce(&mut Tree)) {
        self.line(text);
        self.level += 1;
        children(self);
        self.level -= 1;
    }

    fn doc(&mut self, doc: &Option<Doc>) {
        if let Some(doc) = doc {
            self.line(format_args!("doc {:?}", doc.text));
        }
    }

    fn item(&mut self, item: &Item) {
        self.doc(&item.doc);
        match &item.kind {
            ItemKind::Use { path, imports } => {
                let path: Vec<&str> = path.iter().map(|name| name.text.as_str()).collect();
                self.node(format_args!("use {}", path.join(".")), |tree| {
                    for import in imports {
                        match &import.alias {
                            Some(alias) => tree.line(format_args!("{} as {}", import.name.text, alias.text)),
                            None => tree.line(&import.name.text),
                        }
                    }
                });
            }
            ItemKind::Const { name, ty, value } => self.node(format_args!("const {}", name.text), |tree| {
                tree.ty(ty.as_ref());
                tree.expr(value);
            }),
            ItemKind::Def(def) => self.def(def),
            ItemKind::Train { model, fields, settings } => {
                self.node(format_args!("train {}", model.text), |tree| {
                    fields.iter().for_each(|field| tree.param(field));
                    settings.iter().for_each(|setting| tree.setting(setting));
                });
            }
            ItemKind::Bench { model, settings } => self.node(format_args!("bench {}", model.text), |tree| {
                settings.iter().for_each(|setting| tree.setting(setting));
            }),
            ItemKind::Test { title, body } => {
                self.node(format_args!("test {:?}", title.value), |tree| tree.block(body));
            }
            ItemKind::Weights { model, from, rows } => {
                self.node(format_args!("weights {} from {:?}", model.text, from.value), |tree| {
                    for row in rows {
                        tree.node(format_args!("{:?}", row.pattern.value), |tree| tree.expr(&row.source));
                    }
                });
            }
            ItemKind::Error => self.line("error"),
        }
    }

    fn def(&mut self, def: &Def) {
        self.node(format_args!("{} {}", def.kind.word(), def.name.text), |tree| {
            if let Some(config) = &def.config {
                tree.node("config", |tree| config.params.iter().for_each(|param| tree.param(param)));
            }
            tree.node("inputs", |tree| def.inputs.params.iter().for_each(|param| tree.param(param)));
            match &def.results {
                Some(Results::One(ty)) => tree.node("result", |tree| tree.ty(Some(ty))),
                Some(Results::Tuple(types, _)) => {
                    tree.node("results", |tree| types.iter().for_each(|ty| tree.ty(Some(ty))));
                }
                Some(Results::Named(results, _)) => tree.node("results", |tree| {
                    for result in results {
                        tree.doc(&result.doc);
                        tree.node(&result.name.text, |tree| tree.ty(Some(&result.ty)));
                    }
                }),
                None => {}
            }
            match &def.body {
                Body::Block(block) => tree.node("body", |tree| tree.block(block)),
                Body::Expr(expr) => tree.node("body =", |tree| tree.expr(expr)),
            }
        });
    }

    fn param(&mut self, param: &Param) {
        self.doc(&param.doc);
        self.node(&param.name.text, |tree| {
            tree.ty(param.ty.as_ref());
            if let Some(default) = &param.default {
                tree.node("default", |tree| tree.expr(default));
            }
        });
    }

    fn ty(&mut self, ty: Option<&Type>) {
        let Some(ty) = ty else { return };
        self.node(format_args!("type {}", ty.name.word()), |tree| {
            for dim in &ty.dims {
                match dim {
                    Dim::Rest(name) => tree.line(format_args!("..{}", name.text)),
                    Dim::Expr(expr) => tree.expr(expr),
                }
            }
        });
    }

    fn setting(&mut self, setting: &Setting) {
        self.doc(&setting.doc);
        self.node(format_args!("key {}", setting.key.text), |tree| match &setting.value {
            SettingValue::Expr(expr) => tree.expr(expr),
            SettingValue::Record(settings, _) => {
                tree.node("record", |tree| settings.iter().for_each(|setting| tree.setting(setting)));
            }
            SettingValue::Error(_) => tree.line("error"),
        });
    }

    fn block(&mut self, block: &Block) {
        block.stmts.iter().for_each(|stmt| self.stmt(stmt));
    }

    fn stmt(&mut self, stmt: &Stmt) {
        self.doc(&stmt.doc);
        match &stmt.kind {
            StmtKind::Expr(expr) => self.expr(expr),
            StmtKind::Bind { targets, ty, value } => {
                self.node(format_args!("bind {}", words(targets)), |tree| {
                    tree.ty(ty.as_ref());
                    tree.expr(value);
                });
            }
            StmtKind::Equation { name, indices, value, bounds } => {
                self.node(format_args!("equation {}[{}]", name.text, words(indices)), |tree| {
                    tree.expr(value);
                    for bound in bounds {
                        tree.node(format_args!("where {}", bound.index.text), |tree| {
                            tree.expr(&bound.start);
                            tree.expr(&bound.end);
                        });
                    }
                });
            }
            StmtKind::Write { state, value } => {
                self.node(format_args!("write {}", state.text), |tree| tree.expr(value));
            }
            StmtKind::Param(decl) => self.decl("param", decl),
            StmtKind::State(decl) => self.decl("state", decl),
            StmtKind::Require { condition, message } => self.claim("require", condition, None, message),
            StmtKind::Assert { condition, within, message } => {
                self.claim("assert", condition, within.as_ref(), message);
            }
            StmtKind::Fn(def) => self.def(def),
            StmtKind::Error => self.line("error"),
        }
    }

    fn decl(&mut self, word: &str, decl: &Decl) {
        self.node(format_args!("{word} {}", decl.name.text), |tree| {
            tree.ty(decl.ty.as_ref());
            if let Some(init) = &decl.init {
                tree.expr(init);
            }
        });
    }

    fn claim(&mut self, word: &str, condition: &Expr, within: Option<&Expr>, message: &Option<Text>) {
        self.node(word, |tree| {
            tree.expr(condition);
            if let Some(within) = within {
                tree.node("within", |tree| tree.expr(within));
            }
            if let Some(message) = message {
                tree.line(format_args!("message {:?}", message.value));
            }
        });
    }

    fn exprs(&mut self, text: &str, exprs: &[Expr]) {
        self.node(text, |tree| exprs.iter().for_each(|expr| tree.expr(expr)));
    }

    fn expr(&mut self, expr: &Expr) {
        match &expr.kind {
            ExprKind::Name(text) => self.line(format_args!("name {text}")),
            ExprKind::Int { text, .. } => self.line(format_args!("int {text}")),
            ExprKind::Float { text, .. } => self.line(format_args!("float {text}")),
            ExprKind::Bool(value) => self.line(value),
            ExprKind::Constant(constant) => self.line(constant.word()),
            ExprKind::Str(value) => self.line(format_args!("{value:?}")),
            ExprKind::Paren(inner) => self.node("paren", |tree| tree.expr(inner)),
            ExprKind::Tuple(items) => self.exprs("tuple", items),
            ExprKind::List(items) => self.exprs("list", items),
            ExprKind::Unary { op, operand } => {
                self.node(format_args!("unary {}", op.symbol()), |tree| tree.expr(operand));
            }
            ExprKind::Binary { op, left, right, .. } => self.node(op.symbol(), |tree| {
                tree.expr(left);
                tree.expr(right);
            }),
            ExprKind::Pipe { input, stages } => self.node("pipe", |tree| {
                tree.expr(input);
                stages.iter().for_each(|stage| tree.expr(stage));
            }),
            ExprKind::Call { callee, args, .. } => self.node("call", |tree| {
                tree.expr(callee);
                for arg in args {
                    match &arg.name {
                        Some(name) => {
                            tree.node(format_args!("{}:", name.text), |tree| tree.expr(&arg.value));
                        }
                        None => tree.expr(&arg.value),
                    }
                }
            }),
            ExprKind::Index { base, subscripts, .. } => self.node("index", |tree| {
                tree.expr(base);
                subscripts.iter().for_each(|subscript| tree.subscript(subscript));
            }),
            ExprKind::Field { base, field } => {
                self.node(format_args!("field {}", field.text), |tree| tree.expr(base));
            }
            ExprKind::Range { start, end } => self.node("range", |tree| {
                tree.expr(start);
                tree.expr(end);
            }),
            ExprKind::Reduce { op, indices, body, .. } => {
                self.node(format_args!("{}[{}]", op.word(), words(indices)), |tree| tree.expr(body));
            }
            ExprKind::If { arms, otherwise } => self.node("if", |tree| {
                for arm in arms {
                    tree.expr(&arm.condition);
                    tree.node("then", |tree| tree.block(&arm.body));
                }
                if let Some(block) = otherwise {
                    tree.node("else", |tree| tree.block(block));
                }
            }),
            ExprKind::Repeat { count, name, body } => {
                self.node(format_args!("repeat as {}", name.text), |tree| {
                    tree.expr(count);
                    tree.node("body", |tree| tree.block(body));
                });
            }
            ExprKind::Record(settings) => self.node("record", |tree| {
                settings.iter().for_each(|setting| tree.setting(setting));
            }),
            ExprKind::Remat(body) => self.node("remat", |tree| tree.block(body)),
            ExprKind::Error => self.line("error"),
        }
    }

    fn subscript(&mut self, subscript: &Subscript) {
        match &subscript.kind {
            SubscriptKind::At(expr) => self.expr(expr),
            SubscriptKind::Slice { start, end, step } => self.node("slice", |tree| {
                for (word, part) in [("start", start), ("end", end), ("step", step)] {
                    if let Some(part) = part {
                        tree.node(word, |tree| tree.expr(part));
                    }
                }
            }),
            SubscriptKind::Rest => self.line(".."),
        }
    }
}

fn words(names: &[Name]) -> String {
    names.iter().map(|name| name.text.as_str()).collect::<Vec<_>>().join(", ")
}
