"""What comes from outside, checked so that each fault is told in one line."""
