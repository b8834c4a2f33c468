"""A study on somebody's Ray cluster: what travels there, and how to speak with it."""
