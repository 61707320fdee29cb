"""python -m benchmarks stages: what each part of the dense stages brings."""
