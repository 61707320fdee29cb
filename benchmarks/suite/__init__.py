"""python -m benchmarks suite: the flow benchmark on all data sets of a folder."""
