"""Verification of pairs: protocol, figures, what is compared, LFW."""
