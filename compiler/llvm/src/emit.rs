//! One kernel as one LLVM function, `void NAME(ptr cx, i64 from, i64 to)`, a loop over blocks.

mod arithmetic;
mod convert;
pub(crate) mod dims;
mod expr;
mod halves;
pub(crate) mod math;
mod memory;
mod stmt;
mod stream;
mod strided;

use crate::ir::{Block, Ir, Metadata, Type, Value};
use crate::{Error, Target};
use dims::Dims;
use kernel::{BufferId, DType, Kernel, Space, Ty, VarId};
use llvm_sys::LLVMIntPredicate::{LLVMIntEQ, LLVMIntSLT};
use shape::{Dim, Symbol};
use stream::Streams;

/// Words of `cx` before the buffers' addresses: the status' address and the dims'.
pub(crate) const CONTEXT_HEADER: usize = 2;

/// A failed check is kept as this minus its status, so that the maximum is the first check whatever threads ran.
pub(crate) const STATUS_BASE: i64 = i32::MAX as i64;

/// A value in registers. f16 and bf16 are held as f32 that those types can represent, bools as i1.
#[derive(Clone, Copy)]
pub(crate) struct Val {
    pub v: Value,
    pub ty: Ty,
}

#[derive(Clone, Copy)]
enum Slot {
    Unbound,
    Value(Value),
    Register(Value),
}

struct BufferSlot {
    base: Value,
    /// Elements from one index of an axis to the next.
    strides: Vec<Value>,
    /// `alias.scope` and `noalias` of its accesses; none where the buffer may overlap another.
    scopes: Option<(Metadata, Option<Metadata>)>,
}

pub(crate) struct Emitter<'a> {
    ir: &'a Ir,
    target: &'a Target,
    kernel: &'a Kernel,
    vars: Vec<Slot>,
    /// Stack places of registers, one a variable however often an unrolled loop declares it.
    registers: Vec<Option<Value>>,
    buffers: Vec<BufferSlot>,
    dims: Dims<'a>,
    status: Value,
    /// Where a block of the grid ends.
    block_end: Block,
    /// What is written past caches.
    streams: Option<&'a Streams>,
}

/// Emits `kernel` under `name`. `symbols` is the order in which callers lay out the dynamic dimensions.
pub(crate) fn emit(
    ir: &Ir,
    kernel: &Kernel,
    name: &str,
    target: &Target,
    symbols: &[Symbol],
) -> Result<(), Error> {
    let ty = kernel_type(ir);
    let function = ir.declare(name, ty);
    target.mark(ir, function);
    ir.set_hidden(function);
    let start = ir.open(function);
    let (cx, from, to) = (ir.parameter(0), ir.parameter(1), ir.parameter(2));
    let status = context_word(ir, cx, 0);
    let dims = Dims::new(ir, context_word(ir, cx, 1), symbols);
    let buffers = buffer_slots(ir, kernel, cx, &dims)?;

    ir.at(start);
    let streams = Streams::of(kernel, target);
    let mut emitter = Emitter {
        ir,
        target,
        kernel,
        vars: vec![Slot::Unbound; kernel.vars.len()],
        registers: vec![None; kernel.vars.len()],
        buffers,
        dims,
        status,
        block_end: start,
        streams: None,
    };
    if let Some(streams) = &streams {
        let (lines, plain) = (ir.block(), ir.block());
        ir.branch(emitter.on_lines(streams), lines, plain);
        ir.at(lines);
        emitter.streams = Some(streams);
        emitter.blocks(from, to)?;
        ir.at(plain);
        emitter.streams = None;
    }
    emitter.blocks(from, to)?;
    ir.close_entry(start);
    Ok(())
}

impl Emitter<'_> {
    /// The loop over blocks, and the end of the function.
    fn blocks(&mut self, from: Value, to: Value) -> Result<(), Error> {
        let ir = self.ir;
        let start = ir.here();
        let (header, body, latch, exit) = (ir.block(), ir.block(), ir.block(), ir.block());
        ir.jump(header);
        ir.at(header);
        let block = ir.phi(ir.int(64), &[(from, start)]);
        ir.branch(ir.icmp(LLVMIntSLT, block, to), body, exit);
        ir.at(latch);
        ir.add_incoming(block, &[(ir.add(block, ir.i64(1)), latch)]);
        ir.jump(header);
        ir.at(exit);
        if self.streams.is_some() {
            // Other threads see what was written past caches no later than that the blocks are done.
            ir.intrinsic("llvm.x86.sse.sfence", &[], &[]);
        }
        ir.ret(None);

        ir.at(body);
        self.block_end = latch;
        self.vars[self.kernel.block.index()] = Slot::Value(block);
        self.statements(&self.kernel.body)?;
        ir.jump(latch);
        Ok(())
    }

    /// Whether the buffers begin with cache lines.
    fn on_lines(&self, streams: &Streams) -> Value {
        let ir = self.ir;
        let addresses =
            streams.buffers().iter().map(|id| ir.ptr_to_int(self.buffers[id.index()].base, ir.int(64)));
        let any = addresses.reduce(|a, b| ir.or(a, b)).unwrap_or(ir.i64(0));
        ir.icmp(LLVMIntEQ, ir.and(any, ir.i64(63)), ir.i64(0))
    }
}

pub(crate) fn kernel_type(ir: &Ir) -> Type {
    ir.function_type(ir.void(), &[ir.ptr(), ir.int(64), ir.int(64)])
}

fn context_word(ir: &Ir, cx: Value, index: usize) -> Value {
    ir.load(ir.ptr(), ir.element(ir.ptr(), cx, ir.i64(index as i64)), 8)
}

fn buffer_slots(ir: &Ir, kernel: &Kernel, cx: Value, dims: &Dims<'_>) -> Result<Vec<BufferSlot>, Error> {
    let domain = ir.metadata_node(&[ir.metadata_text(&kernel.name)]);
    let scopes: Vec<Option<Metadata>> = kernel
        .buffers
        .iter()
        .map(|(id, buffer)| {
            let exclusive = matches!(buffer.space, Space::Input | Space::Output | Space::Local);
            let name = format!("{}.{}.{}", kernel.name, id.index(), buffer.name);
            exclusive.then(|| ir.metadata_node(&[ir.metadata_text(&name), domain]))
        })
        .collect();
    let mut slots = Vec::new();
    let mut arguments = 0;
    let mut local_bytes = 0usize;
    for (id, buffer) in kernel.buffers.iter() {
        let base = match buffer.space {
            Space::Input | Space::Output | Space::InOut => {
                let base = context_word(ir, cx, CONTEXT_HEADER + arguments);
                arguments += 1;
                base
            }
            Space::Local => {
                let elements = buffer.shape.iter().cloned().product::<Dim>().as_const();
                let bytes = elements
                    .and_then(|n| usize::try_from(n).ok())
                    .and_then(|n| n.checked_mul(buffer.dtype.size()))
                    .ok_or_else(|| {
                        Error::Bug(format!("local buffer `{}` has no constant size", buffer.name))
                    })?;
                local_bytes = local_bytes.saturating_add(bytes);
                if local_bytes > Space::LOCAL_BYTES {
                    return Err(Error::Bug(format!("kernel `{}` has too many local bytes", kernel.name)));
                }
                ir.alloca(ir.array(ir.int(8), bytes.max(1) as u64), 64)
            }
            Space::Shared => {
                return Err(Error::Unsupported("shared memory is not supported on CPUs".into()));
            }
        };
        let mut stride = Dim::from(1i64);
        let mut strides = Vec::new();
        for size in buffer.shape.iter().rev() {
            strides.push(dims.value(&stride)?);
            stride = &stride * size;
        }
        strides.reverse();
        let others: Vec<Metadata> = scopes
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != id.index())
            .filter_map(|(_, scope)| *scope)
            .collect();
        let scopes = scopes[id.index()]
            .map(|own| (ir.metadata_node(&[own]), (!others.is_empty()).then(|| ir.metadata_node(&others))));
        slots.push(BufferSlot { base, strides, scopes });
    }
    Ok(slots)
}

impl Emitter<'_> {
    /// How a value of this type is held in registers.
    fn register_type(&self, ty: Ty) -> Type {
        register_type(self.ir, ty)
    }

    fn ty(&self, var: VarId) -> Ty {
        self.kernel.vars[var].ty
    }

    fn dtype(&self, buffer: BufferId) -> DType {
        self.kernel.buffers[buffer].dtype
    }

    fn bug<T>(&self, text: &str) -> Result<T, Error> {
        Err(Error::Bug(format!("kernel `{}`: {text}", self.kernel.name)))
    }
}

pub(crate) fn register_type(ir: &Ir, ty: Ty) -> Type {
    let element = match ty.dtype {
        DType::F64 => ir.f64(),
        DType::F32 | DType::F16 | DType::BF16 => ir.f32(),
        DType::Bool => ir.int(1),
        int => ir.int(8 * int.size() as u32),
    };
    ir.vector(element, u32::from(ty.lanes))
}
