//! Loads and stores: contiguous vectors, gathers and scatters, with and without masks.

use super::{Emitter, Val, strided::Strided};
use crate::Error;
use crate::ir::{Type, Value};
use kernel::{BufferId, DType, Expr, Ty};
use llvm_sys::LLVMIntPredicate::LLVMIntNE;

/// Where an access goes.
#[derive(Clone, Copy)]
enum Place {
    /// One address; vectors continue from there.
    At(Value),
    /// The first address of lanes that lie a few elements apart.
    Strided(Value, Strided),
    /// An address a lane.
    Lanes(Value),
}

/// Which lanes take part.
enum Mask {
    All,
    /// One condition for the whole access.
    Whole(Value),
    Lanes(Value),
}

impl Emitter<'_> {
    pub(super) fn load(
        &mut self,
        buffer: BufferId,
        index: &[Expr],
        lanes: u16,
        mask: Option<&Expr>,
    ) -> Result<Val, Error> {
        let ty = Ty::vector(self.dtype(buffer), lanes);
        let mask = self.mask(mask, lanes)?;
        let v = match mask {
            Mask::Whole(condition) => {
                // The index may be out of bounds where the condition is false, so nothing of it runs then.
                let (before, body, after) = (self.ir.here(), self.ir.block(), self.ir.block());
                self.ir.branch(condition, body, after);
                self.ir.at(body);
                let loaded = self.load_lanes(buffer, index, ty, None)?;
                let end = self.ir.here();
                self.ir.jump(after);
                self.ir.at(after);
                let zero = self.ir.zero(self.register_type(ty));
                self.ir.phi(self.register_type(ty), &[(zero, before), (loaded, end)])
            }
            Mask::All => self.load_lanes(buffer, index, ty, None)?,
            Mask::Lanes(mask) => self.load_lanes(buffer, index, ty, Some(mask))?,
        };
        Ok(Val { v, ty })
    }

    pub(super) fn store(
        &mut self,
        buffer: BufferId,
        index: &[Expr],
        value: &Expr,
        mask: Option<&Expr>,
    ) -> Result<(), Error> {
        let value = self.expr(value)?;
        if value.ty.dtype != self.dtype(buffer) {
            return self.bug(&format!("{} stored into {}", value.ty, self.dtype(buffer)));
        }
        match self.mask(mask, value.ty.lanes)? {
            Mask::Whole(condition) => {
                let (body, after) = (self.ir.block(), self.ir.block());
                self.ir.branch(condition, body, after);
                self.ir.at(body);
                self.store_lanes(buffer, index, value, None)?;
                self.ir.jump(after);
                self.ir.at(after);
                Ok(())
            }
            Mask::All => self.store_lanes(buffer, index, value, None),
            Mask::Lanes(mask) => self.store_lanes(buffer, index, value, Some(mask)),
        }
    }

    /// For reading, into the nearest cache.
    pub(super) fn prefetch(&mut self, buffer: BufferId, index: &[Expr]) -> Result<(), Error> {
        let ir = self.ir;
        let mut place = ir.i64(0);
        for (axis, expr) in index.iter().enumerate() {
            let value = self.expr(expr)?;
            if value.ty != Ty::INDEX || index.len() != self.buffers[buffer.index()].strides.len() {
                return self.bug("a prefetch of no single element");
            }
            place = ir.add(place, ir.mul(value.v, self.buffers[buffer.index()].strides[axis]));
        }
        let element = self.memory_type(Ty::scalar(self.dtype(buffer)));
        let address = ir.element_anywhere(element, self.buffers[buffer.index()].base, place);
        let number = |value| ir.const_int(ir.int(32), value);
        ir.intrinsic("llvm.prefetch", &[ir.ptr()], &[address, number(0), number(3), number(1)]);
        Ok(())
    }

    fn load_lanes(
        &mut self,
        buffer: BufferId,
        index: &[Expr],
        ty: Ty,
        mask: Option<Value>,
    ) -> Result<Value, Error> {
        let place = self.place(buffer, index, ty.lanes)?;
        let ir = self.ir;
        let memory = self.memory_type(ty);
        let align = ty.dtype.size() as u32;
        let loaded = match (place, mask) {
            (Place::At(address), None) => ir.load(memory, address, align),
            (Place::At(address), Some(mask)) => ir.masked_load(memory, address, align, mask),
            (Place::Strided(first, strided), mask) => {
                let element = self.memory_type(Ty::scalar(ty.dtype));
                let (loaded, accesses) = strided.load(ir, element, first, align, mask);
                accesses.into_iter().for_each(|access| self.annotate(buffer, access));
                loaded
            }
            (Place::Lanes(addresses), mask) => {
                let mask = mask.unwrap_or_else(|| ir.splat(ir.bool(true), u32::from(ty.lanes)));
                let types = [memory, ir.type_of(addresses)];
                let call = ir.intrinsic("llvm.masked.gather", &types, &[addresses, mask, ir.zero(memory)]);
                ir.align_argument(call, 0, u64::from(align));
                call
            }
        };
        if !matches!(place, Place::Strided(..)) {
            self.annotate(buffer, loaded);
        }
        Ok(match ty.dtype {
            DType::Bool => ir.icmp(LLVMIntNE, loaded, ir.zero(memory)),
            DType::F16 | DType::BF16 => self.widen_half(ty.dtype, loaded, ty.lanes),
            _ => loaded,
        })
    }

    fn store_lanes(
        &mut self,
        buffer: BufferId,
        index: &[Expr],
        value: Val,
        mask: Option<Value>,
    ) -> Result<(), Error> {
        let ty = value.ty;
        let place = self.place(buffer, index, ty.lanes)?;
        let ir = self.ir;
        let memory = self.memory_type(ty);
        let align = ty.dtype.size() as u32;
        let stored = match ty.dtype {
            DType::Bool => ir.zext(value.v, memory),
            DType::F16 | DType::BF16 => self.half_bits(ty.dtype, value.v, ty.lanes),
            _ => value.v,
        };
        let access = match (place, mask) {
            (Place::At(address), None) => match self.streams.and_then(|it| it.alignment(buffer, index, ty)) {
                Some(align) => {
                    let access = ir.store(stored, address, align);
                    ir.annotate(access, "nontemporal", ir.metadata_number(1));
                    access
                }
                None => ir.store(stored, address, align),
            },
            (Place::At(address), Some(mask)) => ir.masked_store(stored, address, align, mask),
            (Place::Strided(first, strided), mask) => {
                let element = self.memory_type(Ty::scalar(ty.dtype));
                for access in strided.store(ir, stored, element, first, align, mask) {
                    self.annotate(buffer, access);
                }
                return Ok(());
            }
            (Place::Lanes(addresses), mask) => {
                let mask = mask.unwrap_or_else(|| ir.splat(ir.bool(true), u32::from(ty.lanes)));
                let types = [memory, ir.type_of(addresses)];
                let call = ir.intrinsic("llvm.masked.scatter", &types, &[stored, addresses, mask]);
                ir.align_argument(call, 1, u64::from(align));
                call
            }
        };
        self.annotate(buffer, access);
        Ok(())
    }

    fn mask(&mut self, mask: Option<&Expr>, lanes: u16) -> Result<Mask, Error> {
        let Some(mask) = mask else { return Ok(Mask::All) };
        let mask = self.expr(mask)?;
        match mask.ty {
            Ty { dtype: DType::Bool, lanes: 1 } => Ok(Mask::Whole(mask.v)),
            Ty { dtype: DType::Bool, lanes: n } if n == lanes => Ok(Mask::Lanes(mask.v)),
            ty => self.bug(&format!("a mask of type {ty} for {lanes} lanes")),
        }
    }

    fn place(&mut self, buffer: BufferId, index: &[Expr], lanes: u16) -> Result<Place, Error> {
        if index.len() != self.buffers[buffer.index()].strides.len() {
            return self.bug(&format!("{} indices into `{}`", index.len(), self.kernel.buffers[buffer].name));
        }
        let ir = self.ir;
        let (mut scalar, mut vector) = (None, None);
        let strided = self.strided(index, lanes);
        for (axis, expr) in index.iter().enumerate() {
            let stride = self.buffers[buffer.index()].strides[axis];
            // A ramp of step 1 on the last axis is a contiguous vector.
            let contiguous = match expr {
                Expr::Ramp { base, stride, lanes: n } if axis + 1 == index.len() && *n == lanes => {
                    (*stride == 1 || strided.is_some()).then_some(base)
                }
                _ => None,
            };
            let value = self.expr(contiguous.map_or(expr, |base| base))?;
            if value.ty.dtype != DType::I64 {
                return self.bug(&format!("an index of type {}", value.ty));
            }
            let (sum, wide) = if value.ty.lanes == 1 { (&mut scalar, 1) } else { (&mut vector, lanes) };
            if value.ty.lanes != wide {
                return self.bug(&format!("an index of type {} for {lanes} lanes", value.ty));
            }
            let part = match ir.int_value(stride) {
                Some(1) => value.v,
                _ => ir.mul_nsw(value.v, ir.splat(stride, u32::from(wide))),
            };
            *sum = Some(match *sum {
                None => part,
                Some(sum) => ir.add_nsw(sum, part),
            });
            // With further axes vectors, a contiguous ramp is a vector like the others.
            if contiguous.is_some() && vector.is_some() {
                let steps: Vec<Value> = (0..i64::from(lanes)).map(|lane| ir.i64(lane)).collect();
                vector = vector.map(|vector| ir.add_nsw(vector, ir.const_vector(&steps)));
            }
        }
        let element = self.memory_type(Ty::scalar(self.dtype(buffer)));
        let base = self.buffers[buffer.index()].base;
        let base = scalar.map_or(base, |index| ir.element(element, base, index));
        Ok(match (vector, strided) {
            (None, None) => Place::At(base),
            (None, Some(strided)) => {
                Place::Strided(ir.element(element, base, ir.i64(strided.back())), strided)
            }
            (Some(index), _) => Place::Lanes(ir.element(element, base, index)),
        })
    }

    /// How the lanes of an access lie, where only the last index differs between them.
    fn strided(&self, index: &[Expr], lanes: u16) -> Option<Strided> {
        let (Expr::Ramp { stride, lanes: n, .. }, others) = index.split_last()? else { return None };
        let alone = *n == lanes && others.iter().all(|index| self.kernel.ty(index).lanes == 1);
        alone.then(|| Strided::new(*stride, lanes)).flatten()
    }

    fn annotate(&self, buffer: BufferId, access: Value) {
        if let Some((own, others)) = self.buffers[buffer.index()].scopes {
            self.ir.annotate(access, "alias.scope", own);
            if let Some(others) = others {
                self.ir.annotate(access, "noalias", others);
            }
        }
    }

    /// How elements lie in memory: halves as their bits, bools as bytes.
    fn memory_type(&self, ty: Ty) -> Type {
        let ir = self.ir;
        let element = match ty.dtype {
            DType::F64 => ir.f64(),
            DType::F32 => ir.f32(),
            dtype => ir.int(8 * dtype.size() as u32),
        };
        ir.vector(element, u32::from(ty.lanes))
    }
}
