"""Searches among sampled joint actions, of any model that comes in as functions."""
