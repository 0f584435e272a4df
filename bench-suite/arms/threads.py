"""How many threads a framework computes with: told before it is imported, and asked of it afterwards.

What holds for all is the set of processors that the process may use (`protocol.pin`): XLA makes its pool of
threads as large as that set, and offers no other number but one.
"""

from __future__ import annotations

import os
from pathlib import Path

# The threads that compute, by the names that XLA gives them
POOL = "tf_XLAEigen"


def tell_jax(threads: int) -> None:
    """Before the first use of JAX. The processors must be set before as well."""
    flags = [os.environ.get("XLA_FLAGS", ""), f"--xla_cpu_multi_thread_eigen={str(threads > 1).lower()}"]
    os.environ["XLA_FLAGS"] = " ".join([*filter(None, flags), f"intra_op_parallelism_threads={threads}"])
    os.environ["JAX_PLATFORMS"] = "cpu"
    # Unasked, it looks for accelerators and says so.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def seen_by_jax() -> int:
    """The threads of its pool, of which no more than there are processors compute at a time."""
    names = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
    return min(max(names.count(POOL), 1), len(os.sched_getaffinity(0)))


def tell_tensorflow(threads: int) -> None:
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)


def seen_by_tensorflow() -> int:
    import tensorflow as tf

    return tf.config.threading.get_intra_op_parallelism_threads()


def tell_torch(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)
    torch.set_num_interop_threads(1)


def seen_by_torch() -> int:
    import torch

    return torch.get_num_threads()
