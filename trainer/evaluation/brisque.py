"""Quality without a truth, by the package `brisque`, which carries its own model: `pip install 'mmaif[quality]'`."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from trainer.data.images import Image


def brisque(image: Image) -> float | None:
    """BRISQUE of (H, W, 3) uint8 RGB: about 0 (natural) to 100 (distorted), lower is better; None without the package.

    Mittal, Moorthy, Bovik, "No-reference image quality assessment in the spatial domain", TIP 2012.
    """
    model = _model()
    return None if model is None else float(model.score(image))


@lru_cache
def _model() -> Any:
    try:
        from brisque import BRISQUE
    except ImportError:
        return None

    class Mended(BRISQUE):
        """Its features come as arrays of one number, which numpy 2.4 makes no number of."""

        def scale_features(self, features: Any) -> Any:
            return super().scale_features([np.asarray(feature).item() for feature in features])

    return Mended(url=False)
