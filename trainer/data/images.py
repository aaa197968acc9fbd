"""Image files and arrays: bytes in, (H, W, 3) uint8 RGB out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from trainer.errors import UserError
from trainer.files import one_line

Image = np.ndarray
"""(H, W, 3) uint8, sRGB."""


def decode_member(data: bytes | memoryview, name: str) -> Image:
    """A PNG or JPEG member of a shard; grey becomes three equal channels. JPEG by simplejpeg, the codec that wrote it.

    Raises ValueError where the bytes are no image.
    """
    if name.endswith((".jpg", ".jpeg")):
        import simplejpeg

        try:
            return simplejpeg.decode_jpeg(data, colorspace="RGB")
        except MemoryError:
            raise ValueError("its header asks for more memory than there is") from None
    return _decode(data)


def read_image(path: str | Path) -> Image:
    """Any image file that OpenCV reads, as its orientation tag turns it; 16 bits are brought to 8. Raises UserError."""
    try:
        return _decode(Path(path).read_bytes())
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from None
    except ValueError as error:
        raise UserError(
            f"{path}: {error}: OpenCV cannot decode it; give a PNG, JPEG, TIFF, WebP or BMP, of a sane size"
        ) from None


def write_image(path: Path, image: Image) -> None:
    """Writes (H, W, 3) RGB; the folder is made where it is missing. Raises UserError."""
    import cv2

    check_writable(path)
    ok, data = cv2.imencode(path.suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    if not ok:
        raise UserError(f"{path}: {image.shape[1]}x{image.shape[0]} px cannot be written as {path.suffix}; take .png")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.tobytes())
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error}); name another place") from None


def check_writable(path: Path) -> None:
    """Raises UserError where `write_image` would refuse the name, so that it shows before any work."""
    import cv2

    try:
        writer = bool(path.suffix) and cv2.haveImageWriter(path.name)
        taken = path.is_dir()
        above = next((parent for parent in path.parents if parent.exists()), None)
    except (OSError, ValueError) as error:
        raise UserError(f"--out {path}: no file can have this name ({one_line(error)})") from None
    if not writer:
        raise UserError(f"{path}: no picture format of this name; end it with .png, .jpg, .webp, .tif or .bmp")
    if taken:
        raise UserError(f"--out {path}: is a folder; name a file in it")
    if above is not None and not above.is_dir():
        raise UserError(f"--out {path}: {above} is a file, not a folder; name another place")


def as_rgb(image: np.ndarray, name: str) -> Image:
    """(H, W), (H, W, 1) or (H, W, 3) uint8 as (H, W, 3). Raises UserError that calls the image `name`."""
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3)):
        raise UserError(
            f"image {name}: shape {image.shape} of {image.dtype}; give uint8 of shape (H, W), (H, W, 1) or (H, W, 3)"
        )
    if image.ndim == 2:
        image = image[:, :, None]
    return np.ascontiguousarray(np.broadcast_to(image, (*image.shape[:2], 3)))


def to_tensor(images: list[Image], device: torch.device) -> torch.Tensor:
    """B images of one size as (B, 3, H, W) float32 in [-1, 1]."""
    return from_bytes(torch.from_numpy(np.stack(images)).to(device))


def from_bytes(images: torch.Tensor) -> torch.Tensor:
    """(B, H, W, 3) uint8 as (B, 3, H, W) float32 in [-1, 1]."""
    first = images.permute(0, 3, 1, 2)
    return first.to(torch.float32, memory_format=torch.contiguous_format).div_(127.5).sub_(1)


def to_bytes(x: torch.Tensor) -> torch.Tensor:
    """Any shape in [-1, 1] as uint8, rounded and clipped."""
    return (x.float() + 1).mul_(127.5).round_().clamp_(0, 255).to(torch.uint8)


def to_images(x: torch.Tensor) -> list[Image]:
    """(B, 3, H, W) in [-1, 1] as B images, rounded and clipped: the inverse of `to_tensor`."""
    return list(to_bytes(x).permute(0, 2, 3, 1).cpu().numpy())


def _decode(data: bytes | memoryview) -> Image:
    import cv2

    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB) if data else None
    except (cv2.error, MemoryError) as error:  # a header may ask for any size
        raise ValueError(f"not an image that can be held ({one_line(getattr(error, 'err', error))})") from None
    if image is None:
        raise ValueError("not an image")
    return image
