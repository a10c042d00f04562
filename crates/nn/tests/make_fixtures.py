"""Makes the tiny models under tests/models, and what PyTorch and Pillow make of a few inputs.

Run once, by hand, where the packages of make_fixtures.txt are installed:

    python make_fixtures.py

The results are committed, so that tests need no torch. Each model has the architecture and the files of a
real one, a few kilobytes of random weights, and in expected.json the logits that PyTorch gives.
"""

import json
import pathlib
import random

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    BertConfig, BertForSequenceClassification, CLIPImageProcessorPil, DebertaV2Config, DebertaV2ForSequenceClassification,
    DistilBertConfig, DistilBertForSequenceClassification, RobertaConfig, RobertaForSequenceClassification,
    ViTConfig, ViTForImageClassification, ViTImageProcessorPil, XLMRobertaConfig, XLMRobertaForSequenceClassification,
)

HERE = pathlib.Path(__file__).parent / "models"
TEXTS = [
    "A red fox in the snow",
    "a castle",
    "",
    "An astronaut riding a horse on Mars, highly detailed, cinematic light, 8k, by the sea at night, long shot",
    "zzz ✨ 北京 naïve café",
    "word " * 80,
]
CORPUS = TEXTS + ["a dog and a cat on a boat", "the moon over a quiet harbour, oil painting", "nude, blood and gore"]


def tokenizer(kind):
    if kind == "wordpiece":
        made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        made.normalizer = normalizers.BertNormalizer(lowercase=True)
        made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordPieceTrainer(
            vocab_size=160, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
        made.train_from_iterator(CORPUS, trainer)
        cls, sep = made.token_to_id("[CLS]"), made.token_to_id("[SEP]")
        made.post_processor = processors.BertProcessing(("[SEP]", sep), ("[CLS]", cls))
        made.decoder = decoders.WordPiece()
        return made
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    if kind == "bpe":
        made = Tokenizer(models.BPE())
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        made.train_from_iterator(CORPUS, trainers.BpeTrainer(
            vocab_size=340, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    else:
        made = Tokenizer(models.Unigram())
        made.normalizer = normalizers.NFKC()
        made.pre_tokenizer = pre_tokenizers.Metaspace()
        made.train_from_iterator(CORPUS, trainers.UnigramTrainer(
            vocab_size=160, special_tokens=special, unk_token="<unk>"))
    made.post_processor = processors.RobertaProcessing(
        ("</s>", made.token_to_id("</s>")), ("<s>", made.token_to_id("<s>")))
    return made


LABELS = {"id2label": {0: "SFW", 1: "NSFW"}, "label2id": {"SFW": 0, "NSFW": 1}}
SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}


def texts(name, kind, config, architecture, **sizes):
    torch.manual_seed(len(name))
    words = tokenizer(kind)
    pad = words.token_to_id("[PAD]") if kind == "wordpiece" else words.token_to_id("<pad>")
    places = 40
    kept_back = pad + 1 if kind != "wordpiece" and architecture is not DebertaV2ForSequenceClassification else 0
    config = config(vocab_size=words.get_vocab_size(), max_position_embeddings=places + kept_back,
                    pad_token_id=pad, **sizes, **LABELS)
    model = architecture(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(1.0).add_(torch.randn_like(weight) * 0.2)
    folder = HERE / name
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder, safe_serialization=True)
    words.save(str(folder / "tokenizer.json"), pretty=False)
    words.enable_truncation(places)
    expected = []
    for text in TEXTS:
        ids = words.encode(text).ids
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long)).logits
        expected.append({"text": text, "logits": [round(float(value), 7) for value in logits[0]]})
    (folder / "expected.json").write_text(json.dumps(expected, ensure_ascii=False, indent=1) + "\n")
    return model


class Logits(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, *inputs):
        return self.model(*inputs).logits


def export(model, folder, inputs, names, dynamic):
    folder = HERE / folder / "onnx"
    folder.mkdir(parents=True, exist_ok=True)
    torch.onnx.export(Logits(model), inputs, str(folder / "model.onnx"), input_names=names,
                      output_names=["logits"], dynamic_axes=dynamic, opset_version=17, dynamo=False)


def picture(number):
    """A picture of an odd shape, the same every time, with edges, noise and gradients."""
    draw = random.Random(number)
    width, height = draw.randint(1, 130), draw.randint(1, 130)
    if number % 10 == 0:
        width, height = [(1, 1), (1, 200), (240, 3), (32, 32), (96, 96)][number // 10 % 5]
    grid = np.random.default_rng(number)
    y, x = np.mgrid[0:height, 0:width]
    planes = [128 + 127 * np.sin(x / (3 + 40 * draw.random()) + y / (3 + 40 * draw.random()) + c) for c in range(3)]
    pixels = np.stack(planes, axis=-1) + grid.normal(0, 12, (height, width, 3))
    for _ in range(4):
        left, top = draw.randrange(width), draw.randrange(height)
        pixels[top:top + height // 3 + 1, left:left + width // 3 + 1] = [draw.randrange(256) for _ in range(3)]
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def prepared(name, processor, written, images):
    """What a processor makes of the pictures, in ten-thousandths: little-endian 16-bit integers."""
    folder = HERE.parent / "prepared"
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(written, indent=1) + "\n")
    values = np.stack([np.asarray(processor(image, return_tensors="np")["pixel_values"][0]) for image in images])
    (folder / f"{name}.i16").write_bytes(np.round(values * 1e4).astype("<i2").tobytes())


def main():
    bert = texts("bert", "wordpiece", BertConfig, BertForSequenceClassification, **SMALL)
    texts("distilbert", "wordpiece", DistilBertConfig, DistilBertForSequenceClassification,
          dim=32, n_layers=2, n_heads=4, hidden_dim=48)
    texts("roberta", "bpe", RobertaConfig, RobertaForSequenceClassification, type_vocab_size=1, **SMALL)
    texts("xlm-roberta", "unigram", XLMRobertaConfig, XLMRobertaForSequenceClassification, type_vocab_size=1, **SMALL)
    texts("deberta-v2", "unigram", DebertaV2Config, DebertaV2ForSequenceClassification, type_vocab_size=0,
          relative_attention=True, position_buckets=8, norm_rel_ebd="layer_norm", share_att_key=True,
          pos_att_type=["p2c", "c2p"], position_biased_input=False, **SMALL)
    ids = torch.tensor([[2, 7, 9, 3], [2, 8, 3, 0]])
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])
    axes = {0: "items", 1: "tokens"}
    export(bert, "bert-onnx", (ids, mask, torch.zeros_like(ids)), ["input_ids", "attention_mask", "token_type_ids"],
           {"input_ids": axes, "attention_mask": axes, "token_type_ids": axes, "logits": {0: "items"}})
    for name in ["config.json", "tokenizer.json", "expected.json"]:
        (HERE / "bert-onnx" / name).write_bytes((HERE / "bert" / name).read_bytes())

    torch.manual_seed(1)
    labels = {"id2label": {0: "normal", 1: "nsfw"}, "label2id": {"normal": 0, "nsfw": 1}}
    vit = ViTForImageClassification(ViTConfig(image_size=32, patch_size=8, **SMALL, **labels)).eval()
    with torch.no_grad():
        for weight in vit.parameters():
            weight.add_(torch.randn_like(weight) * 0.1)
    written = {"do_normalize": True, "do_rescale": True, "do_resize": True, "image_mean": [0.5, 0.5, 0.5],
               "image_processor_type": "ViTImageProcessor", "image_std": [0.5, 0.5, 0.5], "resample": 2,
               "rescale_factor": 0.00392156862745098, "size": {"height": 32, "width": 32}}
    (HERE / "vit").mkdir(exist_ok=True)
    vit.save_pretrained(HERE / "vit", safe_serialization=True)
    (HERE / "vit" / "preprocessor_config.json").write_text(json.dumps(written, indent=1) + "\n")
    pictures = HERE.parent / "pictures"
    pictures.mkdir(exist_ok=True)
    images = []
    for number in range(50):
        picture(number).save(pictures / f"{number:02}.png", optimize=True)
        images.append(Image.open(pictures / f"{number:02}.png").convert("RGB"))
    vit_processor = ViTImageProcessorPil(**written)
    expected = []
    for number in range(0, 50, 7):
        with torch.no_grad():
            logits = vit(pixel_values=vit_processor(images[number], return_tensors="pt")["pixel_values"]).logits
        expected.append({"picture": f"{number:02}.png", "logits": [round(float(value), 7) for value in logits[0]]})
    (HERE / "vit" / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
    prepared("vit", vit_processor, written, images)
    clip = {"crop_size": {"height": 24, "width": 24}, "do_center_crop": True, "do_convert_rgb": True,
            "do_normalize": True, "do_rescale": True, "do_resize": True,
            "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_processor_type": "CLIPImageProcessor",
            "image_std": [0.26862954, 0.26130258, 0.27577711], "resample": 3,
            "rescale_factor": 0.00392156862745098, "size": {"shortest_edge": 28}}
    prepared("clip", CLIPImageProcessorPil(**clip), clip, images)
    export(vit, "vit-onnx", (torch.zeros(1, 3, 32, 32),), ["pixel_values"], {"pixel_values": {0: "items"}, "logits": {0: "items"}})
    for name in ["config.json", "preprocessor_config.json", "expected.json"]:
        (HERE / "vit-onnx" / name).write_bytes((HERE / "vit" / name).read_bytes())


if __name__ == "__main__":
    main()
