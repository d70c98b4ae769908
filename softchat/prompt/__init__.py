"""From a conversation to prompt tokens: the chat template, its sandbox, the thinking tags."""
