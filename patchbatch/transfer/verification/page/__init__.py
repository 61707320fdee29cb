"""The page of a verification: curves, scores and the worst errors."""
