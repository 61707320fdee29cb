"""The multiverse head, trunks for it, and what its copies come to."""
