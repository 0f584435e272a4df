"""What a measurement depends on besides the code, written beside every result."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

FLAGS = ("avx2", "fma", "avx512f", "avx512_bf16", "avx512_vnni", "amx_tile")


def block(dlc: str) -> dict:
    info = _cpu()
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": info.get("model name", platform.processor()),
        "family": f"{info.get('cpu family')}.{info.get('model')}",
        "cores": len(os.sched_getaffinity(0)),
        "flags": [flag for flag in FLAGS if flag in info.get("flags", "").split()],
        "virtual": "hypervisor" in info.get("flags", "").split(),
        "caches": _caches(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "kernel": platform.release(),
        "load": os.getloadavg(),
        "commit": _commit(),
        "versions": {
            "dlc": dlc,
            "python": platform.python_version(),
            "torch": version("torch"),
            "numpy": version("numpy"),
        },
    }


class Shares:
    """Where the machine's time went since this was made: to its host (`steal`), to other work (`others`)."""

    def __init__(self) -> None:
        self.before = _ticks()
        self.own = sum(os.times()[:4])

    def now(self) -> dict[str, float]:
        after = _ticks()
        passed = [b - a for a, b in zip(self.before, after, strict=True)]
        total = max(sum(passed), 1)
        idle, steal = passed[3] + passed[4], passed[7]
        own = (sum(os.times()[:4]) - self.own) * os.sysconf("SC_CLK_TCK")
        return {"steal": steal / total, "others": max(total - idle - steal - own, 0) / total}


def _ticks() -> list[int]:
    """user, nice, system, idle, iowait, irq, softirq, steal of all cores."""
    return [int(word) for word in Path("/proc/stat").read_text().split()[1:9]]


def _cpu() -> dict[str, str]:
    first = Path("/proc/cpuinfo").read_text().split("\n\n")[0]
    pairs = (line.partition(":") for line in first.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _caches() -> dict[str, str]:
    found = {}
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = ((folder / part).read_text().strip() for part in ("level", "type", "size"))
        found[f"L{level} {kind.lower()}"] = size
    return found


def _commit() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip()
