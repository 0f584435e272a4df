//! One compiled entry point and the checks around a call of it.
#![allow(unsafe_code, reason = "calls compiled code; every argument is checked against its manifest before")]

use crate::{Arena, Dims, FailedCall, Function, KeepAlive, Pool, Shapes, bind::bind, failed_call::Failures};
use abi::{ArgInfo, Role};
use base::Diagnostic;
use std::ffi::c_void;
use tensor::{DType, Tensor, shape_text};

pub struct Entry {
    info: abi::Entry,
    function: Function,
    shapes: Shapes,
    arg_dtypes: Vec<DType>,
    result_dtypes: Vec<DType>,
    /// Where a call that a check ended is kept, for whoever looks into it.
    failures: Option<Failures>,
    /// Code may not be unloaded before its last caller is gone.
    _keep_alive: KeepAlive,
}

/// What a call with certain dimensions needs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Sizes {
    dims: Vec<i64>,
    workspace: usize,
    args: Vec<Vec<usize>>,
    results: Vec<Vec<usize>>,
}

impl Entry {
    pub(crate) fn new(
        info: abi::Entry,
        function: Function,
        shapes: Shapes,
        keep_alive: KeepAlive,
    ) -> Result<Entry, Diagnostic> {
        let dtypes =
            |values: &[ArgInfo]| values.iter().map(|value| dtype(&info, value)).collect::<Result<_, _>>();
        let (arg_dtypes, result_dtypes) = (dtypes(&info.args)?, dtypes(&info.results)?);
        Ok(Entry {
            info,
            function,
            shapes,
            arg_dtypes,
            result_dtypes,
            failures: None,
            _keep_alive: keep_alive,
        })
    }

    pub fn info(&self) -> &abi::Entry {
        &self.info
    }

    pub fn name(&self) -> &str {
        &self.info.name
    }

    pub fn arg_dtype(&self, index: usize) -> DType {
        self.arg_dtypes[index]
    }

    pub fn result_dtype(&self, index: usize) -> DType {
        self.result_dtypes[index]
    }

    /// The index of the argument of this role and name.
    pub fn arg(&self, role: Role, name: &str) -> Option<usize> {
        self.info.args.iter().position(|arg| arg.role == role && arg.name == name)
    }

    pub fn result(&self, role: Role, name: &str) -> Option<usize> {
        self.info.results.iter().position(|result| result.role == role && result.name == name)
    }

    /// Bytes of scratch memory and the shapes of all results for these arguments.
    pub fn plan(&self, args: &[&Tensor], dims: &Dims) -> Result<(usize, Vec<Vec<usize>>), Diagnostic> {
        let sizes = self.sizes(args, dims)?;
        Ok((sizes.workspace, sizes.results))
    }

    /// Runs it; the results are new tensors.
    pub fn call(
        &self,
        arena: &mut Arena,
        pool: &Pool,
        args: &[&Tensor],
        dims: &Dims,
    ) -> Result<Vec<Tensor>, Diagnostic> {
        let sizes = self.sizes(args, dims)?;
        let shapes = self.result_dtypes.iter().zip(&sizes.results);
        let mut results: Vec<Tensor> =
            shapes.map(|(dtype, shape)| Tensor::zeros(*dtype, shape.clone())).collect::<Result<_, _>>()?;
        let mut targets: Vec<&mut Tensor> = results.iter_mut().collect();
        self.run(arena, pool, args, &mut targets, &sizes)?;
        Ok(results)
    }

    /// Runs it into tensors that the caller keeps; they must have the right dtypes and shapes. Where it fails, their
    /// content is undefined.
    pub fn call_into(
        &self,
        arena: &mut Arena,
        pool: &Pool,
        args: &[&Tensor],
        results: &mut [&mut Tensor],
        dims: &Dims,
    ) -> Result<(), Diagnostic> {
        let sizes = self.sizes(args, dims)?;
        if results.len() != self.info.results.len() {
            return Err(self.wrong_count("results", self.info.results.len(), results.len()));
        }
        for (index, result) in results.iter().enumerate() {
            let info = &self.info.results[index];
            check_dtype(info, self.result_dtypes[index], result)?;
            check_shape(info, &sizes.results[index], result)?;
        }
        self.run(arena, pool, args, results, &sizes)
    }

    fn sizes(&self, args: &[&Tensor], explicit: &Dims) -> Result<Sizes, Diagnostic> {
        if args.len() != self.info.args.len() {
            return Err(self.wrong_count("arguments", self.info.args.len(), args.len()));
        }
        for ((info, dtype), arg) in self.info.args.iter().zip(&self.arg_dtypes).zip(args) {
            check_dtype(info, *dtype, arg)?;
            if arg.rank() != info.rank {
                return Err(wrong_shape(info, None, arg));
            }
        }
        let dims = bind(&self.info, args, explicit)?;
        let sizes = self.evaluate_shapes(dims)?;
        for ((info, shape), arg) in self.info.args.iter().zip(&sizes.args).zip(args) {
            check_shape(info, shape, arg)?;
        }
        Ok(sizes)
    }

    fn evaluate_shapes(&self, dims: Vec<i64>) -> Result<Sizes, Diagnostic> {
        let ranks = self.info.args.iter().chain(&self.info.results).map(|value| value.rank);
        let mut numbers = vec![0i64; 1 + ranks.sum::<usize>()];
        // SAFETY: the function reads one value a symbol, which `bind` made, and writes one number for the workspace and
        // one an axis of every value, which is the length of `numbers`.
        unsafe { (self.shapes)(dims.as_ptr(), numbers.as_mut_ptr()) };
        let mut rest = numbers.into_iter();
        let workspace = self.size("the workspace", rest.next().unwrap_or(0), &dims)?;
        let mut shapes_of = |values: &[ArgInfo]| -> Result<Vec<Vec<usize>>, Diagnostic> {
            values
                .iter()
                .map(|value| {
                    let name = format!("an axis of `{}`", value.name);
                    rest.by_ref().take(value.rank).map(|number| self.size(&name, number, &dims)).collect()
                })
                .collect()
        };
        let (args, results) = (shapes_of(&self.info.args)?, shapes_of(&self.info.results)?);
        Ok(Sizes { dims, workspace, args, results })
    }

    fn size(&self, what: &str, number: i64, dims: &[i64]) -> Result<usize, Diagnostic> {
        usize::try_from(number).map_err(|_| {
            let named =
                self.info.symbols.iter().zip(dims).map(|(symbol, value)| format!("{symbol} = {value}"));
            Diagnostic::error(
                "E0808",
                format!("the size of {what} of `{}` comes out as {number}", self.info.name),
            )
            .note(format!("with {}", named.collect::<Vec<_>>().join(", ")))
        })
    }

    fn run(
        &self,
        arena: &mut Arena,
        pool: &Pool,
        args: &[&Tensor],
        results: &mut [&mut Tensor],
        sizes: &Sizes,
    ) -> Result<(), Diagnostic> {
        let workspace = arena.reserve(sizes.workspace)?;
        // Compiled code never writes its arguments, so a pointer from a shared borrow is enough for them.
        let given = args.iter().map(|arg| arg.bytes().as_ptr().cast_mut().cast::<c_void>());
        let taken = results.iter_mut().map(|result| result.bytes_mut().as_mut_ptr().cast::<c_void>());
        let buffers: Vec<*mut c_void> = given.chain(taken).collect();
        let (parallel_for, handle) = pool.handle();
        // SAFETY: `buffers` holds one address an argument and a result, each of the size that `sizes` states (checked by
        // the callers) and distinct, since results are borrowed exclusively; `dims` holds one value a symbol;
        // `workspace` has the bytes asked for; the pool outlives the call; the code is kept alive by `_keep_alive`.
        let status = unsafe {
            (self.function)(buffers.as_ptr(), sizes.dims.as_ptr(), workspace, parallel_for, handle)
        };
        if status == 0 {
            return Ok(());
        }
        self.keep(status, args, &sizes.dims);
        Err(self.failure(status))
    }

    pub(crate) fn keep_failures(&mut self, failures: &Failures) {
        self.failures = Some(failures.clone());
    }

    fn keep(&self, status: i32, args: &[&Tensor], dims: &[i64]) {
        let check = usize::try_from(status).ok().and_then(|number| number.checked_sub(1));
        let (Some(failures), Some(check)) = (&self.failures, check) else { return };
        failures.set(FailedCall {
            entry: self.info.name.clone(),
            check,
            names: self.info.args.iter().map(|arg| arg.name.clone()).collect(),
            args: args.iter().map(|arg| (*arg).clone()).collect(),
            dims: self.info.symbols.iter().cloned().zip(dims.iter().copied()).collect(),
        });
    }

    fn failure(&self, status: i32) -> Diagnostic {
        let check =
            usize::try_from(status).ok().and_then(|number| self.info.checks.get(number.checked_sub(1)?));
        match check {
            Some(check) if check.place.is_empty() => Diagnostic::error("E0806", check.message.clone()),
            Some(check) => {
                Diagnostic::error("E0806", check.message.clone()).note(format!("required at {}", check.place))
            }
            None => Diagnostic::error(
                "E0806",
                format!(
                    "`{}` ended with status {status}, which its manifest does not explain",
                    self.info.name
                ),
            ),
        }
    }

    fn wrong_count(&self, what: &str, wanted: usize, given: usize) -> Diagnostic {
        Diagnostic::error(
            "E0807",
            format!("`{}` takes {wanted} {what}, but {given} were given", self.info.name),
        )
    }
}

fn dtype(entry: &abi::Entry, value: &ArgInfo) -> Result<DType, Diagnostic> {
    DType::parse(&value.dtype).ok_or_else(|| {
        Diagnostic::error(
            "E0805",
            format!("`{}` of entry `{}` has the unknown dtype `{}`", value.name, entry.name, value.dtype),
        )
    })
}

fn check_dtype(info: &ArgInfo, wanted: DType, given: &Tensor) -> Result<(), Diagnostic> {
    if given.dtype() == wanted {
        return Ok(());
    }
    Err(Diagnostic::error(
        "E0804",
        format!("`{}` is {wanted}, but the array given is {}", info.name, given.dtype()),
    ))
}

fn check_shape(info: &ArgInfo, wanted: &[usize], given: &Tensor) -> Result<(), Diagnostic> {
    if given.shape() == wanted { Ok(()) } else { Err(wrong_shape(info, Some(wanted), given)) }
}

fn wrong_shape(info: &ArgInfo, wanted: Option<&[usize]>, given: &Tensor) -> Diagnostic {
    let formula = format!("[{}]", info.shape.join(", "));
    let shown = wanted.map_or(formula.clone(), shape_text);
    let fault = Diagnostic::error(
        "E0803",
        format!(
            "`{}` has the shape {shown}, but the array given has {}",
            info.name,
            shape_text(given.shape())
        ),
    );
    if shown == formula { fault } else { fault.note(format!("{shown} stands for {formula}")) }
}
