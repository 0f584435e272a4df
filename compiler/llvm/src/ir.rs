//! The one place that calls LLVM's C interface to build instructions. Scalars and vectors take the same methods.
//! A value or block is only ever used with the `Ir` that made it; both live as long as its context.

mod metadata;
mod module;

use llvm_sys::core::*;
use llvm_sys::prelude::*;
use llvm_sys::{LLVMAtomicOrdering, LLVMAtomicRMWBinOp, LLVMIntPredicate, LLVMLinkage, LLVMRealPredicate};
use std::cell::Cell;
use std::ffi::{CStr, CString};

/// One module under construction, in a context of its own.
pub(crate) struct Ir {
    context: LLVMContextRef,
    module: LLVMModuleRef,
    builder: LLVMBuilderRef,
    function: Cell<LLVMValueRef>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Value(LLVMValueRef);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Type(LLVMTypeRef);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Block(LLVMBasicBlockRef);

/// A node of metadata that may be attached to memory accesses.
#[derive(Clone, Copy)]
pub(crate) struct Metadata(LLVMMetadataRef);

const UNNAMED: &CStr = c"";

macro_rules! binary {
    ($($method:ident => $build:ident),* $(,)?) => {
        $(pub fn $method(&self, a: Value, b: Value) -> Value {
            // SAFETY: both operands belong to this context and have one type, as LLVM's verifier checks again.
            Value(unsafe { $build(self.builder, a.0, b.0, UNNAMED.as_ptr()) })
        })*
    };
}

macro_rules! convert {
    ($($method:ident => $build:ident),* $(,)?) => {
        $(pub fn $method(&self, value: Value, to: Type) -> Value {
            // SAFETY: value and type belong to this context.
            Value(unsafe { $build(self.builder, value.0, to.0, UNNAMED.as_ptr()) })
        })*
    };
}

impl Ir {
    // Types.

    pub fn int(&self, bits: u32) -> Type {
        // SAFETY: the context outlives self.
        Type(unsafe { LLVMIntTypeInContext(self.context, bits) })
    }

    pub fn f16(&self) -> Type {
        // SAFETY: as in `int`.
        Type(unsafe { LLVMHalfTypeInContext(self.context) })
    }

    pub fn f32(&self) -> Type {
        // SAFETY: as in `int`.
        Type(unsafe { LLVMFloatTypeInContext(self.context) })
    }

    pub fn f64(&self) -> Type {
        // SAFETY: as in `int`.
        Type(unsafe { LLVMDoubleTypeInContext(self.context) })
    }

    pub fn ptr(&self) -> Type {
        // SAFETY: as in `int`.
        Type(unsafe { LLVMPointerTypeInContext(self.context, 0) })
    }

    pub fn void(&self) -> Type {
        // SAFETY: as in `int`.
        Type(unsafe { LLVMVoidTypeInContext(self.context) })
    }

    /// The element itself for one lane.
    pub fn vector(&self, element: Type, lanes: u32) -> Type {
        // SAFETY: the element belongs to this context.
        if lanes == 1 { element } else { Type(unsafe { LLVMVectorType(element.0, lanes) }) }
    }

    pub fn array(&self, element: Type, length: u64) -> Type {
        // SAFETY: as in `vector`.
        Type(unsafe { LLVMArrayType2(element.0, length) })
    }

    pub fn function_type(&self, result: Type, parameters: &[Type]) -> Type {
        let mut raw: Vec<LLVMTypeRef> = parameters.iter().map(|ty| ty.0).collect();
        // SAFETY: LLVM copies the list.
        Type(unsafe { LLVMFunctionType(result.0, raw.as_mut_ptr(), raw.len() as u32, 0) })
    }

    pub fn type_of(&self, value: Value) -> Type {
        // SAFETY: the value lives.
        Type(unsafe { LLVMTypeOf(value.0) })
    }

    // Constants.

    pub fn const_int(&self, ty: Type, value: i64) -> Value {
        // SAFETY: an integer type; wider values are cut, which callers rely on for bit patterns.
        Value(unsafe { LLVMConstInt(ty.0, value as u64, 1) })
    }

    pub fn i64(&self, value: i64) -> Value {
        self.const_int(self.int(64), value)
    }

    pub fn bool(&self, value: bool) -> Value {
        self.const_int(self.int(1), i64::from(value))
    }

    /// A float type's constant; an f32 is rounded from the f64.
    pub fn const_float(&self, ty: Type, value: f64) -> Value {
        if ty == self.f32() {
            let bits = [u64::from((value as f32).to_bits())];
            // SAFETY: one word holds the bits of a float.
            return Value(unsafe { LLVMConstFPFromBits(ty.0, bits.as_ptr()) });
        }
        let bits = [value.to_bits()];
        // SAFETY: one word holds the bits of a double.
        Value(unsafe { LLVMConstFPFromBits(ty.0, bits.as_ptr()) })
    }

    /// The value of an integer constant, or of a vector that is one in all lanes.
    pub fn int_value(&self, value: Value) -> Option<i64> {
        // SAFETY: the value lives; each query is asked only of the kind it is for.
        unsafe {
            if LLVMIsConstant(value.0) == 0 {
                return None;
            }
            let ty = LLVMTypeOf(value.0);
            if LLVMGetTypeKind(ty) != llvm_sys::LLVMTypeKind::LLVMVectorTypeKind {
                return (!LLVMIsAConstantInt(value.0).is_null()).then(|| LLVMConstIntGetSExtValue(value.0));
            }
            let mut common = None;
            for lane in 0..LLVMGetVectorSize(ty) {
                let element = LLVMGetAggregateElement(value.0, lane);
                if element.is_null() || LLVMIsAConstantInt(element).is_null() {
                    return None;
                }
                let element = LLVMConstIntGetSExtValue(element);
                if *common.get_or_insert(element) != element {
                    return None;
                }
            }
            common
        }
    }

    /// An integer in every lane of `ty`.
    pub fn like(&self, ty: Type, value: i64) -> Value {
        // SAFETY: the type lives; its element and length are asked only of a vector.
        let (element, lanes) = unsafe {
            match LLVMGetTypeKind(ty.0) {
                llvm_sys::LLVMTypeKind::LLVMVectorTypeKind => {
                    (Type(LLVMGetElementType(ty.0)), LLVMGetVectorSize(ty.0))
                }
                _ => (ty, 1),
            }
        };
        self.splat_const(self.const_int(element, value), lanes)
    }

    /// All bits zero.
    pub fn zero(&self, ty: Type) -> Value {
        // SAFETY: any first-class type.
        Value(unsafe { LLVMConstNull(ty.0) })
    }

    pub fn const_vector(&self, elements: &[Value]) -> Value {
        let mut raw: Vec<LLVMValueRef> = elements.iter().map(|value| value.0).collect();
        // SAFETY: constants of one type; LLVM copies the list.
        Value(unsafe { LLVMConstVector(raw.as_mut_ptr(), raw.len() as u32) })
    }

    pub fn const_array(&self, element: Type, elements: &[Value]) -> Value {
        let mut raw: Vec<LLVMValueRef> = elements.iter().map(|value| value.0).collect();
        // SAFETY: constants of one type; LLVM copies the list.
        Value(unsafe { LLVMConstArray2(element.0, raw.as_mut_ptr(), raw.len() as u64) })
    }

    pub fn const_struct(&self, fields: &[Value]) -> Value {
        let mut raw: Vec<LLVMValueRef> = fields.iter().map(|value| value.0).collect();
        // SAFETY: constants; LLVM copies the list.
        Value(unsafe { LLVMConstStructInContext(self.context, raw.as_mut_ptr(), raw.len() as u32, 0) })
    }

    /// Bytes as they are, without a terminator.
    pub fn const_bytes(&self, bytes: &[u8]) -> Value {
        // SAFETY: LLVM copies the bytes.
        Value(unsafe { LLVMConstStringInContext2(self.context, bytes.as_ptr().cast(), bytes.len(), 1) })
    }

    /// Constants only.
    pub fn splat_const(&self, value: Value, lanes: u32) -> Value {
        if lanes == 1 { value } else { self.const_vector(&vec![value; lanes as usize]) }
    }

    // Globals and functions.

    /// A read-only datum, private to the module unless `exported`.
    pub fn constant(&self, name: &str, value: Value, align: u32, exported: bool) -> Value {
        let name = c_string(name);
        // SAFETY: the module lives; the initializer is a constant of the global's type.
        unsafe {
            let global = LLVMAddGlobal(self.module, LLVMTypeOf(value.0), name.as_ptr());
            LLVMSetInitializer(global, value.0);
            LLVMSetGlobalConstant(global, 1);
            LLVMSetAlignment(global, align);
            if !exported {
                LLVMSetLinkage(global, LLVMLinkage::LLVMPrivateLinkage);
            }
            Value(global)
        }
    }

    /// A datum that changes, exported.
    pub fn variable(&self, name: &str, value: Value, align: u32) -> Value {
        let variable = self.constant(name, value, align, true);
        // SAFETY: a global of this module.
        unsafe { LLVMSetGlobalConstant(variable.0, 0) };
        variable
    }

    /// The function of this name, declared where it is not known yet.
    pub fn declare(&self, name: &str, ty: Type) -> Value {
        let name = c_string(name);
        // SAFETY: the module lives.
        unsafe {
            let known = LLVMGetNamedFunction(self.module, name.as_ptr());
            Value(if known.is_null() { LLVMAddFunction(self.module, name.as_ptr(), ty.0) } else { known })
        }
    }

    pub fn set_hidden(&self, global: Value) {
        // SAFETY: a global of this module.
        unsafe { LLVMSetVisibility(global.0, llvm_sys::LLVMVisibility::LLVMHiddenVisibility) };
    }

    /// A string attribute of a function; an empty value makes it a flag.
    pub fn attribute(&self, function: Value, key: &str, value: &str) {
        // SAFETY: LLVM copies both texts.
        unsafe {
            let attribute = LLVMCreateStringAttribute(
                self.context,
                key.as_ptr().cast(),
                key.len() as u32,
                value.as_ptr().cast(),
                value.len() as u32,
            );
            LLVMAddAttributeAtIndex(function.0, llvm_sys::LLVMAttributeFunctionIndex, attribute);
        }
    }

    /// An attribute that LLVM knows by name and that has no value, such as `nounwind`.
    pub fn flag(&self, function: Value, name: &str) {
        // SAFETY: LLVM reads `name.len()` bytes.
        unsafe {
            let kind = LLVMGetEnumAttributeKindForName(name.as_ptr().cast(), name.len());
            let attribute = LLVMCreateEnumAttribute(self.context, kind, 0);
            LLVMAddAttributeAtIndex(function.0, llvm_sys::LLVMAttributeFunctionIndex, attribute);
        }
    }

    /// Starts the body of a function: an entry block for what is computed once, and a block that follows it.
    /// [`Ir::close_entry`] joins them.
    pub fn open(&self, function: Value) -> Block {
        self.function.set(function.0);
        let entry = self.block();
        let body = self.block();
        self.at(entry);
        body
    }

    pub fn parameter(&self, index: u32) -> Value {
        // SAFETY: the current function has that many parameters.
        Value(unsafe { LLVMGetParam(self.function.get(), index) })
    }

    // Control flow.

    pub fn block(&self) -> Block {
        // SAFETY: the current function lives.
        Block(unsafe { LLVMAppendBasicBlockInContext(self.context, self.function.get(), UNNAMED.as_ptr()) })
    }

    pub fn at(&self, block: Block) {
        // SAFETY: a block of the current function.
        unsafe { LLVMPositionBuilderAtEnd(self.builder, block.0) };
    }

    pub fn here(&self) -> Block {
        // SAFETY: the builder stands in a block.
        Block(unsafe { LLVMGetInsertBlock(self.builder) })
    }

    /// Emits into the entry block, which stays open until [`Ir::close_entry`], and comes back.
    pub fn in_entry<T>(&self, emit: impl FnOnce() -> T) -> T {
        let here = self.here();
        self.at(self.entry());
        let result = emit();
        self.at(here);
        result
    }

    pub fn close_entry(&self, body: Block) {
        self.in_entry(|| self.jump(body));
    }

    fn entry(&self) -> Block {
        // SAFETY: the current function has its entry since `open`.
        Block(unsafe { LLVMGetEntryBasicBlock(self.function.get()) })
    }

    pub fn jump(&self, to: Block) {
        // SAFETY: a block of the current function.
        unsafe { LLVMBuildBr(self.builder, to.0) };
    }

    pub fn branch(&self, condition: Value, yes: Block, no: Block) {
        // SAFETY: an i1, and blocks of the current function.
        unsafe { LLVMBuildCondBr(self.builder, condition.0, yes.0, no.0) };
    }

    pub fn ret(&self, value: Option<Value>) {
        // SAFETY: of the function's result type.
        unsafe {
            match value {
                Some(value) => LLVMBuildRet(self.builder, value.0),
                None => LLVMBuildRetVoid(self.builder),
            }
        };
    }

    pub fn phi(&self, ty: Type, incoming: &[(Value, Block)]) -> Value {
        // SAFETY: a first-class type.
        let phi = Value(unsafe { LLVMBuildPhi(self.builder, ty.0, UNNAMED.as_ptr()) });
        self.add_incoming(phi, incoming);
        phi
    }

    pub fn add_incoming(&self, phi: Value, incoming: &[(Value, Block)]) {
        for (value, block) in incoming {
            let (mut value, mut block) = (value.0, block.0);
            // SAFETY: lists of length one, copied by LLVM.
            unsafe { LLVMAddIncoming(phi.0, &mut value, &mut block, 1) };
        }
    }

    // Arithmetic.

    binary! {
        add => LLVMBuildAdd, sub => LLVMBuildSub, mul => LLVMBuildMul,
        add_nsw => LLVMBuildNSWAdd, mul_nsw => LLVMBuildNSWMul,
        sdiv => LLVMBuildSDiv, srem => LLVMBuildSRem, udiv => LLVMBuildUDiv, urem => LLVMBuildURem,
        fadd => LLVMBuildFAdd, fsub => LLVMBuildFSub, fmul => LLVMBuildFMul, fdiv => LLVMBuildFDiv,
        and => LLVMBuildAnd, or => LLVMBuildOr, xor => LLVMBuildXor,
        shl => LLVMBuildShl, lshr => LLVMBuildLShr, ashr => LLVMBuildAShr,
    }

    convert! {
        trunc => LLVMBuildTrunc, zext => LLVMBuildZExt, sext => LLVMBuildSExt,
        fptrunc => LLVMBuildFPTrunc, fpext => LLVMBuildFPExt,
        sitofp => LLVMBuildSIToFP, uitofp => LLVMBuildUIToFP, fptosi => LLVMBuildFPToSI,
        bitcast => LLVMBuildBitCast, ptr_to_int => LLVMBuildPtrToInt,
    }

    pub fn fneg(&self, a: Value) -> Value {
        // SAFETY: a float value.
        Value(unsafe { LLVMBuildFNeg(self.builder, a.0, UNNAMED.as_ptr()) })
    }

    pub fn not(&self, a: Value) -> Value {
        // SAFETY: an integer value.
        Value(unsafe { LLVMBuildNot(self.builder, a.0, UNNAMED.as_ptr()) })
    }

    pub fn icmp(&self, predicate: LLVMIntPredicate, a: Value, b: Value) -> Value {
        // SAFETY: integers of one type.
        Value(unsafe { LLVMBuildICmp(self.builder, predicate, a.0, b.0, UNNAMED.as_ptr()) })
    }

    pub fn fcmp(&self, predicate: LLVMRealPredicate, a: Value, b: Value) -> Value {
        // SAFETY: floats of one type.
        Value(unsafe { LLVMBuildFCmp(self.builder, predicate, a.0, b.0, UNNAMED.as_ptr()) })
    }

    pub fn select(&self, condition: Value, yes: Value, no: Value) -> Value {
        // SAFETY: i1s and two values of one type.
        Value(unsafe { LLVMBuildSelect(self.builder, condition.0, yes.0, no.0, UNNAMED.as_ptr()) })
    }

    pub fn call(&self, ty: Type, function: Value, arguments: &[Value]) -> Value {
        let mut raw: Vec<LLVMValueRef> = arguments.iter().map(|value| value.0).collect();
        // SAFETY: arguments fit the type; LLVM copies the list.
        Value(unsafe {
            LLVMBuildCall2(
                self.builder,
                ty.0,
                function.0,
                raw.as_mut_ptr(),
                raw.len() as u32,
                UNNAMED.as_ptr(),
            )
        })
    }

    /// A call of an intrinsic; `overloads` are the types that its name is mangled with.
    pub fn intrinsic(&self, name: &str, overloads: &[Type], arguments: &[Value]) -> Value {
        let mut raw: Vec<LLVMTypeRef> = overloads.iter().map(|ty| ty.0).collect();
        // SAFETY: LLVM reads `name.len()` bytes and the list of types; the id it gives is its own.
        let (function, ty) = unsafe {
            let id = LLVMLookupIntrinsicID(name.as_ptr().cast(), name.len());
            assert_ne!(id, 0, "LLVM has no intrinsic {name}");
            let function = LLVMGetIntrinsicDeclaration(self.module, id, raw.as_mut_ptr(), raw.len());
            (Value(function), Type(LLVMGlobalGetValueType(function)))
        };
        self.call(ty, function, arguments)
    }

    /// A field of a returned structure.
    pub fn field(&self, value: Value, index: u32) -> Value {
        // SAFETY: a structure with that many fields.
        Value(unsafe { LLVMBuildExtractValue(self.builder, value.0, index, UNNAMED.as_ptr()) })
    }

    /// Sets the alignment of a call's pointer argument.
    pub fn align_argument(&self, call: Value, argument: u32, align: u64) {
        // SAFETY: a call with that many arguments.
        unsafe {
            let kind = LLVMGetEnumAttributeKindForName(c"align".as_ptr(), 5);
            LLVMAddCallSiteAttribute(
                call.0,
                argument + 1,
                LLVMCreateEnumAttribute(self.context, kind, align),
            );
        }
    }

    // Vectors.

    pub fn extract(&self, vector: Value, lane: Value) -> Value {
        // SAFETY: a vector and an integer.
        Value(unsafe { LLVMBuildExtractElement(self.builder, vector.0, lane.0, UNNAMED.as_ptr()) })
    }

    pub fn splat(&self, value: Value, lanes: u32) -> Value {
        if lanes == 1 {
            return value;
        }
        let ty = self.vector(self.type_of(value), lanes);
        // SAFETY: the shuffle's mask is a constant of as many lanes.
        unsafe {
            if LLVMIsConstant(value.0) != 0 {
                return self.splat_const(value, lanes);
            }
            let builder = self.builder;
            let poison = LLVMGetPoison(ty.0);
            let first = LLVMBuildInsertElement(builder, poison, value.0, self.i64(0).0, UNNAMED.as_ptr());
            let mask = LLVMConstNull(LLVMVectorType(self.int(32).0, lanes));
            Value(LLVMBuildShuffleVector(builder, first, poison, mask, UNNAMED.as_ptr()))
        }
    }

    /// The lanes `from .. from + lanes`; an element for one lane.
    pub fn slice(&self, vector: Value, from: u32, lanes: u32) -> Value {
        if lanes == 1 {
            return self.extract(vector, self.i64(i64::from(from)));
        }
        // SAFETY: the type of a value that is there.
        let poison = unsafe { Value(LLVMGetPoison(LLVMTypeOf(vector.0))) };
        let lanes: Vec<i64> = (i64::from(from)..i64::from(from + lanes)).collect();
        self.shuffle(vector, poison, &lanes)
    }

    /// Lanes of both vectors as `from` says: those of the second are counted on.
    pub fn shuffle(&self, a: Value, b: Value, from: &[i64]) -> Value {
        let mask: Vec<Value> = from.iter().map(|lane| self.const_int(self.int(32), *lane)).collect();
        let mask = self.const_vector(&mask);
        // SAFETY: two vectors of one type and a constant mask.
        unsafe { Value(LLVMBuildShuffleVector(self.builder, a.0, b.0, mask.0, UNNAMED.as_ptr())) }
    }

    // Memory.

    /// The lanes of a vector that the mask says, zeros elsewhere.
    pub fn masked_load(&self, ty: Type, address: Value, align: u32, mask: Value) -> Value {
        let call = self.intrinsic("llvm.masked.load", &[ty, self.ptr()], &[address, mask, self.zero(ty)]);
        self.align_argument(call, 0, u64::from(align));
        call
    }

    /// Writes the lanes that the mask says.
    pub fn masked_store(&self, value: Value, address: Value, align: u32, mask: Value) -> Value {
        let types = [self.type_of(value), self.ptr()];
        let call = self.intrinsic("llvm.masked.store", &types, &[value, address, mask]);
        self.align_argument(call, 1, u64::from(align));
        call
    }

    /// Room on the stack, taken once a call whatever loop asks for it.
    pub fn alloca(&self, ty: Type, align: u32) -> Value {
        // SAFETY: the first block of the current function is its entry; what is inserted there dominates all else.
        unsafe {
            let builder = self.builder;
            let here = LLVMGetInsertBlock(builder);
            let entry = LLVMGetEntryBasicBlock(self.function.get());
            match LLVMGetFirstInstruction(entry) {
                first if first.is_null() => LLVMPositionBuilderAtEnd(builder, entry),
                first => LLVMPositionBuilderBefore(builder, first),
            }
            let slot = LLVMBuildAlloca(builder, ty.0, UNNAMED.as_ptr());
            LLVMSetAlignment(slot, align);
            LLVMPositionBuilderAtEnd(builder, here);
            Value(slot)
        }
    }

    pub fn load(&self, ty: Type, from: Value, align: u32) -> Value {
        // SAFETY: a pointer and a sized type.
        unsafe {
            let load = LLVMBuildLoad2(self.builder, ty.0, from.0, UNNAMED.as_ptr());
            LLVMSetAlignment(load, align);
            Value(load)
        }
    }

    pub fn store(&self, value: Value, to: Value, align: u32) -> Value {
        // SAFETY: a pointer and a sized value.
        unsafe {
            let store = LLVMBuildStore(self.builder, value.0, to.0);
            LLVMSetAlignment(store, align);
            Value(store)
        }
    }

    /// Adds to memory, written so that no thread's update is lost.
    pub fn atomic_add(&self, to: Value, value: Value) {
        self.atomic(LLVMAtomicRMWBinOp::LLVMAtomicRMWBinOpAdd, to, value);
    }

    /// The unsigned maximum of memory and value, written so that no thread's update is lost.
    pub fn atomic_max(&self, to: Value, value: Value) {
        self.atomic(LLVMAtomicRMWBinOp::LLVMAtomicRMWBinOpUMax, to, value);
    }

    fn atomic(&self, operation: LLVMAtomicRMWBinOp, to: Value, value: Value) {
        // SAFETY: a pointer to an integer of the value's type.
        unsafe {
            LLVMBuildAtomicRMW(
                self.builder,
                operation,
                to.0,
                value.0,
                LLVMAtomicOrdering::LLVMAtomicOrderingMonotonic,
                0,
            );
        }
    }

    /// Address of an element: `base + index * size_of(element)`. A vector index gives a vector of addresses.
    pub fn element(&self, element: Type, base: Value, index: Value) -> Value {
        let mut indices = [index.0];
        // SAFETY: one index into a sequence of a sized type; in bounds, as the kernel IR demands.
        Value(unsafe {
            LLVMBuildInBoundsGEP2(self.builder, element.0, base.0, indices.as_mut_ptr(), 1, UNNAMED.as_ptr())
        })
    }

    /// The address of an element that need not exist.
    pub fn element_anywhere(&self, element: Type, base: Value, index: Value) -> Value {
        let mut indices = [index.0];
        // SAFETY: a pointer and one index.
        Value(unsafe {
            LLVMBuildGEP2(self.builder, element.0, base.0, indices.as_mut_ptr(), 1, UNNAMED.as_ptr())
        })
    }
}

/// Names come from identifiers; a zero byte, which no identifier has, would be cut away.
fn c_string(text: &str) -> CString {
    CString::new(text.replace('\0', "")).unwrap_or_default()
}
