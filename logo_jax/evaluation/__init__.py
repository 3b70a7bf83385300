"""Playing policies and measuring world models."""
