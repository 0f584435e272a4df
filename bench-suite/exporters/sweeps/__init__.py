"""Many small configurations of one function each: `python -m exporters.sweeps` rewrites `references/sweeps`."""
