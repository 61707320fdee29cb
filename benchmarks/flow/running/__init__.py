"""How a measurement is run: scoring, results kept as they are made, processes, progress."""
