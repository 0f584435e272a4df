"""IREE on the processor, from a file that PyTorch exports: compiled ahead of time, once a cell."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from protocol import serve

from arms.onnx_model import OnnxArm, built_once


class Iree(OnnxArm):
    framework, package, install = (
        "IREE",
        "iree",
        "pip install iree-base-compiler iree-base-runtime onnxscript torch",
    )

    def begin(self) -> None:
        import iree.runtime

        self.runtime = iree.runtime
        # Before the driver is made.
        self.runtime.flags.parse_flags(f"--task_topology_max_group_count={self.cell.threads}")

    def load(self) -> None:
        super().load()
        self.module_path = self.path.with_suffix(".vmfb")

    def compile(self) -> None:
        self.earlier_s = built_once(self.module_path, self.build)
        runtime = self.runtime
        config = runtime.Config("local-task" if self.cell.threads > 1 else "local-sync")
        context = runtime.SystemContext(config=config)
        module = runtime.VmModule.mmap(context.instance, str(self.module_path))
        context.add_vm_module(module)
        (name,) = (n for n in module.function_names if not n.startswith("__") and not n.endswith("$async"))
        self.function = context.modules[module.name][name]
        self.inputs = [runtime.asdevicearray(config.device, x) for x in self.arrays.values()]

    def build(self, output: Path) -> None:
        import iree.compiler

        source = self.path.with_suffix(".mlir")
        tool = [sys.executable, "-m", "iree.compiler.tools.import_onnx"]
        subprocess.run([*tool, self.path, "-o", source, "--opset-version", "18"], check=True)
        options = ["--iree-hal-target-device=local", "--iree-hal-local-target-device-backends=llvm-cpu"]
        options += ["--iree-llvmcpu-target-cpu=host", "--iree-opt-level=O3"]
        # Its own limit is too small for a layer norm of 768 numbers on wide vectors.
        options += ["--iree-llvmcpu-stack-allocation-limit=131072"]
        iree.compiler.compile_file(str(source), output_file=str(output), extra_args=options)
        source.unlink()

    def call(self) -> None:
        found = self.function(*self.inputs)
        self.found = [y.to_host() for y in (found if isinstance(found, (list, tuple)) else [found])]

    def version(self) -> str:
        from iree.compiler import version

        return version.VERSION

    def threads_seen(self) -> int:
        """Its workers by their names; without any, the caller computes."""
        names = (task.read_text() for task in Path("/proc/self/task").glob("*/comm"))
        return sum(name.startswith("iree-worker") for name in names) or 1

    def artifact_bytes(self) -> int:
        return self.module_path.stat().st_size


if __name__ == "__main__":
    serve({"iree": Iree})
