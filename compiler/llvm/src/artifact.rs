//! The artifact of a model: its entry points, the tables that describe them, the thin functions of its C interface,
//! and the support unit behind these.

use crate::ir::{Ir, Type, Value};
use crate::object::{Code, Form, finish};
use crate::{Error, Object, Options, Part, Target, compile};
use abi::{Call, Function, Manifest, Role};
use kernel::{Arg, ArgRole, DType, Module, Plan};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// Object code with a C interface whose names start with `prefix_`. `weights` is a safetensors file to carry along.
pub fn artifact(
    module: &Module,
    manifest: &Manifest,
    prefix: &str,
    weights: Option<&[u8]>,
    options: &Options,
) -> Result<Object, Error> {
    if !options.target.is_host_system() {
        return Err(Error::Unsupported(format!(
            "the C interface can be made for this machine's system only, not for `{}`",
            options.target.triple
        )));
    }
    let mut object = compile(module, options)?;
    let name = format!("{prefix}_interface");
    let ir = Ir::new(&name);
    Interface::new(&ir, module, manifest, prefix, &options.target)?.emit(weights)?;
    object.parts.push(finish(&ir, &name, options, Form::Object, Code::Calls)?);
    object.parts.push(Part { name: "dlc_v1_support.o".into(), bytes: abi::SUPPORT_OBJECT.to_vec() });
    Ok(object)
}

/// Something that the handle keeps.
struct Variable<'a> {
    arg: &'a Arg,
    shape: Vec<i64>,
    bytes: i64,
}

struct Interface<'a> {
    ir: &'a Ir,
    manifest: &'a Manifest,
    /// One an entry, in the manifest's order.
    plans: Vec<&'a Plan>,
    variables: Vec<Variable<'a>>,
    /// Where each name stands among the variables.
    variable_indices: BTreeMap<&'a str, usize>,
    prefix: &'a str,
    target: &'a Target,
    /// Texts and shapes that are there already: names come once an entry, shapes once a weight.
    texts: RefCell<BTreeMap<Vec<u8>, Value>>,
    shapes: RefCell<BTreeMap<Vec<i64>, Value>>,
}

impl<'a> Interface<'a> {
    fn new(
        ir: &'a Ir,
        module: &'a Module,
        manifest: &'a Manifest,
        prefix: &'a str,
        target: &'a Target,
    ) -> Result<Interface<'a>, Error> {
        let mut plans = Vec::new();
        for entry in &manifest.entries {
            let plan = module.plans.iter().find(|plan| plan.name == entry.symbol);
            let fits = plan.is_some_and(|plan| {
                plan.args.len() == entry.args.len()
                    && plan.results.len() == entry.results.len()
                    && plan.symbols.len() == entry.symbols.len()
            });
            match plan {
                Some(plan) if fits => plans.push(plan),
                _ => return Err(Error::Bug(format!("the manifest's entry `{}` has no plan", entry.name))),
            }
        }
        let mut interface = Interface {
            ir,
            manifest,
            plans,
            variables: Vec::new(),
            variable_indices: BTreeMap::new(),
            prefix,
            target,
            texts: RefCell::default(),
            shapes: RefCell::default(),
        };
        for call in Call::all(manifest) {
            if call.function == Function::Init && !call.entry.symbols.is_empty() {
                return Err(Error::Unsupported("initial weights whose size depends on a dimension".into()));
            }
            let plan = interface.plans[call.index];
            for arg in plan.args.iter().chain(&plan.results).filter(|arg| is_kept(arg.role)) {
                interface.add_variable(arg)?;
            }
        }
        Ok(interface)
    }

    fn add_variable(&mut self, arg: &'a Arg) -> Result<(), Error> {
        let shape: Option<Vec<i64>> = arg.shape.iter().map(shape::Dim::as_const).collect();
        let Some(shape) = shape else {
            return Err(Error::Unsupported(format!(
                "`{}`, whose size depends on a dynamic dimension, in the C interface",
                arg.name
            )));
        };
        let bytes = shape.iter().try_fold(arg.dtype.size() as i64, |bytes, size| bytes.checked_mul(*size));
        let Some(bytes) = bytes.filter(|bytes| *bytes >= 0) else {
            return Err(Error::Unsupported(format!("`{}` does not fit the memory", arg.name)));
        };
        match self.variable_index(arg).map(|index| &self.variables[index]) {
            None => {
                self.variable_indices.insert(&arg.name, self.variables.len());
                self.variables.push(Variable { arg, shape, bytes });
            }
            Some(known) if known.shape == shape && known.arg.dtype == arg.dtype => {}
            Some(_) => return Err(Error::Bug(format!("`{}` differs between entries", arg.name))),
        }
        Ok(())
    }

    fn emit(&self, weights: Option<&[u8]>) -> Result<(), Error> {
        let ir = self.ir;
        let calls = Call::all(self.manifest);
        // Entries that no function calls (gradients, for one) stay out of the tables.
        let entries: Vec<Value> = calls.iter().map(|call| self.entry(call)).collect::<Result<_, _>>()?;
        let variables: Vec<Value> = self.variables.iter().map(|variable| self.variable(variable)).collect();
        let weights_bytes = weights.map_or(0, <[u8]>::len) as i64;
        let weights = match weights {
            Some(bytes) => ir.constant("weights", ir.const_bytes(bytes), 64, false),
            None => ir.zero(ir.ptr()),
        };
        let model = ir.const_struct(&[
            ir.i64(i64::from(abi::MANIFEST_VERSION)),
            self.text(&self.manifest.model),
            self.text(&self.target.required_features()),
            self.table("entries", &entries),
            ir.i64(entries.len() as i64),
            self.table("variables", &variables),
            ir.i64(variables.len() as i64),
            weights,
            ir.i64(weights_bytes),
        ]);
        let model = ir.constant("model", model, 8, false);
        let training = calls.iter().any(|call| call.function == Function::Step);
        self.emit_handle_functions(model, training, calls.iter().any(Call::takes_rate_scale));
        for (index, call) in calls.iter().enumerate() {
            self.emit_call(call, index as i64);
        }
        Ok(())
    }

    // Tables, laid out as support.h says.

    fn variable(&self, variable: &Variable<'_>) -> Value {
        let ir = self.ir;
        // The names that files of training have.
        let name = match variable.arg.role {
            ArgRole::Optimizer => format!("optimizer/{}", variable.arg.name),
            _ => variable.arg.name.clone(),
        };
        let role = match variable.arg.role {
            ArgRole::Weight => 0,
            ArgRole::State => 1,
            ArgRole::Gradient => 3,
            _ => 2,
        };
        ir.const_struct(&[
            self.text(&name),
            ir.i64(role),
            ir.i64(dtype_code(variable.arg.dtype)),
            ir.i64(variable.shape.len() as i64),
            self.shape(&variable.shape),
            ir.i64(variable.bytes),
        ])
    }

    fn entry(&self, call: &Call<'_>) -> Result<Value, Error> {
        let ir = self.ir;
        let plan = self.plans[call.index];
        let mut slots = Vec::new();
        for (index, arg) in plan.args.iter().enumerate() {
            let (kind, place) = match call.entry.args[index].role {
                Role::Input => (INPUT, call.inputs.iter().position(|input| *input == index)),
                Role::Weight | Role::State | Role::Optimizer | Role::Gradient => {
                    (VARIABLE, self.variable_index(arg))
                }
                Role::Control => (CONTROL, CONTROLS.iter().position(|name| *name == arg.name)),
                role => {
                    return Err(Error::Bug(format!("argument `{}` has the role {role:?}", arg.name)));
                }
            };
            slots.push(self.slot(arg, kind, place)?);
        }
        for (index, result) in plan.results.iter().enumerate() {
            let (kind, place) = if is_kept(result.role) {
                (VARIABLE, self.variable_index(result))
            } else {
                (OUTPUT, call.outputs.iter().position(|output| *output == index))
            };
            slots.push(self.slot(result, kind, place)?);
        }
        let symbols: Vec<Value> = call.entry.symbols.iter().map(|symbol| self.text(symbol)).collect();
        let checks: Vec<Value> = plan
            .checks
            .iter()
            .map(|check| ir.const_struct(&[self.text(&check.message), self.text(&check.place)]))
            .collect();
        Ok(ir.const_struct(&[
            self.text(&call.entry.name),
            ir.declare(&plan.name, crate::entry::entry_type(ir)),
            ir.declare(&format!("{}_shapes", plan.name), ir.function_type(ir.void(), &[ir.ptr(), ir.ptr()])),
            self.table("symbols", &symbols),
            ir.i64(symbols.len() as i64),
            self.table("slots", &slots),
            ir.i64(plan.args.len() as i64),
            ir.i64(plan.results.len() as i64),
            self.table("checks", &checks),
            ir.i64(checks.len() as i64),
        ]))
    }

    fn slot(&self, arg: &Arg, kind: i64, place: Option<usize>) -> Result<Value, Error> {
        let ir = self.ir;
        let Some(place) = place else {
            return Err(Error::Unsupported(format!("`{}` as a parameter of the C interface", arg.name)));
        };
        let is_word = matches!(arg.dtype, DType::I64 | DType::F64) && arg.shape.is_empty();
        if kind == CONTROL && !is_word {
            return Err(Error::Bug(format!("`{}` is not a word", arg.name)));
        }
        let fields = [kind, place as i64, arg.shape.len() as i64].map(|field| ir.i64(field));
        Ok(ir.const_struct(&[self.text(&arg.name), fields[0], fields[1], fields[2]]))
    }

    fn variable_index(&self, arg: &Arg) -> Option<usize> {
        self.variable_indices.get(arg.name.as_str()).copied()
    }

    fn text(&self, text: &str) -> Value {
        let bytes: Vec<u8> = text.bytes().filter(|byte| *byte != 0).chain([0]).collect();
        let make = |bytes: &Vec<u8>| self.ir.constant("text", self.ir.const_bytes(bytes), 1, false);
        *self.texts.borrow_mut().entry(bytes).or_insert_with_key(make)
    }

    fn shape(&self, sizes: &[i64]) -> Value {
        let make = |sizes: &Vec<i64>| {
            let sizes: Vec<Value> = sizes.iter().map(|size| self.ir.i64(*size)).collect();
            self.table("shape", &sizes)
        };
        *self.shapes.borrow_mut().entry(sizes.to_vec()).or_insert_with_key(make)
    }

    /// A pointer to structures of one kind; null for none.
    fn table(&self, name: &str, rows: &[Value]) -> Value {
        match rows.first() {
            None => self.ir.zero(self.ir.ptr()),
            Some(row) => {
                let array = self.ir.const_array(self.ir.type_of(*row), rows);
                self.ir.constant(name, array, 8, false)
            }
        }
    }

    // Functions, as the header declares them.

    fn emit_handle_functions(&self, model: Value, training: bool, scales_rate: bool) {
        let ir = self.ir;
        let (ptr, int, size) = (ir.ptr(), ir.int(32), ir.int(64));
        self.function("abi_version", int, &[], |_| Some(ir.const_int(int, i64::from(abi::MANIFEST_VERSION))));
        self.function("create", int, &[ptr, ptr, ptr, size], |parameters| {
            let arguments = [&[model], parameters].concat();
            Some(self.support("create", int, &arguments))
        });
        self.function("destroy", ir.void(), &[ptr], |parameters| {
            self.support("destroy", ir.void(), parameters);
            None
        });
        self.function("last_error", ptr, &[ptr], |parameters| {
            Some(self.support("last_error", ptr, parameters))
        });
        self.function("load", int, &[ptr, ptr], |parameters| Some(self.support("load", int, parameters)));
        if training {
            self.function("save", int, &[ptr, ptr], |parameters| Some(self.support("save", int, parameters)));
        }
        if scales_rate {
            self.function("set_rate_scale", int, &[ptr, ir.f64()], |parameters| {
                Some(self.support("set_rate_scale", int, parameters))
            });
        }
    }

    fn emit_call(&self, call: &Call<'_>, index: i64) {
        let ir = self.ir;
        let (ptr, int, word) = (ir.ptr(), ir.int(32), ir.int(64));
        let name = call.function.name();
        if call.function == Function::Init {
            self.function(name, int, &[ptr, word], |parameters| {
                Some(self.support("init", int, &[parameters[0], ir.i64(index), parameters[1]]))
            });
            return;
        }
        let dims = call.entry.symbols.len();
        let mut types = vec![ptr];
        types.extend(vec![word; dims]);
        if call.takes_share() {
            types.push(ir.f64());
        }
        types.extend(vec![ptr; call.inputs.len() + call.outputs.len()]);
        let implementation = match call.function {
            Function::Step => "step",
            Function::Accumulate => "accumulate",
            _ => "call",
        };
        self.function(name, int, &types, |parameters| {
            let (dims, mut arrays) = parameters[1..].split_at(dims);
            if call.takes_share() {
                self.support("set_share", ir.void(), &[parameters[0], arrays[0]]);
                arrays = &arrays[1..];
            }
            let (inputs, outputs) = arrays.split_at(call.inputs.len());
            let [dims, inputs, outputs] = [dims, inputs, outputs].map(|values| self.pack(values));
            Some(self.support(implementation, int, &[parameters[0], ir.i64(index), dims, inputs, outputs]))
        });
        if call.function == Function::Run {
            self.function("workspace_bytes", word, &types[..=dims], |parameters| {
                let dims = self.pack(&parameters[1..]);
                Some(self.support("workspace_bytes", word, &[parameters[0], ir.i64(index), dims]))
            });
        }
    }

    /// Values of eight bytes in an array on the stack.
    fn pack(&self, values: &[Value]) -> Value {
        let ir = self.ir;
        let array = ir.alloca(ir.array(ir.int(64), values.len().max(1) as u64), 8);
        for (index, value) in values.iter().enumerate() {
            ir.store(*value, ir.element(ir.int(64), array, ir.i64(index as i64)), 8);
        }
        array
    }

    fn function(
        &self,
        name: &str,
        result: Type,
        parameters: &[Type],
        body: impl FnOnce(&[Value]) -> Option<Value>,
    ) {
        let ir = self.ir;
        let ty = ir.function_type(result, parameters);
        let function = ir.declare(&format!("{}_{name}", self.prefix), ty);
        // Only what any processor of the architecture has: `create` must be able to say that the rest is missing.
        ir.flag(function, "nounwind");
        let start = ir.open(function);
        ir.at(start);
        let parameters: Vec<Value> = (0..parameters.len() as u32).map(|index| ir.parameter(index)).collect();
        let value = body(&parameters);
        ir.ret(value);
        ir.close_entry(start);
    }

    fn support(&self, name: &str, result: Type, arguments: &[Value]) -> Value {
        let ir = self.ir;
        let types: Vec<Type> = arguments.iter().map(|argument| ir.type_of(*argument)).collect();
        let ty = ir.function_type(result, &types);
        let function = ir.declare(&format!("dlc_v1_{name}"), ty);
        ir.set_hidden(function);
        ir.call(ty, function, arguments)
    }
}

// The enumerations of support.h.
const INPUT: i64 = 0;
const VARIABLE: i64 = 1;
const CONTROL: i64 = 2;
const OUTPUT: i64 = 3;
const CONTROLS: [&str; 6] = ["seed", "step", "total_steps", "part", "share", "lr_scale"];

fn dtype_code(dtype: DType) -> i64 {
    match dtype {
        DType::F64 => 0,
        DType::F32 => 1,
        DType::F16 => 2,
        DType::BF16 => 3,
        DType::I64 => 4,
        DType::I32 => 5,
        DType::I16 => 6,
        DType::I8 => 7,
        DType::U8 => 8,
        DType::Bool => 9,
    }
}

fn is_kept(role: ArgRole) -> bool {
    matches!(role, ArgRole::Weight | ArgRole::State | ArgRole::Optimizer | ArgRole::Gradient)
}
