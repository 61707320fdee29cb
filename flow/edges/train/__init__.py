"""`python -m flow.edges.train`: teach the edge network the boundaries of BSDS500."""
