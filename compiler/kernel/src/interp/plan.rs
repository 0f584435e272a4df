//! Plans: one memory an argument, result and constant, and one for the workspace, where tenants follow each other.

use super::{Failure, Memory, Number, Order, Place, Writer, memory, run, size};
use crate::{Arg, BufferRef, Constant, DType, LoopId, Module, Plan, SlotId, Step};
use shape::Symbol;
use std::collections::BTreeMap;

/// Runs a plan on row-major values and gives its results. Values are exact in f64, as those of the graph's interpreter.
pub fn run_plan(
    module: &Module,
    plan: &Plan,
    args: &[Vec<f64>],
    dims: &BTreeMap<Symbol, i64>,
    order: Order,
) -> Result<Vec<Vec<f64>>, Failure> {
    let host = Writer { call: 0, block: 0 };
    let mut memories = Vec::new();
    if args.len() != plan.args.len() {
        return Err(Failure::invalid("the number of arguments is not the plan's"));
    }
    for (arg, values) in plan.args.iter().zip(args) {
        if elements(arg, dims)? != values.len() {
            return Err(Failure::invalid(format!("argument {} has {} elements", arg.name, values.len())));
        }
        let numbers = values.iter().map(|value| host_number(arg.dtype, *value)).collect::<Vec<_>>();
        memories.push(filled(arg.dtype, &numbers, host)?);
    }
    let first_result = memories.len();
    for result in &plan.results {
        memories.push(Memory::poisoned(elements(result, dims)? * result.dtype.size()));
    }
    let first_constant = memories.len();
    for constant in plan.constants.values() {
        memories.push(filled(constant.dtype, &constant_numbers(constant), host)?);
    }
    let workspace = memories.len();
    memories.push(Memory::poisoned(size(&plan.workspace, dims)? as usize));

    let bases = Bases { result: first_result, constant: first_constant, workspace };
    let (loops, slots) = (BTreeMap::new(), BTreeMap::new());
    let mut runner = Runner { module, dims, order, memories, bases, loops, slots, calls: 0 };
    runner.steps(&plan.steps)?;
    let memories = runner.memories;
    let reader = Writer { call: u32::MAX, block: 0 };
    let read = |(index, result): (usize, &Arg)| {
        let memory = &memories[first_result + index];
        (0..elements(result, dims)?)
            .map(|i| Ok(memory.read(i * result.dtype.size(), result.dtype, reader)?.to_f64()))
            .collect::<Result<Vec<f64>, Failure>>()
            .map_err(|failure| failure.within(&format!("result {}", result.name)))
    };
    plan.results.iter().enumerate().map(read).collect()
}

/// The numbers of the memories that are not arguments.
struct Bases {
    result: usize,
    constant: usize,
    workspace: usize,
}

/// How far a loop is, or was when it ended.
#[derive(Clone, Copy)]
struct Progress {
    done: i64,
    /// The number of the present step; none in a `while`.
    number: Option<i64>,
}

struct Runner<'a> {
    module: &'a Module,
    dims: &'a BTreeMap<Symbol, i64>,
    order: Order,
    memories: Vec<Memory>,
    bases: Bases,
    loops: BTreeMap<LoopId, Progress>,
    /// The memories of what is allocated, or was.
    slots: BTreeMap<SlotId, usize>,
    /// Calls and copies so far: each writes under a number of its own.
    calls: u32,
}

impl Runner<'_> {
    fn steps(&mut self, steps: &[Step]) -> Result<(), Failure> {
        steps.iter().try_for_each(|step| self.step(step))
    }

    fn step(&mut self, step: &Step) -> Result<(), Failure> {
        match step {
            Step::Require { value, at_least, check } => {
                if size(value, self.dims)? < size(at_least, self.dims)? {
                    return Err(Failure::Check(*check));
                }
            }
            Step::RequireEq { a, b, check } => {
                if size(a, self.dims)? != size(b, self.dims)? {
                    return Err(Failure::Check(*check));
                }
            }
            Step::Call(call) => {
                let places = call.buffers.iter().map(|buffer| self.place(buffer));
                let places = places.collect::<Result<Vec<_>, _>>()?;
                self.calls += 1;
                let kernel = &self.module.kernels[call.kernel];
                run(kernel, &mut self.memories, &places, self.dims, self.calls, self.order)?;
            }
            Step::Allocate { slot, bytes, .. } => {
                let memory = *self.slots.entry(*slot).or_insert(self.memories.len());
                let fresh = Memory::poisoned(size(bytes, self.dims)? as usize);
                match self.memories.get_mut(memory) {
                    Some(freed) => *freed = fresh,
                    None => self.memories.push(fresh),
                }
            }
            // Nobody can read or write what has no bytes.
            Step::Free { slot } => {
                let memory = self.slot(*slot)?;
                self.memories[memory] = Memory::default();
            }
            Step::Copy { from, to, bytes } => {
                let (from, to) = (self.place(from)?, self.place(to)?);
                let bytes = size(bytes, self.dims)? as usize;
                self.calls += 1;
                memory::copy(&mut self.memories, from, to, bytes, self.calls)?;
            }
            Step::Loop { id, count, reverse, body } => {
                let count = size(count, self.dims)?;
                for done in 0..count {
                    let number = if *reverse { count - 1 - done } else { done };
                    self.loops.insert(*id, Progress { done, number: Some(number) });
                    self.steps(body)?;
                }
                self.loops.insert(*id, Progress { done: count.max(0), number: None });
            }
            Step::While { id, condition, flag, limit, body } => {
                let limit = limit.as_ref().map(|limit| size(limit, self.dims)).transpose()?;
                let mut done = 0;
                self.loops.insert(*id, Progress { done, number: None });
                while limit.is_none_or(|limit| done < limit) {
                    self.steps(condition)?;
                    if !self.flag(flag)? {
                        break;
                    }
                    self.steps(body)?;
                    done += 1;
                    self.loops.insert(*id, Progress { done, number: None });
                }
            }
            Step::Timed { body, .. } => self.steps(body)?,
            Step::If { flag, then, otherwise } => {
                let branch = if self.flag(flag)? { then } else { otherwise };
                self.steps(branch)?;
            }
        }
        Ok(())
    }

    fn slot(&self, slot: SlotId) -> Result<usize, Failure> {
        let known = self.slots.get(&slot).copied();
        known.ok_or_else(|| Failure::invalid(format!("slot {} is not allocated", slot.0)))
    }

    fn flag(&self, flag: &BufferRef) -> Result<bool, Failure> {
        let place = self.place(flag)?;
        let reader = Writer { call: u32::MAX, block: 0 };
        Ok(self.memories[place.memory].read(place.offset, DType::Bool, reader)?.is_true())
    }

    fn place(&self, buffer: &BufferRef) -> Result<Place, Failure> {
        let progress = |id: &LoopId| {
            let known = self.loops.get(id).copied();
            known.ok_or_else(|| Failure::invalid(format!("loop {} does not run here", id.0)))
        };
        let number = |id: &LoopId| {
            let number = progress(id)?.number;
            number.ok_or_else(|| Failure::invalid(format!("loop {} has no numbered step here", id.0)))
        };
        Ok(match buffer {
            BufferRef::Arg(index) => Place { memory: *index, offset: 0 },
            BufferRef::Result(index) => Place { memory: self.bases.result + index, offset: 0 },
            BufferRef::Allocated(slot) => Place { memory: self.slot(*slot)?, offset: 0 },
            BufferRef::Constant(id) => Place { memory: self.bases.constant + id.index(), offset: 0 },
            BufferRef::Workspace { offset } => {
                let offset = size(offset, self.dims)? as usize;
                if !offset.is_multiple_of(64) {
                    return Err(Failure::invalid("an offset in the workspace is not aligned"));
                }
                Place { memory: self.bases.workspace, offset }
            }
            BufferRef::Part { of, loop_id, stride } => {
                let place = self.place(of)?;
                let further = number(loop_id)? * size(stride, self.dims)?;
                Place { offset: place.offset + further as usize, ..place }
            }
            BufferRef::Table { loop_id, of } => {
                let number = number(loop_id)?;
                let chosen = usize::try_from(number).ok().and_then(|number| of.get(number));
                self.place(chosen.ok_or_else(|| Failure::invalid(format!("no place for step {number}")))?)?
            }
            BufferRef::Turn { loop_id, first, even, odd } => {
                let done = progress(loop_id)?.done;
                self.place(match first {
                    Some(first) if done == 0 => first,
                    _ if done % 2 == 0 => even,
                    _ => odd,
                })?
            }
        })
    }
}

fn elements(arg: &Arg, dims: &BTreeMap<Symbol, i64>) -> Result<usize, Failure> {
    let mut elements = 1;
    for dim in &arg.shape {
        elements *= size(dim, dims)? as usize;
    }
    Ok(elements)
}

fn host_number(dtype: DType, value: f64) -> Number {
    Number::Float(value).cast(dtype)
}

fn filled(dtype: DType, values: &[Number], host: Writer) -> Result<Memory, Failure> {
    let mut memory = Memory::poisoned(values.len() * dtype.size());
    for (i, value) in values.iter().enumerate() {
        memory.write(i * dtype.size(), dtype, *value, host)?;
    }
    Ok(memory)
}

fn constant_numbers(constant: &Constant) -> Vec<Number> {
    let width = constant.dtype.size();
    let number = |bytes: &[u8]| {
        let mut word = [0u8; 8];
        word[..width].copy_from_slice(bytes);
        let word = u64::from_le_bytes(word);
        match constant.dtype {
            DType::F64 => Number::Float(f64::from_bits(word)),
            DType::F32 => Number::Float(f64::from(f32::from_bits(word as u32))),
            DType::BF16 => Number::Float(f64::from(f32::from_bits((word as u32) << 16))),
            DType::F16 => Number::Float(half(word as u16)),
            DType::I64 => Number::Int(word as i64),
            DType::I32 => Number::Int(i64::from(word as i32)),
            DType::I16 => Number::Int(i64::from(word as i16)),
            DType::I8 => Number::Int(i64::from(word as i8)),
            DType::U8 | DType::Bool => Number::Int(word as i64),
        }
    };
    constant.bytes.chunks_exact(width).map(number).collect()
}

fn half(bits: u16) -> f64 {
    let (exponent, fraction) = ((bits >> 10) & 31, f64::from(bits & 1023));
    let magnitude = match exponent {
        0 => fraction * (-24f64).exp2(),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        e => (1024.0 + fraction) * (f64::from(e) - 25.0).exp2(),
    };
    if bits >> 15 == 1 { -magnitude } else { magnitude }
}
