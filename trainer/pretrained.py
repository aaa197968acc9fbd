"""A diffusers model from a folder, with exactly the weights that its config asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trainer.files import one_line


def load_model(kind: Any, folder: Path, variant: str | None = None, pickled: bool = False) -> Any:
    """`kind.from_pretrained`, from this disk alone. Raises ValueError with one line where the weights do not fit.

    variant: of the files' names, such as fp16. pickled: whether they are .bin, of which weights alone are read.
    diffusers itself fills weights that are missing with random numbers, and passes over those that are left.
    """
    from diffusers.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity(logging.CRITICAL)  # what it warns of is refused here
    logging.disable_progress_bar()
    try:
        model, info = kind.from_pretrained(
            folder,
            low_cpu_mem_usage=False,
            use_safetensors=not pickled,
            variant=variant,
            local_files_only=True,
            output_loading_info=True,
        )
    except Exception as error:  # diffusers and safetensors raise many kinds; all mean that these weights do not fit
        raise ValueError(one_line(error)) from None
    finally:
        logging.set_verbosity(before)
    for what in ("missing", "unexpected", "mismatched"):
        names = sorted(str(name) for name in info[f"{what}_keys"])
        if names:
            raise ValueError(f"{len(names)} {what} weights, such as {names[0]}: config.json and weights do not fit")
    model.register_to_config(_name_or_path="")  # else a folder of this machine goes into what is saved of it
    return model
