//! The C interface: a model with weights and a training step, linked to a host in C in every form of artifact.

use super::machine::*;
use abi::{ArgInfo, Entry, MANIFEST_VERSION, Manifest, Role};
use base::IdVec;
use kernel::{
    Arg, ArgRole, Binary, BufferRef, Call, Check, DType, Expr, Kernel, LoopKind, Module, Plan, Space, Step,
    Stmt, Ty,
};
use llvm::{OptLevel, artifact};
use shape::{Dim, Symbol};
use std::path::Path;
use std::process::Command;

const WIDTH: i64 = 4;

fn load(buffer: kernel::BufferId, index: Vec<Expr>, lanes: u16) -> Expr {
    Expr::Load { buffer, index, lanes, mask: None }
}

/// `out[row] = f(a[row], b)` by rows of four, where `b` is one row for all or a row each.
fn rows(name: &str, op: Binary, shared: bool) -> Kernel {
    let batch = Dim::symbol("batch");
    let mut kernel = Kernel::new(name);
    let shape = vec![batch.clone(), Dim::from(WIDTH)];
    let a = kernel.buffer("a", DType::F32, shape.clone(), Space::Input);
    let b_shape = if shared { vec![Dim::from(WIDTH)] } else { shape.clone() };
    let b = kernel.buffer("b", DType::F32, b_shape, Space::Input);
    let out = kernel.buffer("out", DType::F32, shape, Space::Output);
    kernel.grid = batch;
    let block = Expr::var(kernel.block);
    let at = |row: &Expr| vec![row.clone(), Expr::int(0)];
    let left = load(a, at(&block), 4);
    let right = load(b, if shared { vec![Expr::int(0)] } else { at(&block) }, 4);
    let value = Expr::binary(op, left, right);
    kernel.body = vec![Stmt::Store { buffer: out, index: at(&block), value, mask: None }];
    kernel
}

/// `w[i] = seed + i`.
fn initial() -> Kernel {
    let mut kernel = Kernel::new("initial");
    let seed = kernel.buffer("seed", DType::I64, vec![], Space::Input);
    let w = kernel.buffer("w", DType::F32, vec![Dim::from(WIDTH)], Space::Output);
    let i = kernel.var("i", Ty::INDEX);
    let value = Expr::cast(DType::F32, load(seed, vec![], 1).add(Expr::var(i)));
    let body = vec![Stmt::Store { buffer: w, index: vec![Expr::var(i)], value, mask: None }];
    kernel.body = vec![Stmt::For {
        var: i,
        from: Expr::int(0),
        to: Expr::int(WIDTH),
        step: 1,
        kind: LoopKind::Serial,
        body,
    }];
    kernel
}

/// `loss = w[0]`, `w' = w + step + total_steps`.
fn update() -> Kernel {
    let mut kernel = Kernel::new("update");
    let w = kernel.buffer("w", DType::F32, vec![Dim::from(WIDTH)], Space::Input);
    let step = kernel.buffer("step", DType::I64, vec![], Space::Input);
    let total = kernel.buffer("total_steps", DType::I64, vec![], Space::Input);
    let loss = kernel.buffer("loss", DType::F32, vec![], Space::Output);
    let new = kernel.buffer("new", DType::F32, vec![Dim::from(WIDTH)], Space::Output);
    let more = Expr::cast(DType::F32, load(step, vec![], 1).add(load(total, vec![], 1)));
    let sum = load(w, vec![Expr::int(0)], 4).add(Expr::splat(more, 4));
    kernel.body = vec![
        Stmt::Store { buffer: loss, index: vec![], value: load(w, vec![Expr::int(0)], 1), mask: None },
        Stmt::Store { buffer: new, index: vec![Expr::int(0)], value: sum, mask: None },
    ];
    kernel
}

fn arg(name: &str, role: ArgRole, dtype: DType, shape: Vec<Dim>) -> Arg {
    Arg { name: name.into(), role, dtype, shape }
}

fn tiny() -> Module {
    let batch = Dim::symbol("batch");
    let mut module = Module::default();
    let [multiply, add, initial, update] =
        [rows("multiply", Binary::Mul, true), rows("add", Binary::Add, false), initial(), update()]
            .map(|kernel| module.kernels.push(kernel));
    let x = || arg("x", ArgRole::Input, DType::F32, vec![batch.clone(), Dim::from(WIDTH)]);
    let y = || arg("y", ArgRole::Output, DType::F32, vec![batch.clone(), Dim::from(WIDTH)]);
    let w = || arg("w", ArgRole::Weight, DType::F32, vec![Dim::from(WIDTH)]);
    let control = |name| arg(name, ArgRole::Control, DType::I64, vec![]);
    let plan = |name: &str, symbols: &[&str], args, results, steps| Plan {
        name: format!("tiny_{name}_plan"),
        symbols: symbols.iter().map(|name| Symbol::new(name)).collect(),
        args,
        results,
        constants: IdVec::new(),
        steps,
        checks: vec![Check { message: "batch >= 1".into(), place: "tiny.model:3:5".into() }],
        workspace: batch.clone() * (4 * WIDTH),
    };
    let call = |kernel, buffers| Step::Call(Call { kernel, buffers, work: batch.clone() * 1000i64 });
    let require = || Step::Require { value: batch.clone(), at_least: Dim::from(1), check: 0 };
    let temporary = || BufferRef::Workspace { offset: Dim::from(0) };
    let run = vec![
        require(),
        call(multiply, vec![BufferRef::Arg(0), BufferRef::Arg(1), temporary()]),
        call(add, vec![temporary(), BufferRef::Arg(0), BufferRef::Result(0)]),
    ];
    module.plans.push(plan("run", &["batch"], vec![x(), w()], vec![y()], run));
    let mut init = plan(
        "init",
        &[],
        vec![control("seed")],
        vec![w()],
        vec![Step::Call(Call {
            kernel: initial,
            buffers: vec![BufferRef::Arg(0), BufferRef::Result(0)],
            work: Dim::from(4),
        })],
    );
    init.workspace = Dim::from(0);
    module.plans.push(init);
    let step = vec![
        require(),
        call(
            update,
            vec![
                BufferRef::Arg(1),
                BufferRef::Arg(2),
                BufferRef::Arg(3),
                BufferRef::Result(0),
                BufferRef::Result(1),
            ],
        ),
    ];
    let args = vec![x(), w(), control("step"), control("total_steps")];
    let results = vec![arg("loss", ArgRole::Loss, DType::F32, vec![]), w()];
    module.plans.push(plan("step", &["batch"], args, results, step));
    module
}

fn manifest(module: &Module) -> Manifest {
    let info = |arg: &Arg| ArgInfo {
        name: arg.name.clone(),
        role: match arg.role {
            ArgRole::Input => Role::Input,
            ArgRole::Weight => Role::Weight,
            ArgRole::Control => Role::Control,
            ArgRole::Loss => Role::Loss,
            _ => Role::Output,
        },
        dtype: arg.dtype.name().into(),
        rank: arg.shape.len(),
        shape: arg.shape.iter().map(Dim::to_string).collect(),
    };
    let entry = |plan: &Plan| Entry {
        name: plan.name.trim_start_matches("tiny_").trim_end_matches("_plan").into(),
        symbol: plan.name.clone(),
        symbols: plan.symbols.iter().map(|symbol| symbol.name().into()).collect(),
        args: plan.args.iter().map(info).collect(),
        results: plan.results.iter().map(info).collect(),
        checks: vec![],
        bind: vec![None; plan.symbols.len()],
    };
    Manifest {
        version: MANIFEST_VERSION,
        model: "Tiny".into(),
        style: "compiled".into(),
        entries: module.plans.iter().map(entry).collect(),
    }
}

fn cc(folder: &Path, arguments: &[&str]) {
    let output = Command::new("cc").current_dir(folder).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn execute(folder: &Path, program: &str) {
    let output =
        Command::new(folder.join(program)).arg(folder).env("LD_LIBRARY_PATH", folder).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text == "good\n",
        "{program}: {} {text} {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
}

const STRICT: [&str; 5] = ["-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror"];

/// A folder with the header, the host and the model as archive, shared library and one object.
fn built() -> tempfile::TempDir {
    let module = tiny();
    let manifest = manifest(&module);
    let object = artifact(&module, &manifest, "tiny", None, &options(OptLevel::O3)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    write("tiny.h", abi::header(&manifest, "tiny").as_bytes());
    write("host.c", include_bytes!("../c/host.c"));
    write("libtiny.a", &object.archive().unwrap());
    write("libtiny.so", &object.shared_library().unwrap());
    write("tiny.o", &object.relocatable().unwrap());
    folder
}

#[test]
fn every_form_of_artifact_serves_a_host() {
    let folder = built();
    for (program, library) in [("archive", "libtiny.a"), ("shared", "libtiny.so"), ("object", "tiny.o")] {
        let arguments = [&STRICT[..], &["host.c", library, "-lm", "-lpthread", "-o", program]].concat();
        cc(folder.path(), &arguments);
        execute(folder.path(), program);
    }
}

/// The support unit under the compiler's sanitizers, where it has them, with the same host.
#[test]
fn sanitizers_find_nothing() {
    let folder = built();
    std::fs::write(folder.path().join("empty.c"), "int main(void) { return 0; }").unwrap();
    let sanitize = "-fsanitize=address,undefined";
    let probe =
        Command::new("cc").current_dir(folder.path()).args([sanitize, "empty.c", "-o", "empty"]).output();
    if !probe.is_ok_and(|output| output.status.success()) {
        return;
    }
    for (name, text) in abi::SUPPORT_SOURCES {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    // The archive's own copy of the unit is not needed then, so the linker leaves it out.
    let flags = ["-g", "-O1", sanitize, "-fno-sanitize-recover=all", "-pthread"];
    let files = ["host.c", "support.c", "libtiny.a", "-lm", "-o", "sanitized"];
    cc(folder.path(), &[&STRICT[..1], &flags[..], &files[..]].concat());
    execute(folder.path(), "sanitized");
}

#[test]
fn artifacts_are_the_same_twice() {
    let module = tiny();
    let manifest = manifest(&module);
    let make = || artifact(&module, &manifest, "tiny", None, &options(OptLevel::O3)).unwrap();
    let (a, b) = (make(), make());
    assert_eq!(a.archive().unwrap(), b.archive().unwrap());
    assert_eq!(a.shared_library().unwrap(), b.shared_library().unwrap());
}

/// The shared library shows its interface and the pool, and nothing else.
#[test]
fn only_the_interface_is_visible() {
    let folder = built();
    let output =
        Command::new("nm").args(["-D", "--defined-only", "libtiny.so"]).current_dir(folder.path()).output();
    let Ok(output) = output else { return };
    let text = String::from_utf8_lossy(&output.stdout);
    for line in text.lines() {
        let name = line.split_whitespace().last().unwrap_or_default();
        assert!(name.starts_with("tiny_") || name == "dlc_v1_pool_2", "{name} is visible");
        assert!(!name.contains("__"), "{name} is visible");
    }
    assert!(text.contains("tiny_run"));
}

#[test]
fn embedded_weights_are_there_from_the_start() {
    let module = tiny();
    let manifest = manifest(&module);
    let header = br#"{"w":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}} "#;
    let mut weights = (header.len() as u64).to_le_bytes().to_vec();
    weights.extend_from_slice(header);
    weights.extend(f32_bytes(&[2.0, 3.0, 4.0, 5.0]));
    let object = artifact(&module, &manifest, "tiny", Some(&weights), &options(OptLevel::O3)).unwrap();
    let jit = llvm::Jit::load(&object).unwrap();
    type Create = extern "C" fn(*const u8, *mut *mut u8, *mut u8, usize) -> i32;
    type Run = extern "C" fn(*mut u8, i64, *const f32, *mut f32) -> i32;
    type Destroy = extern "C" fn(*mut u8);
    // SAFETY: the signatures that the header declares.
    let (create, run, destroy): (Create, Run, Destroy) = unsafe {
        (
            std::mem::transmute::<*const (), Create>(jit.lookup("tiny_create").unwrap()),
            std::mem::transmute::<*const (), Run>(jit.lookup("tiny_run").unwrap()),
            std::mem::transmute::<*const (), Destroy>(jit.lookup("tiny_destroy").unwrap()),
        )
    };
    let mut model = std::ptr::null_mut();
    assert_eq!(create(std::ptr::null(), &mut model, std::ptr::null_mut(), 0), 0);
    let mut y = [0.0; 4];
    assert_eq!(run(model, 1, [1.0, 10.0, 100.0, 1000.0].as_ptr(), y.as_mut_ptr()), 0);
    assert_eq!(y, [3.0, 40.0, 500.0, 6000.0]);
    destroy(model);
    // What is embedded is checked as a file would be.
    let object = artifact(&module, &manifest, "tiny", Some(&weights[..70]), &options(OptLevel::O3)).unwrap();
    let jit = llvm::Jit::load(&object).unwrap();
    // SAFETY: as above.
    let create: Create = unsafe { std::mem::transmute(jit.lookup("tiny_create").unwrap()) };
    assert_eq!(create(std::ptr::null(), &mut model, std::ptr::null_mut(), 0), 5);
    assert!(model.is_null());
}

/// A program in C that includes parts of the support unit.
fn check_support(name: &str, text: &[u8], sources: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in abi::SUPPORT_SOURCES {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    std::fs::write(folder.path().join("test.c"), text).unwrap();
    let flags = ["-std=c99", "-O1", "-Wall", "-Wextra", "-Werror", "-pthread", "test.c", "-o", name];
    cc(folder.path(), &[&flags[..], sources].concat());
    execute(folder.path(), name);
}

#[test]
fn the_pool_under_stress() {
    check_support("pool", include_bytes!("../c/pool.c"), &["support.c"]);
}

#[test]
fn missing_processor_features_are_found() {
    check_support("features", include_bytes!("../c/features.c"), &[]);
}
