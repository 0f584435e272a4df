//! The text form of modules, which [`crate::parse`] reads back. Source places are left out.
//!
//! ```text
//! fn @softmax composite "softmax" (%0: x: float[n, 10] input) -> (y: output) {
//!   assume n >= 1
//!   %1: float[n] = reduce max axes=[1] %0
//!   …
//!   return %7
//! }
//! ```

use crate::{Effect, Function, Module, Op, attribute};
use shape::Assumption;
use std::fmt::Write;

pub fn print(module: &Module) -> String {
    let mut out = String::new();
    let order = module.in_order().unwrap_or_else(|| module.functions.ids().collect());
    for (position, id) in order.into_iter().enumerate() {
        if position > 0 {
            out.push('\n');
        }
        write_function(&module.functions[id], module, &mut out);
    }
    out
}

/// One function; `module` gives the names of those it calls.
pub fn print_function(function: &Function, module: &Module) -> String {
    let mut out = String::new();
    write_function(function, module, &mut out);
    out
}

fn write_function(function: &Function, module: &Module, out: &mut String) {
    out.push_str("fn ");
    attribute::write_function_name(&function.name, out);
    if let Some(composite) = &function.composite {
        out.push_str(" composite ");
        write_string(composite, out);
    }
    if function.operation {
        out.push_str(" operation");
    }
    if let Some(derivative) = function.derivative {
        out.push_str(" derivative ");
        attribute::write_function(derivative, module, out);
    }
    if function.remat {
        out.push_str(" remat");
    }
    out.push_str(" (");
    let leading = leading_parameters(function);
    for (index, param) in function.params.iter().enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        if index < leading {
            _ = write!(out, "%{index}: ");
        }
        write_name(&param.name, out);
        _ = write!(out, ": {} {}", param.ty, param.role.name());
    }
    out.push_str(") -> (");
    for (index, (name, role, _)) in function.results.iter().enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        write_name(name, out);
        _ = write!(out, ": {}", role.name());
    }
    out.push_str(") {\n");
    for assumption in function.facts.assumptions() {
        match assumption {
            Assumption::Ge(a, b) => _ = writeln!(out, "  assume {a} >= {b}"),
            Assumption::Eq(a, b) => _ = writeln!(out, "  assume {a} == {b}"),
            Assumption::Divisible(a, by) => _ = writeln!(out, "  assume {a} divided by {by}"),
        }
    }
    for effect in &function.effects {
        let message = match effect {
            Effect::RequireGe { value, at_least, message, .. } => {
                _ = write!(out, "  require {value} >= {at_least} ");
                message
            }
            Effect::RequireEq { a, b, message, .. } => {
                _ = write!(out, "  require {a} == {b} ");
                message
            }
        };
        write_string(message, out);
        out.push('\n');
    }
    for (id, node) in function.nodes.iter().skip(leading) {
        _ = write!(out, "  %{}: ", id.index());
        match node.types.as_slice() {
            [ty] => _ = write!(out, "{ty}"),
            types => {
                out.push('(');
                for (position, ty) in types.iter().enumerate() {
                    _ = write!(out, "{}{ty}", if position > 0 { ", " } else { "" });
                }
                out.push(')');
            }
        }
        out.push_str(" = ");
        attribute::write_op(&node.op, module, out);
        for input in &node.inputs {
            _ = write!(out, " %{}", input.index());
        }
        out.push('\n');
    }
    out.push_str("  return");
    for (position, (_, _, value)) in function.results.iter().enumerate() {
        _ = write!(out, "{}%{}", if position > 0 { ", " } else { " " }, value.index());
    }
    out.push_str("\n}\n");
}

/// How many parameters stand at the very beginning, in order: those are written in the header alone.
fn leading_parameters(function: &Function) -> usize {
    let nodes = function.nodes.values();
    let in_place = |index: &usize| {
        nodes.get(*index).is_some_and(|node| {
            matches!(&node.op, Op::Parameter(parameter) if parameter.index == *index)
                && node.types.as_slice() == [function.params[*index].ty.clone()]
        })
    };
    (0..function.params.len()).take_while(in_place).count()
}

/// A name of letters, digits and `_ . - /`; any other is quoted.
pub(crate) fn write_name(name: &str, out: &mut String) {
    if !name.is_empty() && name.chars().all(is_name_char) {
        out.push_str(name)
    } else {
        write_string(name, out)
    }
}

pub(crate) fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '/')
}

fn write_string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            _ => out.push(c),
        }
    }
    out.push('"');
}
