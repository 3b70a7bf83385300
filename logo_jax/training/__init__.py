"""Training: components arrive as arguments and are put together here."""
