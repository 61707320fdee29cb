"""`python -m flow.completion.train`: teach the network that chooses the motion of what cannot be matched."""
