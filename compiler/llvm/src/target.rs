//! The machine that code is made for.

use crate::Error;
use crate::ir::{Ir, Value};
use inkwell::OptimizationLevel;
use inkwell::targets::{
    CodeModel, InitializationConfig, RelocMode, Target as LlvmTarget, TargetMachine, TargetTriple,
};
use std::sync::Once;

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Target {
    pub triple: String,
    pub cpu: String,
    /// LLVM's list, `+fma,-sse4a`, beyond what the processor's name implies.
    pub features: String,
    /// Width of the vectors that pay, which schedules should use.
    pub vector_bits: u32,
    /// Whether a fused multiply-add is an instruction.
    pub fma: bool,
    /// Whether f16 and f32 are converted by an instruction.
    pub half_conversion: bool,
}

/// What a processor's name says: its vectors' bits, fused multiply-add and f16 conversion.
struct Processor {
    names: &'static [&'static str],
    vector_bits: u32,
    fma: bool,
}

const X86: &[Processor] = &[
    Processor { names: &["x86-64", "x86-64-v2", "nehalem", "westmere"], vector_bits: 128, fma: false },
    Processor { names: &["sandybridge", "ivybridge"], vector_bits: 256, fma: false },
    Processor {
        names: &[
            "x86-64-v3",
            "haswell",
            "broadwell",
            "skylake",
            "alderlake",
            "raptorlake",
            "meteorlake",
            "znver1",
            "znver2",
            "znver3",
        ],
        vector_bits: 256,
        fma: true,
    },
    Processor {
        names: &[
            "x86-64-v4",
            "skylake-avx512",
            "cascadelake",
            "icelake-client",
            "icelake-server",
            "tigerlake",
            "sapphirerapids",
            "emeraldrapids",
            "graniterapids",
            "znver4",
            "znver5",
        ],
        vector_bits: 512,
        fma: true,
    },
];

const AARCH64: &[&str] = &[
    "generic",
    "cortex-a53",
    "cortex-a72",
    "cortex-a76",
    "neoverse-n1",
    "neoverse-n2",
    "neoverse-v1",
    "neoverse-v2",
    "apple-m1",
    "apple-m2",
    "apple-m3",
    "apple-m4",
];

/// Features in the order in which processors got them, and how many of them each level has.
const ASKED: &[&str] = &[
    "ssse3",
    "sse4.1",
    "sse4.2",
    "popcnt",
    "avx",
    "f16c",
    "avx2",
    "bmi",
    "bmi2",
    "fma",
    "avx512f",
    "avx512cd",
    "avx512bw",
    "avx512dq",
    "avx512vl",
    "avx512vbmi",
    "avx512vbmi2",
    "gfni",
    "avx512vnni",
    "avx512bitalg",
    "avx512vpopcntdq",
];
const ASKED_OF_V2: usize = 4;
const ASKED_OF_AVX: usize = 5;
const ASKED_OF_V3: usize = 10;
const ASKED_OF_V4: usize = 15;
/// Processors with wide vectors and nothing beyond x86-64-v4 that shuffles would use.
const PLAIN_V4: &[&str] = &["x86-64-v4", "skylake-avx512", "cascadelake"];

impl Target {
    /// The machine this runs on, with everything it can do.
    pub fn native() -> Target {
        initialize();
        let triple = TargetMachine::get_default_triple().as_str().to_string_lossy().into_owned();
        let cpu = TargetMachine::get_host_cpu_name().to_string();
        let features = TargetMachine::get_host_cpu_features().to_string();
        let has = |name: &str| features.split(',').any(|feature| feature == format!("+{name}"));
        let x86 = triple.starts_with("x86_64");
        let vector_bits = match () {
            () if has("avx512f") && has("avx512vl") && has("avx512bw") && has("avx512dq") => 512,
            () if has("avx") => 256,
            () => 128,
        };
        let (fma, half_conversion) = if x86 { (has("fma"), has("f16c")) } else { (true, true) };
        Target { triple, cpu, features, vector_bits, fma, half_conversion }
    }

    /// `native`, a processor of this machine's architecture such as `x86-64-v3`, or `TRIPLE[:CPU]`.
    pub fn parse(text: &str) -> Result<Target, Error> {
        if text == "native" {
            return Ok(Target::native());
        }
        initialize();
        let host = TargetMachine::get_default_triple().as_str().to_string_lossy().into_owned();
        if X86.iter().any(|processor| processor.names.contains(&text)) && host.starts_with("x86_64") {
            return Target::named(&host, text);
        }
        let (triple, cpu) = text.split_once(':').unwrap_or((text, ""));
        if triple.starts_with("wasm") || triple.starts_with("nvptx") || triple.starts_with("cuda") {
            return Err(Error::Target(format!("code for `{triple}` is not supported yet")));
        }
        Target::named(triple, cpu)
    }

    fn named(triple: &str, cpu: &str) -> Result<Target, Error> {
        let architecture = triple.split('-').next().unwrap_or_default();
        let unknown = || Err(Error::Target(format!("processor `{cpu}` of `{triple}` is not known")));
        let (cpu, vector_bits, fma, half_conversion) = match architecture {
            "x86_64" => {
                let cpu = if cpu.is_empty() { "x86-64-v2" } else { cpu };
                let Some(known) = X86.iter().find(|processor| processor.names.contains(&cpu)) else {
                    return unknown();
                };
                (cpu, known.vector_bits, known.fma, known.fma)
            }
            "aarch64" | "arm64" => {
                let cpu = if cpu.is_empty() { "generic" } else { cpu };
                if !AARCH64.contains(&cpu) {
                    return unknown();
                }
                (cpu, 128, true, true)
            }
            _ => return Err(Error::Target(format!("`{triple}` is not a target that code can be made for"))),
        };
        let target = Target {
            triple: triple.to_owned(),
            cpu: cpu.to_owned(),
            features: String::new(),
            vector_bits,
            fma,
            half_conversion,
        };
        target.machine(OptimizationLevel::None)?;
        Ok(target)
    }

    /// Whether the instructions of x86-64-v4 are there.
    pub(crate) fn has_avx512(&self) -> bool {
        self.triple.starts_with("x86_64") && self.vector_bits == 512
    }

    /// Whether this process could run the code as far as architecture and system go.
    pub fn is_host_system(&self) -> bool {
        let host = TargetMachine::get_default_triple();
        let host = host.as_str().to_string_lossy();
        self.triple.split('-').next() == host.split('-').next()
            && self.triple.contains("linux") == host.contains("linux")
    }

    /// What a processor must offer for the code to run, by the names that the support unit can ask for.
    pub(crate) fn required_features(&self) -> String {
        if !self.triple.starts_with("x86_64") {
            return String::new();
        }
        if !self.features.is_empty() {
            let offered: Vec<&str> =
                self.features.split(',').filter_map(|name| name.strip_prefix('+')).collect();
            let asked = ASKED.iter().filter(|name| offered.contains(name));
            return asked.copied().collect::<Vec<_>>().join(",");
        }
        let count = match (self.vector_bits, self.fma) {
            (512, _) if PLAIN_V4.contains(&self.cpu.as_str()) => ASKED_OF_V4,
            (512, _) => ASKED.len(),
            (_, true) => ASKED_OF_V3,
            (256, _) => ASKED_OF_AVX,
            _ if matches!(self.cpu.as_str(), "x86-64") => 0,
            _ => ASKED_OF_V2,
        };
        ASKED[..count].join(",")
    }

    pub(crate) fn machine(&self, level: OptimizationLevel) -> Result<TargetMachine, Error> {
        initialize();
        let triple = TargetTriple::create(&self.triple);
        let target = LlvmTarget::from_triple(&triple)
            .map_err(|fault| Error::Target(format!("`{}`: {}", self.triple, fault.to_string())))?;
        target
            .create_target_machine(
                &triple,
                &self.cpu,
                &self.features,
                level,
                RelocMode::PIC,
                CodeModel::Default,
            )
            .ok_or_else(|| Error::Target(format!("LLVM cannot make code for `{}:{}`", self.triple, self.cpu)))
    }

    /// Says of a function what it may use; without it, wide vectors are split where the processor prefers so.
    pub(crate) fn mark(&self, ir: &Ir, function: Value) {
        ir.flag(function, "nounwind");
        ir.attribute(function, "target-cpu", &self.cpu);
        if !self.features.is_empty() {
            ir.attribute(function, "target-features", &self.features);
        }
        if self.vector_bits == 512 {
            ir.attribute(function, "prefer-vector-width", "512");
        }
    }
}

pub(crate) fn initialize() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let config =
            InitializationConfig { info: true, asm_parser: false, ..InitializationConfig::default() };
        LlvmTarget::initialize_x86(&config);
        LlvmTarget::initialize_aarch64(&config);
    });
}

/// The version of LLVM inside this program.
pub fn version() -> String {
    let (mut major, mut minor, mut patch) = (0, 0, 0);
    // SAFETY: the three addresses are valid for the call.
    unsafe { llvm_sys::core::LLVMGetVersion(&mut major, &mut minor, &mut patch) };
    format!("{major}.{minor}.{patch}")
}
