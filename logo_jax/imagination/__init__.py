"""Going on in a world model from recorded states, and what is made of it."""
