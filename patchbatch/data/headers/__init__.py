"""What the header of an image file promises, checked before a decoder is let loose on it.

Decoders trust headers: a small file that claims a billion pixels makes them ask for that memory, and
several fill a cut file up with grey and say nothing. Here the claims are compared with the bytes.
"""
