"""A conversation, and the backend that generates its answers: here or in a worker process."""
