"""The user's config.toml, and which of several sources of a value counts."""
