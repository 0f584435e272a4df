//! Where everything of the suite lies: registry, arms, the environment of Python, folders of cells.

use crate::{cx::Cx, fault::Fault, installation};
use base::Diagnostic;
use bench_suite::{Arms, EnvironmentLine, Peaks, Registry, environment as of_machine};
use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};
use tensor::Fnv64;

pub struct Suite {
    /// With models.toml, kernels.toml and arms/; `None` outside of the project's tree.
    folder: Option<PathBuf>,
    /// Of this user, for what is made.
    cache: PathBuf,
}

impl Suite {
    pub fn find(stated: Option<&Path>) -> Result<Suite, Fault> {
        let cache = installation::cache_folder().unwrap_or_else(|| env::temp_dir().join("dlc")).join("bench");
        if let Some(folder) = stated {
            if !folder.is_dir() {
                let message = format!("`{}` is no folder", folder.display());
                return Err(Diagnostic::error("E1011", message).into());
            }
            return Ok(Suite { folder: Some(absolute(folder)), cache });
        }
        let here = env::current_dir().unwrap_or_default();
        let above = here.ancestors().map(|folder| folder.join("bench-suite"));
        let folder = above.into_iter().find(|folder| folder.join("README.md").is_file());
        Ok(Suite { folder, cache })
    }

    pub fn registry(&self) -> Result<Registry, Fault> {
        Ok(Registry::read(&self.needed()?.join("models.toml"))?)
    }

    /// Single operations, which a suite need not have.
    pub fn kernels(&self) -> Result<Registry, Fault> {
        let path = self.needed()?.join("kernels.toml");
        Ok(if path.is_file() { Registry::read(&path)? } else { Registry::default() })
    }

    /// What the sources of the registry are relative to.
    pub fn root(&self) -> Result<PathBuf, Fault> {
        let folder = self.needed()?;
        Ok(folder.parent().map_or_else(|| folder.to_path_buf(), Path::to_path_buf))
    }

    fn needed(&self) -> Result<&Path, Fault> {
        self.folder.as_deref().ok_or_else(|| {
            Diagnostic::error("E1011", "there is no folder `bench-suite` here or above")
                .help("say where it is with `--suite DIR`")
                .into()
        })
    }

    pub fn arms(&self) -> Result<Arms, Fault> {
        let own = env::current_exe().map_or_else(|_| "dlc".into(), |path| path.display().to_string());
        let table = self.folder.as_ref().map(|folder| folder.join("arms/index.toml"));
        let table = table.filter(|table| table.is_file());
        Ok(Arms::new(&own, table.as_deref(), &self.python())?)
    }

    /// Bytes of these packages and all that they need, as this environment has them.
    pub fn installed_bytes(&self, packages: &[String]) -> Option<u64> {
        let program = self.folder.as_ref()?.join("installed.py");
        let ran = Command::new(self.python()).arg(program).args(packages).output().ok()?;
        String::from_utf8_lossy(&ran.stdout).trim().parse().ok().filter(|_| ran.status.success())
    }

    /// Lines that describe a model, by the frameworks that have a description of their own.
    pub fn model_lines(&self) -> BTreeMap<String, BTreeMap<String, u64>> {
        let Some(folder) = &self.folder else { return BTreeMap::new() };
        let ran = Command::new(self.python()).arg(folder.join("model_lines.py")).output().ok();
        let text = ran.filter(|ran| ran.status.success()).map(|ran| ran.stdout).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Files that results depend on beside the code, with their hashes, and what Python has installed.
    pub fn locked(&self) -> serde_json::Value {
        let root = self.folder.as_ref().and_then(|folder| folder.parent()).map(Path::to_path_buf);
        let mut files = serde_json::Map::new();
        for name in [
            "Cargo.lock",
            "bench-suite/models.toml",
            "bench-suite/kernels.toml",
            "bench-suite/arms/index.toml",
            "bench-suite/requirements.txt",
        ] {
            let bytes = root.as_ref().and_then(|root| fs::read(root.join(name)).ok());
            if let Some(bytes) = bytes {
                files.insert(name.into(), format!("{:016x}", Fnv64::new().bytes(&bytes).finish()).into());
            }
        }
        let installed = Command::new(self.python()).args(["-m", "pip", "freeze"]).output().ok();
        let text = installed
            .filter(|ran| ran.status.success())
            .map(|ran| String::from_utf8_lossy(&ran.stdout).into_owned());
        let packages: Vec<String> = text.unwrap_or_default().lines().map(String::from).collect();
        serde_json::json!({ "files": files, "python": packages })
    }

    pub fn cells(&self) -> PathBuf {
        self.cache.join("cells")
    }

    /// The folder of the virtual environment: `$DLC_BENCH_ENV`, else in the user's cache.
    fn environment(&self) -> PathBuf {
        let stated = env::var_os("DLC_BENCH_ENV").filter(|path| !path.is_empty()).map(PathBuf::from);
        stated.unwrap_or_else(|| self.cache.join("venv"))
    }

    fn python(&self) -> String {
        let own = self.environment().join("bin/python");
        if own.is_file() { own.display().to_string() } else { "python3".into() }
    }

    /// Makes the environment from the suite's requirements.
    pub fn setup(&self, cx: &Cx) -> Result<(), Fault> {
        let requirements = self.needed()?.join("requirements.txt");
        let folder = self.environment();
        let run = |program: &str, arguments: &[&str]| -> Result<(), Fault> {
            let ran = Command::new(program).args(arguments).status();
            if ran.as_ref().is_ok_and(|status| status.success()) {
                return Ok(());
            }
            let how = ran.map_or_else(|fault| fault.to_string(), |status| status.to_string());
            let message = format!("`{program} {}` did not go well: {how}", arguments.join(" "));
            Err(Diagnostic::error("E1014", message).into())
        };
        let place = folder.display().to_string();
        if !folder.join("bin/python").is_file() {
            run("python3", &["-m", "venv", &place])?;
        }
        let pip = folder.join("bin/pip").display().to_string();
        run(&pip, &["install", "-r", &requirements.display().to_string()])?;
        cx.say(&format!("Python arms run in {place}"));
        Ok(())
    }
}

/// The machine and this program.
pub fn environment(seed: u64) -> EnvironmentLine {
    let mut line = of_machine(seed);
    line.versions.insert("dlc".into(), driver::VERSION.into());
    line.versions.insert("llvm".into(), llvm::version());
    line
}

pub fn tell_peaks(line: &mut EnvironmentLine, peaks: &Peaks) {
    let by_threads = |values: &BTreeMap<usize, f64>| {
        values.iter().map(|(threads, value)| (threads.to_string(), value / 1e9)).collect()
    };
    line.peaks.gflops = by_threads(&peaks.flops);
    line.peaks.copy_gbs = by_threads(&peaks.bytes);
}

pub fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}
