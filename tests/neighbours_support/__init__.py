"""Logs for the tests of neighbours."""
