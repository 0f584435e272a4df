//! Kernels and plans as text: one statement a line, loops indented.

use crate::{
    Binary, BufferRef, Const, Expr, Kernel, LoopKind, Measured, Module, Plan, Space, Step, Stmt, Unary, VarId,
};
use std::fmt::Write;

/// Every plan, then every kernel.
pub fn module(module: &Module) -> String {
    let mut text = String::new();
    for plan in &module.plans {
        text.push_str(&self::plan(module, plan));
        text.push('\n');
    }
    for kernel in module.kernels.values() {
        text.push_str(&self::kernel(kernel));
        text.push('\n');
    }
    text
}

pub fn plan(module: &Module, plan: &Plan) -> String {
    let mut text = String::new();
    let symbols: Vec<&str> = plan.symbols.iter().map(|symbol| symbol.name()).collect();
    line(
        &mut text,
        0,
        format_args!("plan {} dims({}) workspace {}", plan.name, symbols.join(", "), plan.workspace),
    );
    for (what, args) in [("arg", &plan.args), ("result", &plan.results)] {
        for (index, arg) in args.iter().enumerate() {
            let shape = dims(&arg.shape);
            line(
                &mut text,
                1,
                format_args!("{what}{index} {:?} {}: {}{shape}", arg.role, arg.name, arg.dtype),
            );
        }
    }
    for (id, constant) in plan.constants.iter() {
        line(&mut text, 1, format_args!("constant{} {}{:?}", id.index(), constant.dtype, constant.shape));
    }
    steps(&mut text, module, plan, 1, &plan.steps);
    text
}

pub fn kernel(kernel: &Kernel) -> String {
    let mut text = String::new();
    let arguments: Vec<String> = kernel
        .buffers
        .iter()
        .map(|(id, buffer)| {
            let space = match buffer.space {
                Space::Input => "in",
                Space::Output => "out",
                Space::InOut => "inout",
                Space::Local => "local",
                Space::Shared => "shared",
            };
            format!("{space} {}.{}: {}{}", buffer.name, id.index(), buffer.dtype, dims(&buffer.shape))
        })
        .collect();
    line(&mut text, 0, format_args!("kernel {}({}) grid {}", kernel.name, arguments.join(", "), kernel.grid));
    Printer { kernel }.stmts(&mut text, 1, &kernel.body);
    text
}

fn steps(text: &mut String, module: &Module, plan: &Plan, depth: usize, list: &[Step]) {
    for step in list {
        match step {
            Step::Call(call) => {
                let buffers: Vec<String> = call.buffers.iter().map(buffer_ref).collect();
                let name = module.kernels.get(call.kernel).map_or("?", |kernel| &kernel.name);
                line(text, depth, format_args!("call {name}({})  # work {}", buffers.join(", "), call.work));
            }
            Step::Require { value, at_least, check } => {
                let message = message(plan, *check);
                line(text, depth, format_args!("require {value} >= {at_least} else {message}"));
            }
            Step::RequireEq { a, b, check } => {
                line(text, depth, format_args!("require {a} == {b} else {}", message(plan, *check)));
            }
            Step::Allocate { slot, bytes, .. } => {
                line(text, depth, format_args!("allocate slot{} of {bytes} bytes", slot.0))
            }
            Step::Free { slot } => line(text, depth, format_args!("free slot{}", slot.0)),
            Step::Copy { from, to, bytes } => {
                let (from, to) = (buffer_ref(from), buffer_ref(to));
                line(text, depth, format_args!("copy {to} = {from}  # {bytes} bytes"));
            }
            Step::Loop { id, count, reverse, body } => {
                let backwards = if *reverse { " backwards" } else { "" };
                line(text, depth, format_args!("loop {} of {count}{backwards}", id.0));
                steps(text, module, plan, depth + 1, body);
            }
            Step::While { id, condition, flag, limit, body } => {
                let limit = limit.as_ref().map_or(String::new(), |limit| format!(" at most {limit}"));
                line(text, depth, format_args!("while {} {}{limit}", id.0, buffer_ref(flag)));
                steps(text, module, plan, depth + 1, condition);
                line(text, depth, format_args!("do"));
                steps(text, module, plan, depth + 1, body);
            }
            Step::Timed { of, body } => {
                let Measured { what, place, flops, bytes } = &**of;
                line(
                    text,
                    depth,
                    format_args!("timed {what} at {place}  # {flops} operations, {bytes} bytes"),
                );
                steps(text, module, plan, depth + 1, body);
            }
            Step::If { flag, then, otherwise } => {
                line(text, depth, format_args!("if {}", buffer_ref(flag)));
                steps(text, module, plan, depth + 1, then);
                if !otherwise.is_empty() {
                    line(text, depth, format_args!("else"));
                    steps(text, module, plan, depth + 1, otherwise);
                }
            }
        }
    }
}

fn message(plan: &Plan, check: u32) -> String {
    plan.checks.get(check as usize).map_or(format!("check {check}"), |check| format!("{:?}", check.message))
}

fn buffer_ref(buffer: &BufferRef) -> String {
    match buffer {
        BufferRef::Arg(index) => format!("arg{index}"),
        BufferRef::Result(index) => format!("result{index}"),
        BufferRef::Workspace { offset } => format!("workspace[{offset}]"),
        BufferRef::Allocated(slot) => format!("slot{}", slot.0),
        BufferRef::Constant(id) => format!("constant{}", id.index()),
        BufferRef::Part { of, loop_id, stride } => {
            format!("{}[step{} * {stride}]", buffer_ref(of), loop_id.0)
        }
        BufferRef::Table { loop_id, of } => {
            let of: Vec<String> = of.iter().map(buffer_ref).collect();
            format!("({})[step{}]", of.join(", "), loop_id.0)
        }
        BufferRef::Turn { loop_id, first, even, odd } => {
            let first = first.as_ref().map_or(String::new(), |first| format!("{}, ", buffer_ref(first)));
            format!("turn{}({first}{} | {})", loop_id.0, buffer_ref(even), buffer_ref(odd))
        }
    }
}

fn dims(shape: &[shape::Dim]) -> String {
    let dims: Vec<String> = shape.iter().map(|dim| dim.to_string()).collect();
    format!("[{}]", dims.join(", "))
}

fn line(text: &mut String, depth: usize, args: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = writeln!(text, "{:width$}{args}", "", width = depth * 2);
}

struct Printer<'k> {
    kernel: &'k Kernel,
}

impl Printer<'_> {
    fn stmts(&self, text: &mut String, depth: usize, body: &[Stmt]) {
        for stmt in body {
            self.stmt(text, depth, stmt);
        }
    }

    fn stmt(&self, text: &mut String, depth: usize, stmt: &Stmt) {
        match stmt {
            Stmt::For { var, from, to, step, kind, body } => {
                let kind = match kind {
                    LoopKind::Serial => String::new(),
                    LoopKind::Unrolled => " unrolled".to_string(),
                    LoopKind::Thread(axis) => format!(" thread {axis}"),
                };
                let (var, from, to) = (self.var(*var), self.expr(from), self.expr(to));
                line(text, depth, format_args!("for {var} in {from}..{to} step {step}{kind}"));
                self.stmts(text, depth + 1, body);
            }
            Stmt::If { condition, then, otherwise } => {
                line(text, depth, format_args!("if {}", self.expr(condition)));
                self.stmts(text, depth + 1, then);
                if !otherwise.is_empty() {
                    line(text, depth, format_args!("else"));
                    self.stmts(text, depth + 1, otherwise);
                }
            }
            Stmt::Let { var, value } => {
                let ty = self.kernel.vars[*var].ty;
                line(text, depth, format_args!("let {}: {ty} = {}", self.var(*var), self.expr(value)));
            }
            Stmt::Register { var, init } => {
                let ty = self.kernel.vars[*var].ty;
                line(text, depth, format_args!("register {}: {ty} = {}", self.var(*var), self.expr(init)));
            }
            Stmt::Assign { var, value } => {
                line(text, depth, format_args!("{} = {}", self.var(*var), self.expr(value)));
            }
            Stmt::Store { buffer, index, value, mask } => {
                let place = self.place(*buffer, index);
                let mask = mask.as_ref().map_or(String::new(), |mask| format!(" where {}", self.expr(mask)));
                line(text, depth, format_args!("{place} = {}{mask}", self.expr(value)));
            }
            Stmt::Check { condition, check } => {
                line(text, depth, format_args!("check {} else {check}", self.expr(condition)));
            }
            Stmt::Prefetch { buffer, index } => {
                line(text, depth, format_args!("prefetch {}", self.place(*buffer, index)));
            }
            Stmt::Barrier => line(text, depth, format_args!("barrier")),
            Stmt::AsyncCopy { to, to_index, from, from_index, elements } => {
                let (to, from) = (self.place(*to, to_index), self.place(*from, from_index));
                line(text, depth, format_args!("async {to} = {from} x{elements}"));
            }
            Stmt::AsyncWait { pending } => line(text, depth, format_args!("async wait {pending}")),
            Stmt::AtomicAdd { buffer, index, value } => {
                let place = self.place(*buffer, index);
                line(text, depth, format_args!("atomic {place} += {}", self.expr(value)));
            }
        }
    }

    fn var(&self, var: VarId) -> String {
        format!("{}.{}", self.kernel.vars[var].name, var.index())
    }

    fn place(&self, buffer: crate::BufferId, index: &[Expr]) -> String {
        let index: Vec<String> = index.iter().map(|i| self.expr(i)).collect();
        format!("{}.{}[{}]", self.kernel.buffers[buffer].name, buffer.index(), index.join(", "))
    }

    fn expr(&self, expr: &Expr) -> String {
        match expr {
            Expr::Const(Const::Float(dtype, bits)) => format!("{:?}{dtype}", f64::from_bits(*bits)),
            Expr::Const(Const::Int(crate::DType::I64, value)) => format!("{value}"),
            Expr::Const(Const::Int(dtype, value)) => format!("{value}{dtype}"),
            Expr::Const(Const::Bool(value)) => format!("{value}"),
            Expr::Var(var) => self.var(*var),
            Expr::Dim(dim) => format!("({dim})"),
            Expr::Load { buffer, index, lanes, mask } => {
                let place = self.place(*buffer, index);
                let lanes = if *lanes == 1 { String::new() } else { format!(" x{lanes}") };
                match mask {
                    Some(mask) => format!("{{{place}{lanes} where {}}}", self.expr(mask)),
                    None if lanes.is_empty() => place,
                    None => format!("{{{place}{lanes}}}"),
                }
            }
            Expr::Unary(Unary::Neg, x) => format!("-{}", self.expr(x)),
            Expr::Unary(op, x) => format!("{}({})", format!("{op:?}").to_lowercase(), self.expr(x)),
            Expr::Binary(op, a, b) => {
                let (a, b) = (self.expr(a), self.expr(b));
                match infix(*op) {
                    Some(sign) => format!("({a} {sign} {b})"),
                    None => format!("{}({a}, {b})", format!("{op:?}").to_lowercase()),
                }
            }
            Expr::Fma(a, b, c) => format!("fma({}, {}, {})", self.expr(a), self.expr(b), self.expr(c)),
            Expr::Select(c, a, b) => format!("select({}, {}, {})", self.expr(c), self.expr(a), self.expr(b)),
            Expr::Cast(dtype, x) => format!("{dtype}({})", self.expr(x)),
            Expr::Splat(x, lanes) => format!("splat({}, {lanes})", self.expr(x)),
            Expr::Ramp { base, stride, lanes } => format!("ramp({}, {stride}, {lanes})", self.expr(base)),
            Expr::Lane(x, lane) => format!("{}.lane({lane})", self.expr(x)),
            Expr::Interleave(a, b, half) => {
                format!(
                    "interleave {}({}, {})",
                    format!("{half:?}").to_lowercase(),
                    self.expr(a),
                    self.expr(b)
                )
            }
            Expr::Horizontal(op, x) => {
                format!("horizontal {}({})", format!("{op:?}").to_lowercase(), self.expr(x))
            }
        }
    }
}

fn infix(op: Binary) -> Option<&'static str> {
    Some(match op {
        Binary::Add => "+",
        Binary::Sub => "-",
        Binary::Mul => "*",
        Binary::Div => "/",
        Binary::Rem => "%",
        Binary::Lt => "<",
        Binary::Le => "<=",
        Binary::Gt => ">",
        Binary::Ge => ">=",
        Binary::Eq => "==",
        Binary::Ne => "!=",
        Binary::And => "&",
        Binary::Or => "|",
        Binary::Xor => "^",
        Binary::Shl => "<<",
        Binary::Shr => ">>",
        Binary::Pow | Binary::Min | Binary::Max | Binary::Atan2 | Binary::MulHi32 => return None,
    })
}
