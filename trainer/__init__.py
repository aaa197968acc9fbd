"""The trainer of MMAIF: streams shards into a latent diffusion transformer, and fuses pairs with what it learned.

    from trainer import Fuser, load_autoencoder

Both are imported when they are first used, so that `import trainer` stays free of torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainer.frozen.loading import load_autoencoder
    from trainer.inference.fuser import Fuser

__all__ = ["Fuser", "load_autoencoder"]

_HOMES = {"Fuser": "trainer.inference.fuser", "load_autoencoder": "trainer.frozen.loading"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'trainer' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
