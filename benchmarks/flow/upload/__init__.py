"""Flow fields on disk, and the archives that servers of data sets take."""
