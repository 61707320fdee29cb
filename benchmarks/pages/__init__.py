"""The page of a flow benchmark: curves, and a viewer of every pair, opened without a network."""
