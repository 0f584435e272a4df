//! A function as it ships: its text through the whole compiler, loaded.

use anyhow::{Context, Result, anyhow};
use driver::{NoCache, NoFiles, Options, Session, Trace};
use exec::{Arena, Dims, Pool, Program};
use tensor::{Element, Tensor};

pub struct Code {
    program: Program,
    pool: Pool,
    arena: Arena,
    dims: Dims,
    inputs: Vec<Tensor>,
    result: Tensor,
}

impl Code {
    /// For arrays of `count` elements of `T`.
    pub fn new<T: Element>(text: &str, operands: usize, target: llvm::Target, count: usize) -> Result<Code> {
        let dtype = T::DTYPE.name();
        let inputs = ["x", "z"][..operands].iter().map(|name| format!("{name}: {dtype}[n]"));
        let inputs = inputs.collect::<Vec<_>>().join(", ");
        let source = format!("model M({inputs}) -> (y: {dtype}[n]) {{\n    y = {text}\n}}\n");
        // Functions of the library take `float`, which is to be the dtype that is measured.
        let double = T::DTYPE == tensor::DType::F64;
        let float = if double { kernel::DType::F64 } else { kernel::DType::F32 };
        let options = Options { target, float, ..Options::native() };
        let session = Session::new("accuracy", &source, &NoFiles, options);
        let (built, _) = session.build(None, false).map_err(|_| anyhow!("`{text}` does not compile"))?;
        let entries = Session::entries(&built, &["run"]);
        let compiled = session
            .compile(&built, &entries, &NoCache, &mut Trace::default())
            .map_err(|_| anyhow!("no code for `{text}`"))?;
        let program = compiled.load().map_err(|_| anyhow!("the code for `{text}` does not load"))?;
        let zeros = || Tensor::zeros(T::DTYPE, [count]).map_err(|fault| anyhow!("{}", fault.message));
        Ok(Code {
            program,
            pool: Pool::new(1).map_err(|fault| anyhow!("{}", fault.message))?,
            arena: Arena::new(),
            dims: Dims::new(),
            inputs: (0..operands).map(|_| zeros()).collect::<Result<_>>()?,
            result: zeros()?,
        })
    }

    pub fn input<T: Element>(&mut self, operand: usize) -> Result<&mut [T]> {
        self.inputs[operand].as_mut_slice().context("the dtype of the code")
    }

    pub fn run<T: Element>(&mut self) -> Result<&[T]> {
        let args: Vec<&Tensor> = self.inputs.iter().collect();
        let entry = self.program.entry("run").map_err(|fault| anyhow!("{}", fault.message))?;
        entry
            .call_into(&mut self.arena, &self.pool, &args, &mut [&mut self.result], &self.dims)
            .map_err(|fault| anyhow!("{}", fault.message))?;
        self.result.as_slice().context("the dtype of the code")
    }
}

/// The machine that this runs on, and its architecture's least, which has no fused multiply-add.
pub fn targets() -> Result<[llvm::Target; 2]> {
    let least = llvm::Target::parse("x86-64-v2").map_err(|fault| anyhow!("{fault}"))?;
    Ok([llvm::Target::native(), least])
}
