"""Keeping a model current: warm start, and the loop over daily logs."""
