"""python -m benchmarks matching: ways to match the same descriptors."""
