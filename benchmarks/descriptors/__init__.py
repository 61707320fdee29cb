"""python -m benchmarks descriptors: how well descriptors find the true match."""
