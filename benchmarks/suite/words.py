"""Words of the suite; nothing here is slow to import."""

PLACE = "{dataset}"
"""Stands for the name of the data set in `NAME=FOLDER`."""
