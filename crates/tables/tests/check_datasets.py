"""Loads published datasets as people do, and compares them with what was meant to be in them.

Usage: check_datasets.py ROOT MANIFEST

ROOT holds one folder a dataset. MANIFEST is JSON: {NAME: {SPLIT: {"columns": [[COLUMN, TYPE]], "rows":
[{COLUMN: VALUE}]}}}. TYPE is what `datasets` calls it: "image", "string", "int64", "list<string>",
{PART: TYPE}. The VALUE of an image is null or any of {"bytes_sha256", "bytes_hex", "pixels_sha256" (of the
RGB bytes, row by row), "rgb" (the one colour of all its pixels), "size" ([width, height])}.
No network is used.
"""

import datetime
import hashlib
import io
import json
import os
import sys
import tempfile

for switch in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
    os.environ[switch] = "1"
os.environ["HF_DATASETS_DISABLE_PROGRESS_BARS"] = "1"
CACHE = tempfile.TemporaryDirectory()
os.environ["HF_HOME"] = CACHE.name

import datasets  # noqa: E402
from PIL import Image as Pillow  # noqa: E402


def type_of(feature):
    if isinstance(feature, datasets.Image):
        return "image"
    if isinstance(feature, datasets.Value):
        return feature.dtype
    if isinstance(feature, datasets.List):
        return f"list<{type_of(feature.feature)}>"
    if isinstance(feature, dict):
        return {name: type_of(part) for name, part in feature.items()}
    return repr(feature)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def pixels(image):
    return image.size, image.convert("RGB").tobytes()


def check_image(seen, original, want, at):
    """The published bytes are the ones that were made, and what `datasets` decodes are their pixels."""
    size, data = pixels(seen)
    assert (size, data) == pixels(Pillow.open(io.BytesIO(original))), (at, "decoded otherwise")
    found = {
        "bytes_sha256": sha256(original),
        "bytes_hex": original.hex(),
        "pixels_sha256": sha256(data),
        "rgb": list(data[:3]) if data == data[:3] * (len(data) // 3) else None,
        "size": list(size),
    }
    assert want, (at, "nothing to compare with")
    for key, value in want.items():
        assert found[key] == value, (at, key, found[key], value)


def plain(value):
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    return value


def main(root, manifest):
    with open(manifest, encoding="utf-8") as file:
        expected = json.load(file)
    checked = 0
    for name, splits in expected.items():
        loaded = datasets.load_dataset(os.path.join(root, name))
        assert sorted(loaded) == sorted(splits), (name, sorted(loaded), sorted(splits))
        for split, wanted in splits.items():
            table = loaded[split]
            where = f"{name}/{split}"
            columns = [[column, type_of(feature)] for column, feature in table.features.items()]
            assert columns == wanted["columns"], (where, columns, wanted["columns"])
            assert len(table) == len(wanted["rows"]), (where, len(table), len(wanted["rows"]))
            images = [column for column, kind in columns if kind == "image"]
            raw = table
            for column in images:
                raw = raw.cast_column(column, datasets.Image(decode=False))
            for row, (seen, bare, want) in enumerate(zip(table, raw, wanted["rows"], strict=True)):
                for column, _ in columns:
                    at = f"{where} row {row} column {column}"
                    if column not in images:
                        assert plain(seen[column]) == want[column], (at, seen[column], want[column])
                        continue
                    if want[column] is None:
                        assert seen[column] is None, at
                        continue
                    check_image(seen[column], bare[column]["bytes"], want[column], at)
                checked += 1
            if split == "train":
                check_card(os.path.join(root, name), table)
            check_files(os.path.join(root, name), table)
    print(f"{len(expected)} datasets, {checked} rows: as they should be")


def check_card(folder, table):
    """The card's front matter is YAML whose features are those of the data."""
    from huggingface_hub import DatasetCard

    data = DatasetCard.load(os.path.join(folder, "README.md")).data.to_dict()
    for key in ("dataset_info", "configs", "license", "size_categories", "task_categories", "tags"):
        assert key in data, (folder, key)
    features = datasets.Features._from_yaml_list(data["dataset_info"]["features"])
    assert features == table.features, (folder, features, table.features)


def check_files(folder, table):
    """Paths of images in `results` are files inside the dataset."""
    if "images" not in table.features:
        return
    for images in table["images"]:
        for key in ("image_1", "image_2"):
            path = images[key]
            assert path.startswith("images/") and "://" not in path, path
            Pillow.open(os.path.join(folder, path)).verify()


if __name__ == "__main__":
    main(*sys.argv[1:])
