"""The patch network of Table 1 and its parts."""
