"""Frame pairs and their truth in the folder trees that data sets are published in."""
