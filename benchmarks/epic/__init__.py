"""python -m benchmarks epic: beside the original EpicFlow program."""
