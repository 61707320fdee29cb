"""python -m benchmarks transfer: whether the multiverse transfers."""
