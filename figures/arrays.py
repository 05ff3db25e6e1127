"""The array type of all figures; a separate module, because ``figures.stats`` imports scipy, which takes 0.3 s."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
