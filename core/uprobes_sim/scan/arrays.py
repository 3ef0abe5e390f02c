"""Types of arrays, by what is in them. `numpy.typing` costs 20 ms, so only mypy imports it."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    AnyArray = npt.NDArray[Any]
    Bools = npt.NDArray[np.bool_]
    Uint8s = npt.NDArray[np.uint8]
    Uint16s = npt.NDArray[np.uint16]
    Uint32s = npt.NDArray[np.uint32]
    Uint64s = npt.NDArray[np.uint64]
    Int16s = npt.NDArray[np.int16]
    Int64s = npt.NDArray[np.int64]
else:
    AnyArray = Bools = Uint8s = Uint16s = Uint32s = Uint64s = Int16s = Int64s = Any
