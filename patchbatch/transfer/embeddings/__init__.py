"""Face embeddings by name or file: from photographs to crops, to vectors, to the probability of one person."""
