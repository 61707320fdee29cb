"""python -m benchmarks flow: optical flow on public data sets."""
