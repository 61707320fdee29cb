"""Two images to a dense flow field: matching, interpolation, refinement, and the pipeline over them."""
