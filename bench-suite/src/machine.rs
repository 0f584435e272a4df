//! The machine: what it is, what it is busy with.

use crate::{
    EnvironmentLine,
    origin::{commit, date},
};
use std::{collections::BTreeMap, fs, path::Path};
use tensor::Fnv64;

/// Features of processors that change what code runs.
const NOTABLE: &[&str] = &[
    "sse4_2",
    "avx",
    "avx2",
    "fma",
    "f16c",
    "avx512f",
    "avx512_bf16",
    "avx512_vnni",
    "avx512_fp16",
    "amx_tile",
    "amx_bf16",
    "asimd",
    "asimdhp",
    "sve",
    "bf16",
];

/// What the system tells; versions and peaks are the caller's to add.
pub fn environment(seed: u64) -> EnvironmentLine {
    let cpu = fields("/proc/cpuinfo");
    let flags = cpu.get("flags").or(cpu.get("Features")).cloned().unwrap_or_default();
    let flags: Vec<&str> = flags.split_whitespace().collect();
    let mut line = EnvironmentLine {
        date: date(),
        commit: commit(),
        cpu: cpu
            .get("model name")
            .or(cpu.get("CPU implementer"))
            .cloned()
            .unwrap_or_else(|| "not known".into()),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        flags: NOTABLE.iter().filter(|flag| flags.contains(flag)).map(|flag| flag.to_string()).collect(),
        caches: caches(),
        memory_bytes: memory_bytes(),
        kernel: word("/proc/sys/kernel/osrelease").unwrap_or_default(),
        governor: word("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        r#virtual: flags.contains(&"hypervisor"),
        load: load(),
        seed,
        ..EnvironmentLine::default()
    };
    line.machine = machine_id(&line);
    line
}

/// Equal on machines whose times may be compared: the same processor, cores, caches and memory to a gibibyte.
pub fn machine_id(line: &EnvironmentLine) -> String {
    let caches: Vec<String> = line.caches.iter().map(|(name, size)| format!("{name}={size}")).collect();
    let hash = Fnv64::new()
        .text(&line.cpu)
        .number(line.cores as u64)
        .text(&line.flags.join(" "))
        .text(&caches.join(" "))
        .number(line.memory_bytes >> 30)
        .finish();
    format!("{hash:016x}")
}

/// Bytes of the first processor's caches that hold data.
pub fn cache_bytes(line: &EnvironmentLine) -> u64 {
    let size = |text: &String| {
        let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
        let shift = if text.ends_with('M') { 20 } else { 10 };
        digits.parse::<u64>().unwrap_or(0) << shift
    };
    line.caches.iter().filter(|(name, _)| !name.ends_with('i')).map(|(_, text)| size(text)).sum()
}

/// Where the machine's time went since this was made.
pub struct Shares {
    ticks: Vec<u64>,
    own: u64,
}

/// As shares of the machine's time.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Share {
    /// Its host took it.
    pub steal: f64,
    /// What else runs took it: neither this process nor those it started and saw end.
    pub others: f64,
}

impl Shares {
    pub fn begin() -> Shares {
        Shares { ticks: ticks(), own: own_ticks() }
    }

    pub fn now(&self) -> Share {
        let passed: Vec<f64> = ticks()
            .iter()
            .zip(&self.ticks)
            .map(|(after, before)| after.saturating_sub(*before) as f64)
            .collect();
        let total: f64 = passed.iter().sum();
        let [_, _, _, idle, iowait, _, _, steal] = passed[..] else { return Share::default() };
        if total < 1.0 {
            return Share::default();
        }
        let own = own_ticks().saturating_sub(self.own) as f64;
        Share { steal: steal / total, others: ((total - idle - iowait - steal - own) / total).max(0.0) }
    }
}

/// user, nice, system, idle, iowait, irq, softirq, steal of all cores.
fn ticks() -> Vec<u64> {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    text.split_whitespace().skip(1).take(8).filter_map(|word| word.parse().ok()).collect()
}

/// This process and the children that it has waited for.
fn own_ticks() -> u64 {
    let text = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the program, in brackets, may hold anything.
    let rest = text.rsplit(')').next().unwrap_or_default();
    rest.split_whitespace().skip(11).take(4).filter_map(|word| word.parse::<u64>().ok()).sum()
}

/// The largest memory that a process has held, in bytes: `VmHWM`.
pub fn peak_bytes() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// Microjoules that the processors' own meters count, where the system lets this program read them.
pub fn energy() -> Option<u64> {
    let folders = fs::read_dir("/sys/class/powercap").ok()?;
    // Whole packages: `intel-rapl:0`; parts of one have a second number.
    let packages = folders.flatten().filter(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        name.contains("rapl") && name.matches(':').count() == 1
    });
    let meters: Vec<u64> = packages
        .map(|entry| word(&entry.path().join("energy_uj").display().to_string())?.parse().ok())
        .collect::<Option<_>>()?;
    (!meters.is_empty()).then(|| meters.iter().sum())
}

/// Processor seconds of this process so far, over all threads.
pub fn processor_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

fn fields(path: &str) -> BTreeMap<String, String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines = text.lines().take_while(|line| !line.trim().is_empty());
    lines
        .filter_map(|line| line.split_once(':'))
        .map(|(key, value)| (key.trim().into(), value.trim().into()))
        .collect()
}

fn word(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_string())
}

fn load() -> Vec<f64> {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).filter_map(|word| word.parse().ok()).collect()
}

fn memory_bytes() -> u64 {
    let line = fields("/proc/meminfo").remove("MemTotal").unwrap_or_default();
    line.trim_end_matches("kB").trim().parse::<u64>().unwrap_or(0) * 1024
}

fn caches() -> BTreeMap<String, String> {
    let folder = Path::new("/sys/devices/system/cpu/cpu0/cache");
    let read =
        |index: usize, part: &str| word(&folder.join(format!("index{index}/{part}")).display().to_string());
    let cache = |index: usize| {
        let kind = match read(index, "type")?.as_str() {
            "Data" => "d",
            "Instruction" => "i",
            _ => "",
        };
        Some((format!("L{}{kind}", read(index, "level")?), read(index, "size")?))
    };
    (0..8).filter_map(cache).collect()
}
