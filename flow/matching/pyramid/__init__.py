"""Searches from coarse to fine on pyramids of descriptors."""
