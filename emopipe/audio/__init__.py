"""The audio model: layer pooling, pooling over frames, heads, tasks, training and prediction."""
