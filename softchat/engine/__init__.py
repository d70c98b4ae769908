"""The engine: tokens or embedding rows in, logits out. The one place that knows llama.cpp."""
