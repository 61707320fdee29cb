"""`patchbatch-flow show`: a picture of a flow file."""
