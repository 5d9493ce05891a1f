"""Int8 quantization of embeddings: a float32 scale and int8 values of (x - mean), a quarter of the size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def compact(embeddings: Floats, mean: Floats) -> list[bytes]:
    """Quantize: return 4 + dim bytes for each row of `embeddings`, shape (n, dim)."""
    centred = embeddings - mean
    scales = np.maximum(np.abs(centred).max(axis=1, initial=0.0), 1e-12) / 127.0
    values = np.rint(centred / scales[:, None]).astype(np.int8)
    return [scale.tobytes() + row.tobytes() for scale, row in zip(scales.astype("<f4"), values, strict=True)]


def scales_and_values(stored: Sequence[bytes], dim: int) -> tuple[Floats, NDArray[np.int8]]:
    """Return the scales, shape (n,), and the values, shape (n, dim), of rows from `compact`."""
    kind = np.dtype([("scale", "<f4"), ("values", "i1", (dim,))])
    rows = np.frombuffer(b"".join(stored), kind)
    return rows["scale"], rows["values"]


def centred(stored: Sequence[bytes], dim: int) -> Floats:
    """Dequantize: return (x - mean) as float32 of shape (n, dim) for values from `compact`."""
    scales, values = scales_and_values(stored, dim)
    expanded: Floats = values.astype(np.float32) * scales[:, None]
    return expanded
