"""What several world models are made of."""
