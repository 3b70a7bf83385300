"""Whole runs: begun, gone on with, measured, played back."""
