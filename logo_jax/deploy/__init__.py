"""Policies that leave the house: loaded from a run, played anywhere, exported."""
