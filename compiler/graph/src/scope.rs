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
}

impl Scope {
    pub fn of_instance(path: &str) -> Arc<Scope> {
        Arc::new(Scope { instance: path.to_string(), ..Scope::default() })
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
            instance,
            backward: inner.backward || call.backward,
            recomputed: inner.recomputed || call.recomputed,
            calls,
        }
    }
}
