"""Made scenes: two frames of textured planes with exact flow and occlusion."""
