"""What every arm of a measurement is: a process that loads one cell and is asked, a line of JSON at a time.

An arm is a file with a subclass of `Arm` and `serve(...)` at its end. It is started by itself, so its folder
comes first among those that Python imports from; as arms are called what they measure, `import keras` would
find the arm. So import this module before any framework: it takes the folder away, and puts the one above at
the end; the arms' other modules are found as `arms.NAME`.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib.util
import json
import os
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

HERE = Path(__file__).resolve().parent
OTHERS = [p for p in sys.path if p and Path(p).resolve() not in (HERE, HERE.parent)]
sys.path[:] = [*OTHERS, str(HERE.parent)]
# One module, whatever it is called.
sys.modules["protocol"] = sys.modules["arms.protocol"] = sys.modules[__name__]

import numpy as np  # noqa: E402

Arrays = dict[str, np.ndarray]
# Bytes of the inputs of a cell
LARGE = 16 << 20


class Cannot(Exception):
    """The framework does not offer what is asked for."""


class Missing(Exception):
    """What is asked for is not installed."""


@dataclass
class Cell:
    """What is to be computed, as the request `load` says."""

    arm: str
    model: str
    mode: str
    batch: int
    folder: str
    source: str = ""
    name: str = ""
    sizes: dict[str, int] = field(default_factory=dict)
    threads: int = 1
    precision: str = "f32"
    style: str = ""
    settings: dict[str, str] = field(default_factory=dict)
    train: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def training(self) -> bool:
        return self.mode == "train"

    def weights(self) -> Arrays:
        """Weights and states, under the names of the `.model` file."""
        from safetensors.numpy import load_file

        return load_file(self.path("weights.safetensors"))

    def inputs(self) -> Arrays:
        """Inputs of the model, and what the loss reads besides."""
        with np.load(self.path("inputs.npz")) as stored:
            return {name: stored[name] for name in stored}

    def path(self, name: str) -> Path:
        return Path(self.folder) / name


class Arm:
    """One framework on one cell. What `call` computes is there when it returns.

    `begin` imports the framework and tells it the number of threads, `load` builds the network from the cell,
    `compile` does what the framework calls compiling, if it can be had apart from the first call.
    """

    framework: ClassVar[str]
    # The module that is imported, and what installs it
    package: ClassVar[str]
    install: ClassVar[str]
    precisions: ClassVar[tuple[str, ...]] = ("f32",)
    modes: ClassVar[tuple[str, ...]] = ("infer", "train")

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        # Seconds of compiling whose result an earlier process left in the cell's folder
        self.earlier_s = 0.0

    def begin(self) -> None:
        raise NotImplementedError

    def load(self) -> None:
        raise NotImplementedError

    def compile(self) -> None:
        pass

    def call(self) -> None:
        """One inference, or one training step: forward, backward and update."""
        raise NotImplementedError

    def calls(self, count: int) -> None:
        for _ in range(count):
            self.call()

    def outputs(self) -> Arrays:
        """Of the latest inference."""
        raise NotImplementedError

    def loss(self) -> float:
        """That the latest training step found, before its update."""
        raise NotImplementedError

    def version(self) -> str:
        raise NotImplementedError

    def threads_seen(self) -> int | None:
        """As the framework itself tells it; None where it does not."""
        raise NotImplementedError

    def dtype_seen(self) -> str:
        """Of the weights, as the framework holds them."""
        raise NotImplementedError

    def flags(self) -> dict[str, Any]:
        return {}

    def artifact_bytes(self) -> int | None:
        """Of what would be shipped, where the framework writes a file."""
        return None

    def curve(self, seconds: float, target: float | None) -> dict[str, list[float]]:
        raise Cannot(f"{self.cell.arm} has no training to an accuracy")


class Server:
    def __init__(self, kinds: dict[str, type[Arm]]) -> None:
        self.kinds = kinds
        self.arm: Arm | None = None

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            todo = request.get("do")
            if todo == "load":
                return self.load(request)
            if todo == "stop":
                return {"peak_bytes": peak_bytes(), "cpu_s": time.process_time()}
            if self.arm is None:
                return {"error": f"`{todo}` before `load`"}
            if todo == "first":
                return first(self.arm, request)
            if todo == "warm":
                return {"samples": warm(self.arm, request["seconds"], request["most"])}
            if todo == "time":
                return timed(self.arm, request["seconds"], request["samples"])
            if todo == "arrivals":
                return {"latencies": arrivals(self.arm, request["at"])}
            if todo == "curve":
                return self.arm.curve(request["seconds"], request.get("target"))
            return {"error": f"there is no request `{todo}`"}
        except Cannot as fault:
            return {"cannot": str(fault)}
        except Missing as fault:
            return {"missing": str(fault), "install": f"pip install {fault}"}
        except Exception as fault:
            traceback.print_exc()
            return {"error": f"{type(fault).__name__}: {fault}"[:2000]}

    def load(self, request: dict[str, Any]) -> dict[str, Any]:
        known = {part.name for part in fields(Cell)}
        cell = Cell(**{name: value for name, value in request.items() if name in known})
        if cell.arm not in self.kinds:
            return {"error": f"this file has the arms {', '.join(self.kinds)}, not {cell.arm}"}
        kind = self.kinds[cell.arm]
        if cell.mode not in kind.modes:
            raise Cannot(f"{cell.arm} does not {cell.mode}")
        if cell.precision not in kind.precisions:
            raise Cannot(f"{cell.arm} is not measured in {cell.precision}")
        if importlib.util.find_spec(kind.package.partition(".")[0]) is None:
            return {"missing": kind.package, "install": kind.install}
        # Before anything is imported: some read them only then, and in threads that they make themselves.
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            os.environ[name] = str(cell.threads)
        kept = keep_memory(cell)
        arm = kind(cell)
        clock = [time.perf_counter()]
        for phase in (arm.begin, arm.load, arm.compile):
            phase()
            clock.append(time.perf_counter())
        self.arm = arm
        imported, loaded, compiled = (b - a for a, b in pairwise(clock))
        return {
            "framework": kind.framework,
            "version": arm.version(),
            "threads_seen": arm.threads_seen(),
            "dtype_seen": arm.dtype_seen(),
            "flags": arm.flags() | kept,
            "import_s": imported,
            "load_s": loaded,
            "compile_s": compiled + arm.earlier_s,
            "artifact_bytes": arm.artifact_bytes(),
        }


def keep_memory(cell: Cell) -> dict[str, Any]:
    """Has the C library keep what is freed, where arrays are so large that it would map each of them anew.

    Then the kernel clears their pages in each call, which takes several times as long as what is measured.
    """
    if cell.path("inputs.npz").stat().st_size < LARGE:
        return {}
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    # No maps of their own, and nothing is given back.
    kept = mallopt is not None and mallopt(-4, 0) and mallopt(-1, 2**31 - 1)
    return {"keeps_memory": bool(kept)}


def first(arm: Arm, request: dict[str, Any]) -> dict[str, Any]:
    """The outputs of one inference, or the losses of some training steps, into a file."""
    seconds, losses = [], []
    for _ in range(request.get("steps", 1) if arm.cell.training else 1):
        start = time.perf_counter()
        arm.call()
        seconds.append(time.perf_counter() - start)
        if arm.cell.training:
            losses.append(arm.loss())
    found = {"loss": np.array(losses)} if arm.cell.training else arm.outputs()
    np.savez(request["to"], **{name: storable(x) for name, x in found.items()})
    return {"seconds": seconds}


def storable(x: np.ndarray) -> np.ndarray:
    """NumPy's files have no bf16."""
    return x.astype(np.float32) if x.dtype.name == "bfloat16" else x


def warm(arm: Arm, seconds: float, most: int) -> list[float]:
    samples: list[float] = []
    end = time.perf_counter() + seconds
    while len(samples) < most and (not samples or time.perf_counter() < end):
        start = time.perf_counter()
        arm.call()
        samples.append(time.perf_counter() - start)
    return samples


def timed(arm: Arm, seconds: float, samples: int) -> dict[str, Any]:
    """So many samples, each the mean of as many calls as share the time; three at least, however long."""
    start, count = time.perf_counter(), 0
    while count < 1000 and (not count or time.perf_counter() - start < seconds / samples):
        arm.call()
        count += 1
    each = (time.perf_counter() - start) / count
    repeats = max(1, round(seconds / samples / each))
    walls: list[float] = []
    processors: list[float] = []
    with no_collection():
        end = time.perf_counter() + 1.5 * seconds
        while len(walls) < samples and (len(walls) < 3 or time.perf_counter() < end):
            processor, wall = time.process_time(), time.perf_counter()
            arm.calls(repeats)
            walls.append((time.perf_counter() - wall) / repeats)
            processors.append((time.process_time() - processor) / repeats)
    return {"samples": walls, "calls": repeats, "cpu": processors}


def arrivals(arm: Arm, at: list[float]) -> list[float]:
    """Requests that come at these times and wait for those before them; from arrival to result."""
    latencies = []
    with no_collection():
        start = time.perf_counter()
        for moment in at:
            # Sleep is too coarse for the last bit.
            if (rest := start + moment - time.perf_counter()) > 0.001:
                time.sleep(rest - 0.0005)
            while time.perf_counter() < start + moment:
                pass
            arm.call()
            latencies.append(time.perf_counter() - start - moment)
    return latencies


@contextlib.contextmanager
def no_collection() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def peak_bytes() -> int | None:
    """The most memory that the process has held."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return None


def pin(threads: int) -> int:
    """Keeps this process on so many processors, for frameworks that cannot be told; gives their number."""
    mine = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, mine[:threads])
    return len(os.sched_getaffinity(0))


def serve(kinds: dict[str, type[Arm]]) -> None:
    """Answers until the end of input. Whatever prints, in whatever language, prints to standard error."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    server = Server(kinds)
    for line in sys.stdin:
        request = json.loads(line)
        replies.write(json.dumps(server.answer(request)) + "\n")
        replies.flush()
        if request.get("do") == "stop":
            break
    sys.stderr.flush()
    # Frameworks keep threads that do not always end by themselves.
    os._exit(0)
