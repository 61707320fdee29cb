"""What descriptors learn from."""
