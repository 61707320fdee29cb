"""python -m benchmarks projection: shorter descriptors."""
