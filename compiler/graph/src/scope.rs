//! Where an operation belongs, for people: reports, traces and messages name it. It changes no value.

use base::Span;
use std::sync::Arc;

/// Shared by the nodes of one place.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Scope {
    /// The path of the layer's instance, `encoder.block.0`, as seen from the function; empty outside of all. Of a call it
    /// is the instance that is called.
    pub instance: String,
    /// Whether it is part of a derivative.
    pub backward: bool,
    /// Whether it repeats an earlier computation instead of its result being kept.
    pub recomputed: bool,
    /// Where the functions around it were called, the innermost first.
    pub calls: Vec<Span>,
    /// Of nodes that came from one call of what is one operation to frameworks: a number that they share, and no others of
    /// the function.
    pub operation: Option<u32>,
}

impl Scope {
    pub fn of_instance(path: &str) -> Arc<Scope> {
        Arc::new(Scope { instance: path.to_string(), ..Scope::default() })
    }

    /// The path of the instances `NAME.first` to `NAME.last` that are steps of one scan, seen from its body.
    pub fn of_steps(name: &str, first: usize, last: usize) -> Arc<Scope> {
        Scope::of_instance(&format!("{name}.[{first}-{last}]"))
    }

    /// The paths that a path in the body of a scan stands for, that of step 0 first: of `block.[4-6].dense` they are
    /// `block.4.dense`, `block.5.dense` and `block.6.dense`. Nothing where it names no steps.
    pub fn paths_of_steps(path: &str) -> Option<Vec<String>> {
        let (before, rest) = path.split_once('[')?;
        let (range, after) = rest.split_once(']')?;
        let (first, last) = range.split_once('-')?;
        let (first, last) = (first.parse::<usize>().ok()?, last.parse::<usize>().ok()?);
        Some((first..=last).map(|step| format!("{before}{step}{after}")).collect())
    }

    /// The same place in a derivative.
    pub fn derived(scope: Option<&Arc<Scope>>) -> Arc<Scope> {
        match scope {
            Some(scope) if scope.backward => scope.clone(),
            Some(scope) => Arc::new(Scope { backward: true, ..Scope::clone(scope) }),
            None => Arc::new(Scope { backward: true, ..Scope::default() }),
        }
    }

    /// The scope of a callee's node seen from the caller, whose call has the scope and place given.
    pub fn called(inner: Option<&Scope>, call: Option<&Scope>, span: Option<Span>) -> Scope {
        let (default, empty) = (Scope::default(), Scope::default());
        let (inner, call) = (inner.unwrap_or(&default), call.unwrap_or(&empty));
        let instance = match (call.instance.as_str(), inner.instance.as_str()) {
            ("", path) | (path, "") => path.to_string(),
            (outer, path) => format!("{outer}.{path}"),
        };
        let calls = inner.calls.iter().copied().chain(span).chain(call.calls.iter().copied()).collect();
        Scope {
            operation: call.operation.or(inner.operation),
            instance,
            backward: inner.backward || call.backward,
            recomputed: inner.recomputed || call.recomputed,
            calls,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_have_paths() {
        let body = Scope::of_steps("encoder.block", 9, 11);
        let inner = Scope::called(Some(&Scope::of_instance("dense")), Some(&body), None);
        let paths = Scope::paths_of_steps(&inner.instance);
        let expected = [9, 10, 11].map(|step| format!("encoder.block.{step}.dense"));
        assert_eq!(paths.as_deref(), Some(&expected[..]));
        assert_eq!(Scope::paths_of_steps("block.3.dense"), None);
    }
}
