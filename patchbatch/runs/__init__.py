"""What long runs share: results kept as they are made, what those depend on, several processes."""
