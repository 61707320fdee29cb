"""How a network is evaluated fast: whole images at once, patch by patch, scales brought together."""
