"""python -m benchmarks training: speed of training."""
