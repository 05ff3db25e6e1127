"""The array type of all figures; in a module of its own, because ``figures.stats`` needs scipy, which takes 0.3 s to import."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
