//! The printed form, which `FromStr` reads back: `4*h*w + ceil_div(h, 2) - 1`.

use std::fmt;

use crate::{Atom, Dim, Term};

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.overflowed() {
            return f.write_str("<overflow>");
        }
        if self.terms().is_empty() {
            return f.write_str("0");
        }
        // What is added comes first, so that nobody has to read `-h + 4`.
        let (added, subtracted): (Vec<&Term>, Vec<&Term>) =
            self.terms().iter().partition(|term| term.coefficient > 0);
        for (position, term) in added.into_iter().chain(subtracted).enumerate() {
            let sign = match (position, term.coefficient < 0) {
                (0, false) => "",
                (0, true) => "-",
                (_, false) => " + ",
                (_, true) => " - ",
            };
            f.write_str(sign)?;
            write_magnitude(f, term)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Atom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Atom::Symbol(symbol) => write!(f, "{symbol}"),
            Atom::DivFloor(a, b) => write!(f, "div({a}, {b})"),
            Atom::CeilDiv(a, b) => write!(f, "ceil_div({a}, {b})"),
            Atom::Mod(a, b) => {
                write_operand(f, a)?;
                f.write_str(" % ")?;
                write_operand(f, b)
            }
            Atom::Min(..) => write_extremum(f, "min", self),
            Atom::Max(..) => write_extremum(f, "max", self),
        }
    }
}

fn write_magnitude(f: &mut fmt::Formatter<'_>, term: &Term) -> fmt::Result {
    let magnitude = term.coefficient.unsigned_abs();
    let factor_count: u32 = term.factors.iter().map(|(_, power)| power).sum();
    if magnitude != 1 || factor_count == 0 {
        write!(f, "{magnitude}{}", if factor_count == 0 { "" } else { "*" })?;
    }
    let mut separator = "";
    for (atom, power) in &term.factors {
        let within_product = term.coefficient != 1 || factor_count > 1;
        for _ in 0..*power {
            f.write_str(separator)?;
            if within_product && matches!(atom, Atom::Mod(..)) {
                write!(f, "({atom})")?
            } else {
                write!(f, "{atom}")?
            }
            separator = "*";
        }
    }
    Ok(())
}

/// An operand of `%`: a number or one atom stands by itself.
fn write_operand(f: &mut fmt::Formatter<'_>, dim: &Dim) -> fmt::Result {
    let stands_alone = dim.as_const().is_some_and(|value| value >= 0)
        || dim.as_atom().is_some_and(|atom| !matches!(atom, Atom::Mod(..)));
    if stands_alone { write!(f, "{dim}") } else { write!(f, "({dim})") }
}

/// `min` and `max` nest to the right; they are written with all their operands in one list.
fn write_extremum(f: &mut fmt::Formatter<'_>, name: &str, atom: &Atom) -> fmt::Result {
    write!(f, "{name}(")?;
    let mut atom = atom;
    while let Some((first, rest)) = atom.operands() {
        write!(f, "{first}, ")?;
        match rest.as_atom().filter(|inner| std::mem::discriminant(*inner) == std::mem::discriminant(atom)) {
            Some(inner) => atom = inner,
            None => {
                write!(f, "{rest}")?;
                break;
            }
        }
    }
    f.write_str(")")
}
