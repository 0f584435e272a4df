//! Plans: one memory an argument, result and constant, and one for the workspace, where tenants follow each other.

use super::{Failure, Memory, Number, Order, Place, Writer, run, size};
use crate::{Arg, BufferRef, Constant, DType, Module, Plan, Step};
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

    for (number, step) in plan.steps.iter().enumerate() {
        match step {
            Step::Require { value, at_least, check } => {
                if size(value, dims)? < size(at_least, dims)? {
                    return Err(Failure::Check(*check));
                }
            }
            Step::RequireEq { a, b, check } => {
                if size(a, dims)? != size(b, dims)? {
                    return Err(Failure::Check(*check));
                }
            }
            Step::Call(call) => {
                let place = |buffer: &BufferRef| {
                    Ok(match buffer {
                        BufferRef::Arg(index) => Place { memory: *index, offset: 0 },
                        BufferRef::Result(index) => Place { memory: first_result + index, offset: 0 },
                        BufferRef::Constant(id) => Place { memory: first_constant + id.index(), offset: 0 },
                        BufferRef::Workspace { offset } => {
                            let offset = size(offset, dims)? as usize;
                            if !offset.is_multiple_of(64) {
                                return Err(Failure::invalid("an offset in the workspace is not aligned"));
                            }
                            Place { memory: workspace, offset }
                        }
                    })
                };
                let places = call.buffers.iter().map(place).collect::<Result<Vec<_>, _>>()?;
                run(&module.kernels[call.kernel], &mut memories, &places, dims, number as u32 + 1, order)?;
            }
        }
    }
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
