"""The session that people stay in: a prompt, slash commands, and turns of one conversation."""
