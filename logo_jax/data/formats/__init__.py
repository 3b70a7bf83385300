"""Datasets that others have published, opened as they are."""
