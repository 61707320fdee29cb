"""Joint Bayesian: the model, its fits, its eigen-form, its files."""
