"""The `dlc` binary, and the libraries that it compiles, called through their C interface."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

DTYPES = {
    "f64": np.float64,
    "f32": np.float32,
    "i64": np.int64,
    "i32": np.int32,
    "i16": np.int16,
    "i8": np.int8,
    "u8": np.uint8,
    "bool": np.bool_,
}
Arrays = dict[str, np.ndarray]


class DlcError(Exception):
    """What the compiler, or compiled code, says went wrong."""


@dataclass
class Dlc:
    binary: Path

    @classmethod
    def find(cls, given: str | None) -> Dlc:
        """From `--dlc`, else `$DLC`, else the release build of this tree."""
        built = Path(__file__).resolve().parent.parent / "target" / "release" / "dlc"
        binary = Path(given or os.environ.get("DLC") or built)
        if not binary.is_file():
            raise SystemExit(f"there is no dlc at {binary}: give it with --dlc or in DLC")
        return cls(binary.resolve())

    def call(self, *arguments: str | Path, timeout: float = 120) -> str:
        command = [str(self.binary), *map(str, arguments), "--color", "never"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
        except subprocess.TimeoutExpired:
            raise DlcError(f"no answer within {timeout:.0f} s") from None
        if done.returncode != 0:
            raise DlcError(f"exit {done.returncode}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def version(self) -> str:
        return self.call("--version").strip()

    def compile(self, source: Path, folder: Path, *options: str) -> Path:
        self.call("compile", source, "--output", folder, *options)
        return folder


class Artifact:
    """A compiled model, loaded into this process."""

    def __init__(self, folder: Path, *, threads: int = 1, total_steps: int = 0) -> None:
        (library,) = folder.glob("lib*.so")
        self.prefix = library.stem.removeprefix("lib")
        self.library = ctypes.CDLL(str(library.resolve()))
        manifest = json.loads((folder / f"{self.prefix}.json").read_text())
        self.entries = {entry["name"]: entry for entry in manifest["entries"]}
        self.handle = ctypes.c_void_p()
        message = ctypes.create_string_buffer(512)
        options = _Options(ctypes.sizeof(_Options), threads, None, None, total_steps)
        create = self._function("create")
        if create(ctypes.byref(options), ctypes.byref(self.handle), message, len(message)) != 0:
            raise DlcError(message.value.decode())

    def load(self, path: Path) -> None:
        self.check(self._function("load")(self.handle, str(path).encode()))

    def save(self, path: Path) -> Arrays:
        self.check(self._function("save")(self.handle, str(path).encode()))
        return load_file(path)

    def init(self, seed: int) -> None:
        self.check(self._function("init")(self.handle, ctypes.c_int64(seed)))

    def bind(self, entry: str, inputs: Arrays, dims: dict[str, int] | None = None) -> Call:
        """A call with all its arguments made ready: calling it again costs a foreign call and no more."""
        return Call(self, entry, inputs, dims or {})

    def close(self) -> None:
        self._function("destroy")(self.handle)
        self.handle = ctypes.c_void_p()

    def check(self, status: int) -> None:
        if status != 0:
            last_error = self._function("last_error")
            last_error.restype = ctypes.c_char_p
            raise DlcError(f"status {status}: {(last_error(self.handle) or b'').decode()}")

    def _function(self, name: str) -> ctypes._CFuncPtr:
        return self.library[f"{self.prefix}_{name}"]


class Call:
    """One entry point on fixed arrays. `outputs` holds the results of the latest call."""

    def __init__(self, artifact: Artifact, entry: str, inputs: Arrays, dims: dict[str, int]) -> None:
        info = artifact.entries[entry]
        self.artifact = artifact
        self.function = artifact.library[f"{artifact.prefix}_{entry}"]
        sizes = dict(dims)
        self.inputs: Arrays = {}
        for arg in info["args"]:
            if arg["role"] != "input":
                continue
            array = np.asarray(inputs[arg["name"]], DTYPES[arg["dtype"]], order="C")
            # An axis that is one symbol alone gives that symbol its size.
            sizes |= {
                axis: n for axis, n in zip(arg["shape"], array.shape, strict=True) if axis in info["symbols"]
            }
            self.inputs[arg["name"]] = array
        self.outputs: Arrays = {}
        for result in info["results"]:
            if result["role"] in ("weight", "state", "optimizer"):
                continue
            shape = [_size(axis, sizes) for axis in result["shape"]]
            self.outputs[result["name"]] = np.zeros(shape, DTYPES[result["dtype"]])
        arrays = [*self.inputs.values(), *self.outputs.values()]
        self.arguments = [artifact.handle, *(ctypes.c_int64(sizes[s]) for s in info["symbols"])]
        self.arguments += [ctypes.c_void_p(array.ctypes.data) for array in arrays]

    def __call__(self) -> None:
        status = self.function(*self.arguments)
        if status != 0:
            self.artifact.check(status)


class _Options(ctypes.Structure):
    _fields_ = (
        ("struct_size", ctypes.c_size_t),
        ("threads", ctypes.c_int32),
        ("parallel_for", ctypes.c_void_p),
        ("parallel_for_user", ctypes.c_void_p),
        ("total_steps", ctypes.c_int64),
    )


def _size(axis: str, sizes: dict[str, int]) -> int:
    """An axis of the manifest: a number, or a formula over dimensions."""
    if axis.isdigit():
        return int(axis)
    if axis in sizes:
        return sizes[axis]
    raise DlcError(f"the size `{axis}` is a formula: fix its dimensions with --bind")


def write_weights(path: Path, weights: Arrays) -> Path:
    save_file({name: np.array(array, order="C") for name, array in weights.items()}, path)
    return path
