"""python -m benchmarks confidence: how far the dense flow's confidence and occlusion can be trusted."""
