"""Image files as people have them: 8 and 16 bits, palettes, alpha, CMYK, orientations, profiles, and broken ones."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from synth.errors import UnreadableError
from synth.images import codecs
from synth.images.headers import MOST_PIXELS, read_header
from synth.pairs.folder import OUTSIDE, FolderSource
from synth.pairs.source import LeftOut
from synth.recipe.schema import Recipe
from synth.sample.plan import make_plan
from synth.sample.render import render
from tests.synth.helpers import photograph

PICTURE = photograph(48, 64)
FORMATS = {"PNG": {}, "TIFF": {}, "WEBP": {"lossless": True}, "BMP": {}, "JPEG": {"quality": 95, "subsampling": 0}}


def file(image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(buffer, kind, **options)
    return buffer.getvalue()


def near(one, other, tolerance: float = 3.0) -> bool:
    return one.shape == other.shape and float(np.abs(one.astype(float) - other).mean()) <= tolerance


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size, and holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    start = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + start + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def bomb(kind: str) -> bytes:
    """A small file that claims 60,000 × 60,000 pixels, or the most its format can say."""
    if kind == "PNG":
        return png_header(60_000, 60_000)
    data = bytearray(file(PICTURE, kind, **FORMATS[kind]))
    if kind == "BMP":
        data[18:26] = struct.pack("<ii", 60_000, 60_000)
    elif kind == "JPEG":
        at = data.index(b"\xff\xc0") + 5
        data[at : at + 4] = struct.pack(">HH", 60_000, 60_000)
    elif kind == "WEBP":
        data[21:25] = struct.pack("<I", 0x3FFF | 0x3FFF << 14)
    else:
        with Image.open(io.BytesIO(bytes(data))) as image:
            assert image.tag_v2[256] == PICTURE.shape[1]  # type: ignore[attr-defined]
        at = struct.unpack("<I", data[4:8])[0] + 2
        for entry in range(at, at + 24, 12):  # width and height come first: tags stand in order
            data[entry + 2 : entry + 12] = struct.pack("<HII", 4, 1, 60_000)
    return bytes(data)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("colour", [True, False])
def test_every_format_is_read(kind, colour):
    image = PICTURE if colour else PICTURE[:, :, 1]
    read = codecs.decode_picture(file(np.ascontiguousarray(image), kind, **FORMATS[kind]))
    if kind == "WEBP":  # which always has colour
        image = PICTURE if colour else image[:, :, None].repeat(3, 2)
    assert near(read.image, image)
    assert read.notes == ()
    assert read.stretch is None


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_exif_orientation_is_applied(kind, orientation, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = file(PICTURE, kind, exif=exif, **FORMATS[kind])
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))
    picture = codecs.decode_picture(data)
    assert near(picture.image, expected, 0.5)
    assert bool(picture.notes) == (orientation > 1)
    (tmp_path / "x").write_bytes(data)
    assert read_header(tmp_path / "x").size == expected.shape[:2]


@pytest.mark.parametrize(
    ("kind", "mode"), [("PNG", "RGBA"), ("TIFF", "RGBA"), ("WEBP", "RGBA"), ("PNG", "LA"), ("TIFF", "LA")]
)
def test_an_alpha_channel_is_dropped(kind, mode):
    image = Image.fromarray(PICTURE).convert(mode)
    image.putalpha(Image.fromarray(PICTURE[:, :, 0]))
    grey = np.asarray(Image.fromarray(PICTURE).convert("L"))
    options = FORMATS[kind] | ({"exact": True} if kind == "WEBP" else {})
    assert near(codecs.decode(file(image, kind, **options)), PICTURE if mode == "RGBA" else grey, 0.1)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_a_palette_is_looked_up(kind):
    image = Image.fromarray(PICTURE).quantize(64)
    assert np.array_equal(codecs.decode(file(image, kind)), np.asarray(image.convert("RGB")))
    if kind == "PNG":
        assert codecs.decode(file(image, kind, transparency=0)).shape == PICTURE.shape


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_becomes_rgb_and_the_record_says_so(kind):
    picture = codecs.decode_picture(
        file(Image.fromarray(PICTURE).convert("CMYK"), kind, **({"quality": 95} if kind == "JPEG" else {}))
    )
    assert near(picture.image, PICTURE)
    assert picture.notes == ("CMYK converted without its profile",)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_a_colour_profile_is_ignored_and_noted_unless_it_is_srgb(kind):
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    plain = codecs.decode(file(PICTURE, kind, **FORMATS[kind]))
    assert codecs.decode_picture(file(PICTURE, kind, icc_profile=srgb, **FORMATS[kind])).notes == ()
    other = codecs.decode_picture(
        file(PICTURE, kind, icc_profile=srgb.replace(b"s\0R\0G\0B", b"w\0i\0d\0e"), **FORMATS[kind])
    )
    assert other.notes == ("colour profile ignored",)
    assert np.array_equal(other.image, plain)


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
@pytest.mark.parametrize("colour", [True, False])
def test_16_bits_are_divided_by_257(suffix, colour):
    image = PICTURE if colour else np.ascontiguousarray(PICTURE[:, :, 1])
    deep = image.astype(np.uint16) * 257 + np.uint16(100) * (image < 255)
    data = cv2.imencode(suffix, cv2.cvtColor(deep, cv2.COLOR_RGB2BGR) if colour else deep)[1].tobytes()
    picture = codecs.decode_picture(data)
    assert np.array_equal(picture.image, image)
    assert picture.notes == ("16 bits divided by 257",)


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_16_bit_infrared_is_stretched_between_its_percentiles(suffix):
    counts = (20_000 + 12 * photograph(160, 200, False).astype(np.uint16)).astype(np.uint16)
    counts[0, 0], counts[0, 1] = 0, 65_535  # a dead pixel and a hot one
    picture = codecs.decode_picture(cv2.imencode(suffix, counts)[1].tobytes(), infrared=True)
    low, high = np.percentile(counts, (0.1, 99.9))
    assert picture.stretch == (low, high)
    expected = np.clip((counts - low) / (high - low) * 255, 0, 255)
    assert np.abs(picture.image - expected).max() <= 0.51
    flat = codecs.decode_picture(cv2.imencode(suffix, np.full((9, 9), 700, np.uint16))[1].tobytes(), infrared=True)
    assert flat.image.max() == 0


@pytest.mark.parametrize("kind", FORMATS)
def test_an_image_bomb_is_refused_before_it_is_decoded(kind, tmp_path):
    data = bomb(kind)
    for read in (codecs.decode, read_header):
        with pytest.raises(UnreadableError, match=r"Mpx|cannot be|can be read"):
            read(data)
    with pytest.raises(UnreadableError, match="Mpx") as caught:
        read_header(data)
    assert str(tmp_path) not in str(caught.value)
    (tmp_path / "depth.png").write_bytes(data)
    with pytest.raises(UnreadableError, match=r"depth\.png: an image of"):
        codecs.read_depth(tmp_path / "depth.png")
    with pytest.raises(UnreadableError, match="Mpx"):
        read_header(tmp_path / "depth.png")
    assert MOST_PIXELS < 60_000**2


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.97])
def test_a_truncated_file_is_a_reason_without_a_path(kind, share, tmp_path, capfd):
    data = file(PICTURE, kind, **FORMATS[kind])
    path = tmp_path / "a.png"
    path.write_bytes(data[: int(share * len(data))])
    for read in (codecs.read, codecs.read_depth):
        with pytest.raises(UnreadableError) as caught:
            read(path)
        assert str(caught.value).startswith("a.png: ")
        assert str(tmp_path) not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_other_formats_and_other_numbers_are_refused():
    for data in (b"P6\n2 2\n255\n" + b"0" * 12, b"no image at all"):
        with pytest.raises(UnreadableError, match="no image that can be read; PNG, JPEG, WEBP, TIFF, BMP, GIF, AVIF"):
            codecs.decode(data)
    floats = cv2.imencode(".tiff", PICTURE[:, :, 0].astype(np.float32))[1].tobytes()
    with pytest.raises(UnreadableError, match=r"floating-point numbers from 0 to 2..; where it is not infrared"):
        codecs.decode(floats)


def test_depth_keeps_all_its_bits_and_floats(tmp_path):
    whole, parts = np.arange(3000, dtype=np.uint16), np.linspace(0.5, 90, 3000, dtype=np.float32)
    for suffix, values in ((".png", whole), (".tiff", parts)):
        path = tmp_path / f"depth{suffix}"
        path.write_bytes(cv2.imencode(suffix, values.reshape(50, 60))[1].tobytes())
        assert np.array_equal(codecs.read_depth(path)[0], values.reshape(50, 60).astype(np.float32))


def vif_plan(root, **changes):
    source = {"folder": str(root)} | changes
    return make_plan(
        Recipe.model_validate(
            {
                "name": "t",
                "task": "vif",
                "samples": 2,
                "sources": [source],
                "crop": {"size": 32},
                "degradations": {"always": ["noise"]},
            }
        )
    )


def test_what_was_done_to_a_file_stands_in_the_record(tmp_path):
    folder = tmp_path / "cam-1"
    folder.mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    (folder / "a.jpg").write_bytes(file(np.rot90(PICTURE), "JPEG", exif=exif))
    counts = (1000 + 3 * PICTURE[:, :, 1].astype(np.uint16)).astype(np.uint16)
    (folder / "b.png").write_bytes(cv2.imencode(".png", counts)[1].tobytes())
    source = render(vif_plan(tmp_path), 0).record["source"]
    assert source["notes"] == ["a.jpg: turned by its EXIF orientation 6"]
    low, high = source["stretch"]["b"]
    assert (low, high) == tuple(np.percentile(counts, (0.1, 99.9)))


def test_pairs_with_a_colour_profile_are_counted_before_work_starts(tmp_path):
    folder = tmp_path / "cam-1"
    folder.mkdir()
    (folder / "a.png").write_bytes(file(PICTURE, "PNG", icc_profile=b"wide gamut"))
    (folder / "b.png").write_bytes(file(PICTURE, "PNG"))
    assert vif_plan(tmp_path).profiles == 1


def test_a_link_that_leads_out_of_the_source_is_not_followed(tmp_path):
    outside, root = tmp_path / "secret", tmp_path / "pairs"
    for place in (outside / "x-1", root / "in-1", root / "file-1"):
        place.mkdir(parents=True)
        for name in ("a.png", "b.png"):
            (place / name).write_bytes(file(PICTURE, "PNG"))
    (root / "out-1").symlink_to(outside / "x-1")
    (root / "file-1/b.png").unlink()
    (root / "file-1/b.png").symlink_to(outside / "x-1/b.png")
    (root / "within-1").symlink_to(root / "in-1")
    listed = list(FolderSource(folder=root).pairs("vif"))
    refused = {item.scene: item.reason for item in listed if isinstance(item, LeftOut)}
    assert refused == dict.fromkeys(["file-1", "out-1"], OUTSIDE)
    assert [item.scene for item in listed if not isinstance(item, LeftOut)] == ["in-1", "within-1"]
