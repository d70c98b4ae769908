"""How the default model's adapter is made. No part of the product, which does not import it."""
