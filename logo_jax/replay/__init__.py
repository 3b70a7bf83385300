"""Where imagined transitions are kept, and how all transitions are drawn."""
