//! The reference interpreter of kernels and plans: executes what is written, lane by lane, and believes nothing.
//! Every index is checked per axis, every lane's mask decides alone, uninitialised memory is poison, blocks must not
//! depend on each other. It is what lowering is tested against, and what compiled code is compared with.

mod eval;
mod memory;
mod number;
mod plan;

pub use memory::{Memory, Writer};
pub use number::{Number, binary, fma, range, round, unary};
pub use plan::run_plan;

use crate::{BufferId, DType, Kernel, LoopKind, Space, Stmt, VarId};
use eval::Value;
use shape::{Dim, Symbol};
use std::collections::{BTreeMap, HashMap};

/// Why a run ended.
#[derive(Clone, PartialEq, Debug)]
pub enum Failure {
    /// A [`crate::Check`] failed: its index.
    Check(u32),
    /// The kernel or the plan is wrong: a bug of who made it.
    Invalid(String),
}

impl Failure {
    pub fn invalid(message: impl Into<String>) -> Failure {
        Failure::Invalid(message.into())
    }

    fn within(self, place: &str) -> Failure {
        match self {
            Failure::Invalid(message) => Failure::Invalid(format!("{place}: {message}")),
            check => check,
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::Check(check) => write!(f, "check {check} failed"),
            Failure::Invalid(message) => f.write_str(message),
        }
    }
}

/// Where a buffer of a kernel lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    pub memory: usize,
    pub offset: usize,
}

/// Order of a kernel's blocks: the result must be the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Order {
    #[default]
    Ascending,
    Descending,
}

pub(crate) fn size(dim: &Dim, dims: &BTreeMap<Symbol, i64>) -> Result<i64, Failure> {
    dim.eval(dims).map_err(|error| Failure::invalid(format!("formula {dim}: {error}")))
}

/// Runs every block of a kernel on buffers at these places, one an argument. `call` tells this call from others.
pub fn run(
    kernel: &Kernel,
    memories: &mut Vec<Memory>,
    places: &[Place],
    dims: &BTreeMap<Symbol, i64>,
    call: u32,
    order: Order,
) -> Result<(), Failure> {
    let mut machine = Machine::new(kernel, memories, places, dims, call)?;
    let grid = size(&kernel.grid, dims)?;
    for step in 0..grid {
        let block = if order == Order::Ascending { step } else { grid - 1 - step };
        machine
            .run_block(block)
            .map_err(|failure| failure.within(&format!("{}, block {block}", kernel.name)))?;
    }
    machine.memories.truncate(machine.shared_memories);
    Ok(())
}

struct Region {
    name: String,
    dtype: DType,
    space: Space,
    shape: Vec<i64>,
    place: Place,
}

pub(crate) struct Machine<'a> {
    kernel: &'a Kernel,
    memories: &'a mut Vec<Memory>,
    /// Memories beyond these are the local buffers.
    shared_memories: usize,
    regions: Vec<Region>,
    vars: Vec<Option<Value>>,
    dims: &'a BTreeMap<Symbol, i64>,
    /// Formulas already computed. Only looked up.
    formulas: HashMap<Dim, i64>,
    writer: Writer,
}

impl<'a> Machine<'a> {
    fn new(
        kernel: &'a Kernel,
        memories: &'a mut Vec<Memory>,
        places: &[Place],
        dims: &'a BTreeMap<Symbol, i64>,
        call: u32,
    ) -> Result<Machine<'a>, Failure> {
        let shared_memories = memories.len();
        let mut regions = Vec::new();
        let mut arguments = places.iter();
        for (_, buffer) in kernel.buffers.iter() {
            let shape = buffer.shape.iter().map(|dim| size(dim, dims)).collect::<Result<Vec<_>, _>>()?;
            let bytes = shape.iter().product::<i64>() as usize * buffer.dtype.size();
            let place = if buffer.space.is_argument() {
                *arguments
                    .next()
                    .ok_or_else(|| Failure::invalid(format!("{}: too few buffers", kernel.name)))?
            } else {
                memories.push(Memory::poisoned(bytes));
                Place { memory: memories.len() - 1, offset: 0 }
            };
            if place.offset + bytes > memories[place.memory].bytes() {
                return Err(Failure::invalid(format!(
                    "{}: buffer {} of {bytes} bytes at {} is larger than its memory of {}",
                    kernel.name,
                    buffer.name,
                    place.offset,
                    memories[place.memory].bytes()
                )));
            }
            if buffer.space == Space::Output {
                memories[place.memory].poison(place.offset, bytes);
            }
            let name = buffer.name.clone();
            regions.push(Region { name, dtype: buffer.dtype, space: buffer.space, shape, place });
        }
        if arguments.next().is_some() {
            return Err(Failure::invalid(format!("{}: too many buffers", kernel.name)));
        }
        let vars = vec![None; kernel.vars.len()];
        let writer = Writer { call, block: 0 };
        Ok(Machine {
            kernel,
            memories,
            shared_memories,
            regions,
            vars,
            dims,
            formulas: HashMap::new(),
            writer,
        })
    }

    fn run_block(&mut self, block: i64) -> Result<(), Failure> {
        self.writer.block = block;
        for region in &self.regions {
            if region.place.memory >= self.shared_memories {
                let memory = &mut self.memories[region.place.memory];
                memory.poison(0, memory.bytes());
            }
        }
        self.vars.fill(None);
        self.vars[self.kernel.block.index()] = Some(Value::index(block));
        self.run_all(&self.kernel.body)
    }

    fn run_all(&mut self, body: &[Stmt]) -> Result<(), Failure> {
        body.iter().try_for_each(|stmt| self.run_stmt(stmt))
    }

    fn run_stmt(&mut self, stmt: &Stmt) -> Result<(), Failure> {
        match stmt {
            Stmt::For { var, from, to, step, kind, body } => {
                if let LoopKind::Thread(_) = kind {
                    return Err(Failure::invalid("thread loops are not for the processor"));
                }
                if *step <= 0 {
                    return Err(Failure::invalid("a loop's step is positive"));
                }
                let (mut i, to) = (self.index(from)?, self.index(to)?);
                while i < to {
                    self.vars[var.index()] = Some(Value::index(i));
                    self.run_all(body)?;
                    i += step;
                }
                self.vars[var.index()] = None;
                Ok(())
            }
            Stmt::If { condition, then, otherwise } => {
                let condition = self.eval(condition)?.scalar()?.is_true();
                self.run_all(if condition { then } else { otherwise })
            }
            Stmt::Let { var, value } | Stmt::Register { var, init: value } => self.set(*var, value),
            Stmt::Assign { var, value } => {
                if self.vars[var.index()].is_none() {
                    return Err(Failure::invalid("assigns a register that is not declared"));
                }
                self.set(*var, value)
            }
            Stmt::Store { buffer, index, value, mask } => self.store(*buffer, index, value, mask.as_ref()),
            Stmt::Prefetch { .. } => Ok(()),
            Stmt::Check { condition, check } => match self.eval(condition)?.scalar()?.is_true() {
                true => Ok(()),
                false => Err(Failure::Check(*check)),
            },
            Stmt::Barrier | Stmt::AsyncCopy { .. } | Stmt::AsyncWait { .. } | Stmt::AtomicAdd { .. } => {
                Err(Failure::invalid("a statement that is not for the processor"))
            }
        }
    }

    fn set(&mut self, var: VarId, value: &crate::Expr) -> Result<(), Failure> {
        let value = self.eval(value)?;
        let declared = self.kernel.vars[var].ty;
        if value.ty() != declared {
            let name = &self.kernel.vars[var].name;
            return Err(Failure::invalid(format!("{name} is {declared}, its value {}", value.ty())));
        }
        self.vars[var.index()] = Some(value);
        Ok(())
    }

    fn store(
        &mut self,
        buffer: BufferId,
        index: &[crate::Expr],
        value: &crate::Expr,
        mask: Option<&crate::Expr>,
    ) -> Result<(), Failure> {
        let value = self.eval(value)?;
        let mask = mask.map(|mask| self.eval(mask)).transpose()?;
        let index = index.iter().map(|i| self.eval(i)).collect::<Result<Vec<_>, _>>()?;
        let region = &self.regions[buffer.index()];
        if region.space == Space::Input {
            return Err(Failure::invalid(format!("writes the input {}", region.name)));
        }
        if value.dtype != region.dtype {
            return Err(Failure::invalid(format!("stores {} into {}", value.dtype, region.name)));
        }
        for lane in 0..value.lanes.len() {
            if mask.as_ref().is_none_or(|mask| mask.lane(lane).is_true()) {
                let at = self.address(buffer, &index, lane, value.lanes.len())?;
                let (dtype, place) = (value.dtype, self.regions[buffer.index()].place);
                self.memories[place.memory].write(at, dtype, value.lanes[lane], self.writer)?;
            }
        }
        Ok(())
    }

    /// The byte of one lane's element; consecutive along the last axis where no index is a vector.
    fn address(
        &self,
        buffer: BufferId,
        index: &[Value],
        lane: usize,
        lanes: usize,
    ) -> Result<usize, Failure> {
        let region = &self.regions[buffer.index()];
        if index.len() != region.shape.len() {
            return Err(Failure::invalid(format!("{} indices for {}", index.len(), region.name)));
        }
        let gather = index.iter().any(|i| i.lanes.len() > 1);
        let mut flat = 0;
        for (axis, (i, extent)) in index.iter().zip(&region.shape).enumerate() {
            let mut at = i.lane(lane).to_i64();
            if lanes > 1 && !gather && axis + 1 == region.shape.len() {
                at += lane as i64;
            }
            if at < 0 || at >= *extent {
                let name = &region.name;
                return Err(Failure::invalid(format!(
                    "index {at} of {name}, axis {axis} of extent {extent}"
                )));
            }
            flat = flat * extent + at;
        }
        Ok(region.place.offset + flat as usize * region.dtype.size())
    }
}
