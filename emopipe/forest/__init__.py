"""From valence, arousal and dominance to an emotion."""
