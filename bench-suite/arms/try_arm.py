"""Tries arms without the runner: `python arms/try_arm.py ARM… [--models …] [--modes …]` in `bench-suite`.

Makes the folder of each cell with `dlc`, asks the arm as the runner does, and says whether what it computes
is right, and how long it takes. For whoever writes an arm, and no measurement: nothing is interleaved.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import threading
import tomllib
import zlib
from pathlib import Path
from typing import Any

from protocol import HERE, Arrays  # first, as it sets the path

import numpy as np  # isort: skip
from dlc import Artifact, Dlc, DlcError, write_weights  # isort: skip

SUITE = HERE.parent
DTYPES = {"f32": np.float32, "i32": np.int32, "bool": np.bool_}
STEPS = 3


def drawn(spec: dict[str, Any], name: str, sizes: dict[str, int]) -> np.ndarray:
    shape = [sizes.get(axis, axis) for axis in spec["shape"]]
    draws = np.random.default_rng(zlib.crc32(name.encode()))
    if "uniform" in spec:
        found = draws.uniform(*spec["uniform"], shape)
    elif "normal" in spec:
        found = draws.normal(*spec["normal"], shape)
    elif "below" in spec:
        found = draws.integers(0, spec["below"], shape)
    else:
        found = np.full(shape, spec["value"])
    return found.astype(DTYPES[spec["dtype"]])


def registry() -> dict[str, dict[str, Any]]:
    files = (SUITE / name for name in ("models.toml", "kernels.toml"))
    return {name: entry for file in files for name, entry in tomllib.loads(file.read_text()).items()}


def batches(entry: dict[str, Any], mode: str) -> list[int]:
    return entry.get("training" if mode == "train" else "infer", {}).get("batch", [])


def filled(text: str, dims: dict[str, int]) -> str:
    for dim, size in dims.items():
        text = text.replace(f"{{{dim}}}", str(size))
    return text


def prepared(dlc: Dlc, name: str, mode: str, batch: int, root: Path) -> dict[str, Any]:
    """The request `load` of a cell, whose folder is made if it is not there yet."""
    entry = registry()[name]
    folder = root / f"{name}-{mode}-{batch}"
    text = (SUITE.parent / entry["source"]).read_text()
    for old, new in entry.get("replace", {}).items():
        if old not in text:
            raise SystemExit(f"{entry['source']} holds no `{old}`")
        text = text.replace(old, new)
    source = folder / Path(entry["source"]).name
    # The first of each series, and the first row.
    sizes = {dim: x[0] if isinstance(x, list) else x for dim, x in entry.get("sizes", {}).items()}
    sizes |= entry.get("rows", [{}])[0]
    dims = {**sizes, "batch": batch}
    entry["settings"] = {n: filled(x, dims) for n, x in entry.get("settings", {}).items()}
    if not (folder / "oracle.npz").exists():
        folder.mkdir(parents=True, exist_ok=True)
        source.write_text(text)
        specs = entry["inputs"] | (entry.get("fields", {}) if mode == "train" else {})
        inputs = {n: drawn(spec, n, dims) for n, spec in specs.items()}
        np.savez(folder / "inputs.npz", **inputs)
        oracle(dlc, entry, text, mode, dims, inputs, folder)
    return {
        "do": "load",
        "model": name,
        "mode": mode,
        "batch": batch,
        "sizes": sizes,
        "folder": str(folder),
        "source": str(source),
        "name": entry.get("model", ""),
        "settings": entry["settings"],
        "train": entry.get("train", {}),
    }


def oracle(
    dlc: Dlc, entry: dict[str, Any], text: str, mode: str, dims: dict[str, int], inputs: Arrays, folder: Path
) -> None:
    """Initial weights, and what `dlc` computes with them in f64."""
    exact = folder / "f64.model"
    exact.write_text(re.sub(r"\bf32\b", "f64", text))
    options = [
        "--precision",
        "f64",
        "--quiet",
        *(f"--set={n}={v}" for n, v in entry["settings"].items()),
    ]
    options += [f"--model={entry['model']}"] if "model" in entry else []
    # Also where it only infers: initial values come with it. A single operation has no training.
    trained = re.search(r"^train ", text, re.MULTILINE) is not None
    options += ["--with", "train"] if trained else []
    options += [f"--bind={'batch' if '[batch' in text else 'b'}={dims['batch']}"]
    if not trained:
        options += [f"--bind={dim}={size}" for dim, size in dims.items()]
    with tempfile.TemporaryDirectory() as build:
        dlc.call("compile", exact, "--output", build, *options, timeout=1800)
        artifact = Artifact(Path(build), threads=2, total_steps=STEPS)
        scratch = Path(build) / "weights.safetensors"
        if trained:
            artifact.init(0)
            saved = artifact.save(scratch)
        else:
            args = artifact.entries["run"]["args"]
            saved = {x["name"]: np.zeros([*map(int, x["shape"])]) for x in args if x["role"] == "weight"}
        weights = {n: moved(n, saved.pop(n)) for n in list(saved) if not n.startswith("optimizer/")}
        saved.clear()
        write_weights(folder / "weights.safetensors", weights)
        exact_weights = {n: x.astype(np.float64) if x.dtype.kind == "f" else x for n, x in weights.items()}
        if weights:
            artifact.load(write_weights(scratch, exact_weights))
        call = artifact.bind("step" if mode == "train" else "run", inputs)
        if mode == "infer":
            call()
            found = {n: x.copy() for n, x in call.outputs.items()}
        else:
            losses = []
            for _ in range(STEPS):
                call()
                losses.append(float(call.outputs["loss"]))
            found = {"loss": np.array(losses)}
        artifact.close()
    np.savez(folder / "oracle.npz", **found)


def moved(name: str, x: np.ndarray) -> np.ndarray:
    """In f32, and a little off: zeros and ones would hide that two were confused."""
    if x.dtype.kind != "f":
        return x
    draws = x.ndim < 2 or not x.any()
    offset = drawn({"shape": x.shape, "dtype": "f32", "normal": [0, 0.05]}, name, {}) if draws else 0
    return (x + offset).astype(np.float32)


class Process:
    def __init__(self, arm: str, python: str, limit: float) -> None:
        entry = tomllib.loads((HERE / "index.toml").read_text())[arm]
        self.process = subprocess.Popen(
            [python, str(HERE / entry["file"])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=tempfile.TemporaryFile(mode="w+"),  # noqa: SIM115
            text=True,
        )
        self.timer = threading.Timer(limit, self.process.kill)
        self.timer.start()
        self.load = {"arm": arm, "style": entry["style"], "options": entry.get("options", {})}

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            return {"error": f"ended with {self.process.wait()}"}
        return json.loads(line)


def tried(process: Process, request: dict[str, Any], tolerance: float, seconds: float) -> str:
    told = process.ask(request)
    if refusal := {"cannot", "missing", "error"} & set(told):
        return f"{refusal.pop()}: {told}"
    if told["threads_seen"] not in (None, request["threads"]):
        return f"threads: {told}"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "out.npz"
        first = process.ask({"do": "first", "steps": STEPS, "to": str(path)})
        if "error" in first:
            return f"error: {first}"
        with np.load(path) as found, np.load(Path(request["folder"]) / "oracle.npz") as wanted:
            faults = [
                f"{n}: {error:.1e}"
                for n in wanted
                if not (error := distance(found, n, wanted[n])) <= tolerance
            ]
            worst = max(distance(found, n, wanted[n]) for n in wanted)
    if faults:
        return f"wrong: {', '.join(faults)}"
    if seconds == 0:
        return f"right ({worst:.0e})"
    warm = process.ask({"do": "warm", "seconds": seconds / 2, "most": 200})
    timed = process.ask({"do": "time", "seconds": seconds, "samples": 20})
    last = process.ask({"do": "stop"})
    if fault := next((x["error"] for x in (warm, timed, last) if "error" in x), None):
        return f"error: {fault}"
    took = float(np.median(timed["samples"]))
    return (
        f"right ({worst:.0e}) {took * 1e3:9.3f} ms, cpu {np.median(timed['cpu']) * 1e3:9.3f} ms, "
        f"first {first['seconds'][0]:.2f} s, import {told['import_s']:.1f} s, load {told['load_s']:.1f} s, "
        f"compile {told['compile_s']:.1f} s, {last['peak_bytes'] >> 20} MiB"
    )


def distance(found: Arrays, name: str, wanted: np.ndarray) -> float:
    if name not in found or found[name].shape != wanted.shape or not np.isfinite(found[name]).all():
        return float("inf")
    return float(np.abs(found[name] - wanted).max() / np.abs(wanted).max())


def main() -> None:
    entries = registry()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("arms", nargs="+", help="of index.toml")
    parser.add_argument("--models", default=",".join(entries))
    parser.add_argument("--modes", default="infer,train")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", default="f32")
    parser.add_argument("--seconds", type=float, default=0.5, help="0: only whether it is right")
    parser.add_argument("--limit", type=float, default=600, help="seconds that one arm may take")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "dlc-cells")
    parser.add_argument("--dlc", help="the binary; else $DLC, else target/release/dlc")
    parser.add_argument("--python", default=sys.executable)
    arguments = parser.parse_args()
    dlc, bad = Dlc.find(arguments.dlc), 0
    for name in arguments.models.split(","):
        for mode in arguments.modes.split(","):
            for batch in batches(entries[name], mode)[:1]:
                try:
                    request = prepared(dlc, name, mode, batch, arguments.folder)
                except DlcError as fault:
                    print(f"{name} {mode} {batch}: no oracle: {fault}", flush=True)
                    continue
                for arm in arguments.arms:
                    tolerance = entries[name].get("tolerance", 1e-4)
                    if arguments.precision == "bf16":
                        tolerance = 3e-2
                    process = Process(arm, arguments.python, arguments.limit)
                    asked = {**request, **process.load, "threads": arguments.threads}
                    asked["precision"] = arguments.precision
                    said = tried(process, asked, tolerance, arguments.seconds)
                    process.timer.cancel()
                    process.process.kill()
                    bad += not said.startswith(("right", "cannot", "missing"))
                    print(f"{arm:<16} {name:<12} {mode:<5} {batch:>3} {said}", flush=True)
    raise SystemExit(bad > 0)


if __name__ == "__main__":
    main()
