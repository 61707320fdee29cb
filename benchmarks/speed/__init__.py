"""python -m benchmarks speed: seconds, memory, share of the machine's limit."""
