"""Runs and sessions on disk: written as they happen, read back, replayed."""
