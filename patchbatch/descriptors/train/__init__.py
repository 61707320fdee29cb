"""Training: samples, the loss of a batch, the loop and its command."""
