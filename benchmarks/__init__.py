"""Measuring: optical flow, its stages and the descriptors on public data sets, beside public methods."""
