"""Types of arrays: `Floats` for logits and embedding rows, `Ids` for tokens. It imports numpy."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
"""(V,) logits, (D,) an embedding row, (n, D) several; whoever names one says which."""
Ids = npt.NDArray[np.intp]
"""(n,) tokens."""
