"""Many small configurations, one function each: `python -m exporters.sweeps` rewrites `references/sweeps`."""
