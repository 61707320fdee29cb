"""The result of the pipeline: what it holds, and what is made of it."""
