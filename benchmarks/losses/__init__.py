"""python -m benchmarks losses: which loss teaches descriptors best, at one budget and at a longer one."""
