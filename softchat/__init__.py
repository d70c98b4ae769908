"""softchat: chat with a local model that thinks in concept tokens, and watch it happen."""

__version__ = "0.1.0"
