"""What can be set, and by what names."""
