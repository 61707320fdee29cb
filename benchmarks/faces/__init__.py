"""python -m benchmarks faces: verification on LFW."""
