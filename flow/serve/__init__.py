"""A page of one's own machine: two images are dropped, their flow comes out."""
