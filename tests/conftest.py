"""What all tests share: the real model, fetched once, and where this machine keeps it."""
