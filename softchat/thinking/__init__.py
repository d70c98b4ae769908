"""Soft thinking itself: the loop, concept tokens, strategies, halting. No model, no terminal."""
