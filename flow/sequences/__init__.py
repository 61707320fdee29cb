"""Flow through a sequence of frames: a video, a folder, a list of pairs."""
