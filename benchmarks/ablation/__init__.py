"""python -m benchmarks ablation: losses and normalisations."""
