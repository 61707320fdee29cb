"""Face embeddings: from photographs to crops, to vectors, to the probability of one person."""
