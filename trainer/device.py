"""Where tensors live."""

from __future__ import annotations

import torch

from trainer.errors import UserError
from trainer.files import one_line


def choose_device(name: str | None) -> torch.device:
    """The named device, or a GPU where there is one. Raises UserError."""
    torch.backends.cudnn.allow_tf32 = False  # what is not under autocast is fp32 in convolutions too
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = one_line(str(error).partition("\n")[0])
        raise UserError(f"--device {name}: cannot be used here ({reason}); take cpu") from None
    return device
