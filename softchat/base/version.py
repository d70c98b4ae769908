"""The version of this softchat. pyproject.toml has the same."""

__version__ = "0.1.0"
