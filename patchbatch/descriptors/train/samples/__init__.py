"""What is learned from: made scenes and real pairs, cropped and changed in light."""
