"""Holds `references/` against `dlc`: values, gradients, training steps, whole models.

Arrays agree when max |a - b| <= tol * max |b|; the gradients of a model are held against the largest of them.
What `dlc` does not support yet, or does not know, is listed apart and is no failure; other differences are.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from dlc import Arrays, Artifact, Dlc, DlcError, write_weights

SUITE = Path(__file__).resolve().parent
TOLERANCE = {"f32": 1e-5, "f64": 1e-12}
NETWORK = {"f32": 1e-4, "f64": 1e-9}
FLOATS = {"f32": np.float32, "f64": np.float64}
# "not supported yet", or a name that the library does not have
UNSUPPORTED = re.compile(r"E05\d\d|E0201")


@dataclass
class Outcome:
    family: str
    name: str
    precision: str
    status: str  # "same", "different", "unsupported", "error"
    detail: str = ""


class Checker:
    def __init__(self, dlc: Dlc, references: Path, scratch: Path) -> None:
        self.dlc = dlc
        self.references = references
        self.scratch = scratch

    def case(self, family: str, entry: dict, arrays: Arrays, precision: str) -> Outcome:
        name = entry["name"]
        folder = self.scratch / f"{family}.{name}.{precision}"
        folder.mkdir()

        def group(kind: str, names: list[str]) -> Arrays:
            found = {n: arrays[f"{name}/{kind}/{n}"] for n in names}
            return {n: x.astype(FLOATS[precision]) if x.dtype.kind == "f" else x for n, x in found.items()}

        source = folder / "case.model"
        source.write_text(entry["source"])
        inputs = group("in", entry["inputs"])
        run = {"run": self._run, "grad": self._grad, "train": self._train}[entry["kind"]]

        def attempt() -> str:
            results = run(folder, source, inputs, group("weight", entry["weights"]), precision, entry)
            tolerance = entry.get("tolerance", TOLERANCE)[precision]
            wanted = {n: arrays[f"{name}/f64/{n}"] for n in entry["outputs"]}
            largest = max(float(np.abs(b).max(initial=0)) for n, b in wanted.items() if n != "loss")
            if entry["kind"] == "run" and "y" in wanted and wanted["y"].dtype.kind != "f":
                tolerance = 0
            scale = largest if entry["kind"] == "grad" else None
            faults = [difference(n, results[n], b, tolerance, scale) for n, b in wanted.items()]
            return "; ".join(filter(None, faults))

        return outcome(family, name, precision, attempt)

    def network(self, name: str, precision: str) -> Outcome:
        stored = self.references / "models" / name
        entry = json.loads((stored / "reference.json").read_text())
        with np.load(stored / "arrays.npz") as file:
            arrays = dict(file)
        wanted = load_file(stored / "gradients.safetensors")
        folder = self.scratch / f"model.{name}.{precision}"
        folder.mkdir()
        text = (SUITE.parent / "models" / entry["file"]).read_text()
        for old, new in entry["replace"].items():
            if old not in text:
                raise ValueError(f"{entry['file']} holds no `{old}`")
            text = text.replace(old, new)
        # What the text states in f32 would be rounded to it at any precision.
        text = text.replace("f32", precision)
        source = folder / entry["file"]
        source.write_text(text)
        options = [f"--set={key}={value}" for key, value in entry["settings"].items()]
        options += [f"--precision={precision}"]
        if entry["model"]:
            options += [f"--model={entry['model']}"]
        weights = {
            n: x.astype(FLOATS[precision]) for n, x in load_file(stored / "weights.safetensors").items()
        }
        batches = []
        for i in range(entry["batches"]):
            batch = {n: arrays[f"{n}.{i}" if i else n] for n in entry["inputs"]}
            batches.append(
                {n: x.astype(FLOATS[precision]) if x.dtype.kind == "f" else x for n, x in batch.items()}
            )

        def attempt() -> str:
            file = write_weights(folder / "w.safetensors", weights)
            np.savez(folder / "in.npz", **batches[0])
            given = ["--input", folder / "in.npz", "--weights", file, "--quiet", *options]
            self.dlc.call("run", source, *given, "--output", folder / "out.npz")
            self.dlc.call("grad", source, *given, "--output", folder / "grads.safetensors")
            with np.load(folder / "out.npz") as found:
                outputs = dict(found)
            grads = load_file(folder / "grads.safetensors")
            largest = max(float(np.abs(g).max()) for g in wanted.values())
            tolerance = NETWORK[precision]
            faults = [difference(n, outputs[n], arrays[f"f64.{n}"], tolerance) for n in entry["outputs"]]
            faults.append(difference("loss", grads["loss"], np.array(entry["loss"]["f64"]), tolerance))
            faults += [difference(f"d {n}", grads[n], g, tolerance, largest) for n, g in wanted.items()]
            steps = len(entry["curve"]["f64"])
            compiled = self.dlc.compile(source, folder / "build", "--with", "train", "--quiet", *options)
            artifact = Artifact(compiled, total_steps=steps)
            artifact.load(file)
            calls = [artifact.bind("step", batch) for batch in batches]
            curve = []
            for step in range(steps):
                call = calls[step % len(calls)]
                call()
                curve.append(float(call.outputs["loss"]))
            artifact.close()
            faults.append(curve_fault(np.array(curve), entry, precision))
            return "; ".join(filter(None, faults))

        return outcome("models", name, precision, attempt)

    def _run(
        self, folder: Path, source: Path, inputs: Arrays, weights: Arrays, precision: str, entry: dict
    ) -> Arrays:
        np.savez(folder / "in.npz", **inputs)
        options = ["--input", folder / "in.npz", "--output", folder / "out.npz"]
        if weights:
            options += ["--weights", write_weights(folder / "w.safetensors", weights)]
        self.dlc.call("run", source, *options, "--precision", precision, "--threads", "1", "--quiet")
        with np.load(folder / "out.npz") as stored:
            return dict(stored)

    def _grad(
        self, folder: Path, source: Path, inputs: Arrays, weights: Arrays, precision: str, entry: dict
    ) -> Arrays:
        np.savez(folder / "in.npz", **inputs)
        file = write_weights(folder / "w.safetensors", weights)
        options = ["--input", folder / "in.npz", "--weights", file, "--output", folder / "grads.safetensors"]
        self.dlc.call("grad", source, *options, "--precision", precision, "--threads", "1", "--quiet")
        return load_file(folder / "grads.safetensors")

    def _train(
        self, folder: Path, source: Path, inputs: Arrays, weights: Arrays, precision: str, entry: dict
    ) -> Arrays:
        options = ["--with", "train", "--precision", precision, "--quiet"]
        artifact = Artifact(self.dlc.compile(source, folder / "build", *options), total_steps=entry["steps"])
        artifact.load(write_weights(folder / "w.safetensors", weights))
        step = artifact.bind("step", inputs)
        losses = []
        for _ in range(entry["steps"]):
            step()
            losses.append(float(step.outputs["loss"]))
        saved = artifact.save(folder / "saved.safetensors")
        artifact.close()
        return {**saved, "loss": np.array(losses)}


def difference(
    name: str, a: np.ndarray, b: np.ndarray, tolerance: float, largest: float | None = None
) -> str | None:
    """What is wrong with `a`, where `b` is the reference."""
    if a.shape != b.shape:
        return f"{name} is {list(a.shape)}, not {list(b.shape)}"
    if b.dtype.kind != "f":
        wrong = int((a != b).sum())
        return f"{name}: {wrong} of {b.size} differ" if wrong else None
    if not np.isfinite(a).all():
        return f"{name} is not finite"
    scale = float(np.abs(b).max(initial=0)) if largest is None else largest
    worst = float(np.abs(a.astype(np.float64) - b).max(initial=0))
    if worst <= tolerance * scale:
        return None
    return f"{name}: {worst:.2e} apart at a size of {scale:.2e}, {tolerance:.0e} allowed"


def curve_fault(found: np.ndarray, entry: dict, precision: str) -> str | None:
    """Updates carry every rounding on: in f64 the first ten are held to 1e-6; in f32 all may be twice as
    far off as PyTorch's own f32 is, and a few units in the last place.
    """
    exact = np.array(entry["curve"]["f64"])
    if precision == "f64":
        return difference("curve", found[:10], exact[:10], 1e-6)
    allowed = 2 * max(entry["spread"]) / float(np.abs(exact).max()) + 8 * float(np.finfo(np.float32).eps)
    return difference("curve", found, exact, allowed)


def outcome(family: str, name: str, precision: str, attempt: object) -> Outcome:
    try:
        fault = attempt()
    except DlcError as error:
        text = str(error)
        status = "unsupported" if UNSUPPORTED.search(text) else "error"
        return Outcome(family, name, precision, status, text.splitlines()[0] if text else "")
    except KeyError as error:
        return Outcome(family, name, precision, "different", f"no {error} among the results")
    return Outcome(family, name, precision, "different" if fault else "same", fault)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dlc", help="the binary; else $DLC, else target/release/dlc")
    parser.add_argument("--only", default="", help="families or cases whose FAMILY/NAME holds this")
    parser.add_argument("--precision", choices=["f32", "f64"], action="append")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", type=Path, help="write every outcome as JSON lines")
    parser.add_argument("--references", type=Path, default=SUITE / "references")
    arguments = parser.parse_args()
    start = time.monotonic()
    index = json.loads((arguments.references / "index.json").read_text())
    networks = sorted(path.parent.name for path in arguments.references.glob("models/*/reference.json"))
    precisions = arguments.precision or ["f32", "f64"]
    with (
        tempfile.TemporaryDirectory(prefix="references-") as scratch,
        ThreadPoolExecutor(arguments.jobs) as jobs,
    ):
        checker = Checker(Dlc.find(arguments.dlc), arguments.references, Path(scratch))
        pending = []
        for family, entries in index["families"].items():
            chosen = [entry for entry in entries if arguments.only in f"{family}/{entry['name']}"]
            arrays = load_file(arguments.references / f"{family}.safetensors") if chosen else {}
            pending += [jobs.submit(checker.case, family, e, arrays, p) for e in chosen for p in precisions]
        chosen = [name for name in networks if arguments.only in f"models/{name}"]
        for name in chosen:
            held = json.loads((arguments.references / "models" / name / "reference.json").read_text())
            known = held.get("precisions", precisions)
            pending += [jobs.submit(checker.network, name, p) for p in precisions if p in known]
        outcomes = [job.result() for job in pending]
    if arguments.json:
        arguments.json.write_text("".join(json.dumps(vars(o)) + "\n" for o in outcomes))
    return report(outcomes, time.monotonic() - start)


def report(outcomes: list[Outcome], seconds: float) -> int:
    for status in ("unsupported", "error", "different"):
        for o in outcomes:
            if o.status == status:
                print(f"{status:<12} {o.family}/{o.name} {o.precision}: {o.detail}")
    count = Counter(o.status for o in outcomes)
    print(
        f"{count['same']} of {len(outcomes)} agree; {count['different']} differ, {count['error']} fail, "
        f"{count['unsupported']} are not supported yet; {seconds:.0f} s"
    )
    return 1 if count["different"] or count["error"] or not outcomes else 0


if __name__ == "__main__":
    sys.exit(main())
