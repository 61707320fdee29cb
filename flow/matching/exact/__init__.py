"""Exact nearest neighbours of all descriptors."""
