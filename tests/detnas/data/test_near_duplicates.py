"""Copies of an image share a group; images that only look alike do not."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageEnhance
from scipy.ndimage import gaussian_filter

from detnas.data.near_duplicates import near_duplicate_groups
from detnas.errors import UserError

SIZE = (160, 120)


def scene(seed: int, shift: int = 0) -> Image.Image:
    """Blurred noise; `shift` moves what the camera sees by so many pixels."""
    noise = np.random.default_rng(seed).normal(size=(120, 200))
    smooth = gaussian_filter(noise, 4)[:, shift : shift + 160]
    return as_image(128 + 400 * smooth)


def as_image(pixels: NDArray[np.float64]) -> Image.Image:
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).convert("RGB")


def saved(folder: Path, images: dict[str, Image.Image]) -> list[Path]:
    paths = [folder / f"{name}.jpg" for name in images]
    for path, image in zip(paths, images.values(), strict=True):
        image.save(path, quality=40 if "coarse" in path.name else 90)
    return paths


def test_copies_and_neighbouring_frames_share_a_group(tmp_path: Path) -> None:
    first, other = scene(1), scene(2)
    images = {
        "first": first,
        "other": other,
        "coarse": first,
        "small": first.resize((80, 60)),
        "stretched": first.resize((128, 128)),
        "bright": ImageEnhance.Brightness(first).enhance(1.15),
        "next": scene(1, shift=2),
        "later": scene(1, shift=40),
    }
    groups = near_duplicate_groups(saved(tmp_path, images))
    assert dict(zip(images, groups.tolist(), strict=True)) == {
        **dict.fromkeys(("first", "coarse", "small", "stretched", "bright", "next"), 0),
        "other": 1,
        "later": 2,
    }


def test_alike_backgrounds_are_different_images(tmp_path: Path) -> None:
    """Plain ones with noise, and dots in different places under the same vignette."""
    y, x = np.mgrid[:120, :160]
    vignette = 200 - ((x - 80) ** 2 + (y - 60) ** 2) / 80
    images = {}
    for seed in range(8):
        rng = np.random.default_rng(seed)
        dots = np.zeros((120, 160))
        dots[rng.integers(0, 120, 12), rng.integers(0, 160, 12)] = 1
        images[f"dots{seed}"] = as_image(vignette - 3000 * gaussian_filter(dots, 3))
        images[f"plain{seed}"] = as_image(vignette + rng.normal(0, 3, (120, 160)))
    assert len(set(near_duplicate_groups(saved(tmp_path, images)))) == len(images)


def test_equal_files_share_a_group_however_plain(tmp_path: Path) -> None:
    paths = saved(tmp_path, {"a": scene(1), "b": Image.new("RGB", SIZE), "c": scene(3)})
    (tmp_path / "d.jpg").write_bytes(paths[1].read_bytes())
    seen: list[tuple[int, int]] = []
    groups = near_duplicate_groups(
        [*paths, tmp_path / "d.jpg"], lambda done, count: seen.append((done, count))
    )
    assert groups.tolist() == [0, 1, 2, 1]
    assert seen == [(number, 4) for number in range(1, 5)]


def test_turned_by_exif_is_the_same_image(tmp_path: Path) -> None:
    image = scene(1)
    exif = Image.Exif()
    exif[0x0112] = 6  # is shown after a turn to the right
    image.rotate(90, expand=True).save(tmp_path / "turned.jpg", exif=exif)
    paths = [*saved(tmp_path, {"a": image}), tmp_path / "turned.jpg"]
    assert near_duplicate_groups(paths).tolist() == [0, 0]


def test_a_damaged_image_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("no image")
    with pytest.raises(UserError, match=r"a\.jpg cannot be read"):
        near_duplicate_groups([tmp_path / "a.jpg"])


def test_no_images_have_no_groups() -> None:
    assert near_duplicate_groups([]).tolist() == []
