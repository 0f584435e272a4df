//! Questions about everything inside a value. Parts may be shared many times over, as in `fn twice(p) = (p, p)` of itself,
//! so each part is looked at once.

use super::{Layer, Value};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    rc::Rc,
};

/// Values that a list or tuple may hold, with all that its parts hold.
pub const MAX_LEAVES: u64 = 1 << 20;
/// Lists and tuples inside each other.
pub const MAX_HEIGHT: usize = 400;

/// Where a part lies: equal for what is shared.
pub type Place = *const ();

impl<'p> Value<'p> {
    /// The values directly inside.
    fn parts(&self) -> Vec<&Value<'p>> {
        match self {
            Value::List(items) | Value::Tuple(items) => items.iter().collect(),
            Value::Fn(closure) => {
                closure.env.iter().flat_map(|env| env.iter()).map(|(_, value)| value).collect()
            }
            Value::Layer(layer) => layer_parts(layer),
            Value::Mapped(mapped) => vec![&mapped.function],
            Value::Custom(custom) => vec![&custom.function, &custom.backward],
            Value::Instance(instance) => layer_parts(&instance.layer),
            _ => Vec::new(),
        }
    }

    /// Of what may be shared.
    pub fn place(&self) -> Option<Place> {
        Some(match self {
            Value::List(items) | Value::Tuple(items) => Rc::as_ptr(items).cast(),
            Value::Fn(closure) if closure.env.is_some() => Rc::as_ptr(closure).cast(),
            Value::Layer(layer) => Rc::as_ptr(layer).cast(),
            Value::Mapped(mapped) => Rc::as_ptr(mapped).cast(),
            Value::Custom(custom) => Rc::as_ptr(custom).cast(),
            Value::Instance(instance) => Rc::as_ptr(instance).cast(),
            _ => return None,
        })
    }

    /// Whether a tensor of some frame is inside, or an instance, which belongs to one.
    pub fn holds_tensor(&self) -> bool {
        self.holds(&|value| matches!(value, Value::Tensor(_) | Value::Instance(_)), &mut BTreeSet::new())
    }

    /// Whether layers are among the values of a list or tuple.
    pub fn lists_layers(&self) -> bool {
        fn search(value: &Value<'_>, seen: &mut BTreeSet<Place>) -> bool {
            match value {
                Value::Layer(_) => true,
                Value::List(items) | Value::Tuple(items) => {
                    value.place().is_some_and(|place| seen.insert(place))
                        && items.iter().any(|item| search(item, seen))
                }
                _ => false,
            }
        }
        search(self, &mut BTreeSet::new())
    }

    fn holds(&self, wanted: &dyn Fn(&Value<'p>) -> bool, seen: &mut BTreeSet<Place>) -> bool {
        if wanted(self) {
            return true;
        }
        if self.place().is_some_and(|place| !seen.insert(place)) {
            return false;
        }
        self.parts().into_iter().any(|part| part.holds(wanted, seen))
    }

    /// How many values a list or tuple holds at its leaves, and how high it is.
    pub fn extent(&self) -> (u64, usize) {
        fn measure(value: &Value<'_>, known: &mut BTreeMap<Place, (u64, usize)>) -> (u64, usize) {
            let Some(place) = value.place() else { return (1, 0) };
            if let Some(extent) = known.get(&place) {
                return *extent;
            }
            let parts = value.parts();
            let (leaves, height) = parts
                .into_iter()
                .map(|part| measure(part, known))
                .fold((0u64, 0usize), |(leaves, height), part| {
                    (leaves.saturating_add(part.0), height.max(part.1))
                });
            known.insert(place, (leaves.max(1), height + 1));
            (leaves.max(1), height + 1)
        }
        measure(self, &mut BTreeMap::new())
    }

    /// Two values with one fingerprint configure a layer alike. Definitions are told apart by their address.
    pub fn fingerprint(&self, out: &mut String) {
        self.write(out, &mut BTreeMap::new());
    }

    fn write(&self, out: &mut String, known: &mut BTreeMap<Place, usize>) {
        if let Some(place) = self.place() {
            let number = known.len();
            if let Some(before) = known.get(&place) {
                let _ = write!(out, "#{before};");
                return;
            }
            known.insert(place, number);
        }
        let _ = match self {
            Value::Fn(closure) => write!(out, "fn{:p}", closure.def),
            Value::Layer(layer) => describe(layer, out),
            Value::Mapped(mapped) => write!(out, "vmap {}", mapped.axis),
            Value::Custom(_) => write!(out, "custom"),
            Value::Instance(instance) => {
                let _ = write!(out, "instance {} ", instance.name);
                describe(&instance.layer, out)
            }
            Value::List(_) => write!(out, "list"),
            Value::Tuple(_) => write!(out, "tuple"),
            other => write!(out, "{other:?}"),
        };
        let names: Vec<&str> = match self {
            Value::Fn(closure) => {
                closure.env.iter().flat_map(|env| env.iter()).map(|(name, _)| &**name).collect()
            }
            _ => Vec::new(),
        };
        out.push('(');
        for (position, part) in self.parts().into_iter().enumerate() {
            if let Some(name) = names.get(position) {
                let _ = write!(out, "{name}=");
            }
            part.write(out, known);
        }
        out.push_str(");");
    }
}

fn layer_parts<'a, 'p>(layer: &'a Layer<'p>) -> Vec<&'a Value<'p>> {
    match layer {
        Layer::Def(configured) => configured.config.iter().collect(),
        Layer::Chain(stages) => stages.iter().collect(),
        Layer::Repeat { body, .. } => vec![body],
    }
}

fn describe(layer: &Layer<'_>, out: &mut String) -> std::fmt::Result {
    match layer {
        Layer::Def(configured) => write!(out, "layer{:p}", configured.def),
        Layer::Chain(_) => write!(out, "chain"),
        Layer::Repeat { count, name, .. } => write!(out, "repeat {count} {name}"),
    }
}
