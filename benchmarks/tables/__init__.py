"""python -m benchmarks tables: the tables that the docs hold."""
