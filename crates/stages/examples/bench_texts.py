"""The peer of `bench_screen` for texts.

    python bench_texts.py make FOLDER    a model of DistilBERT's size, as Hugging Face files with ONNX: its
                                         weights are random, since only its speed is wanted
    python bench_texts.py score FOLDER   texts through it with ONNX Runtime; prints seconds and the mean score

Both read a JSON list of texts from standard input. Wants onnx, onnxruntime, tokenizers and numpy.
"""

import json
import pathlib
import sys
import time

import numpy as np

WIDTH, LAYERS, HEADS, INNER, PLACES, WORDS = 768, 6, 12, 3072, 512, 30_522


def make(folder):
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    draw, nodes, weights = np.random.default_rng(0), [], []

    def constant(name, values):
        weights.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def random(name, *shape):
        return constant(name, draw.normal(0, 0.02, shape).astype(np.float32))

    def op(kind, *inputs, **attributes):
        name = f"{kind.lower()}_{len(nodes)}"
        nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def dense(name, x, given, wanted):
        return op("Add", op("MatMul", x, random(f"{name}.weight", given, wanted)), random(f"{name}.bias", wanted))

    def norm(name, x):
        scale, bias = np.ones(WIDTH, np.float32), np.zeros(WIDTH, np.float32)
        return op("LayerNormalization", x, constant(f"{name}.scale", scale), constant(f"{name}.bias", bias), axis=-1,
                  epsilon=1e-12)

    def gelu(x):
        spread = op("Erf", op("Div", x, constant(f"root_{len(nodes)}", np.float32(2**0.5))))
        bent = op("Add", spread, constant(f"one_{len(nodes)}", np.float32(1)))
        return op("Mul", op("Mul", x, bent), constant(f"half_{len(nodes)}", np.float32(0.5)))

    split = constant("split", np.array([0, 0, HEADS, WIDTH // HEADS], np.int64))
    join = constant("join", np.array([0, 0, WIDTH], np.int64))
    tokens = op("Gather", op("Shape", "input_ids"), constant("second", np.int64(1)))
    places = op("Range", constant("from", np.int64(0)), tokens, constant("step", np.int64(1)))
    x = op("Add", op("Gather", random("words", WORDS, WIDTH), "input_ids"),
           op("Gather", random("places", PLACES, WIDTH), places))
    x = norm("first", x)
    unseen = op("Sub", constant("whole", np.float32(1)), op("Cast", "attention_mask", to=TensorProto.FLOAT))
    unseen = op("Mul", unseen, constant("far", np.float32(-1e9)))
    unseen = op("Unsqueeze", unseen, constant("inner", np.array([1, 2], np.int64)))
    for layer in range(LAYERS):
        def heads(part, order):
            return op("Transpose", op("Reshape", dense(f"{layer}.{part}", x, WIDTH, WIDTH), split), perm=order)

        q, k, v = heads("q", [0, 2, 1, 3]), heads("k", [0, 2, 3, 1]), heads("v", [0, 2, 1, 3])
        scores = op("Div", op("MatMul", q, k), constant(f"{layer}.root", np.float32((WIDTH // HEADS) ** 0.5)))
        seen = op("MatMul", op("Softmax", op("Add", scores, unseen), axis=-1), v)
        seen = op("Reshape", op("Transpose", seen, perm=[0, 2, 1, 3]), join)
        x = norm(f"{layer}.norm", op("Add", dense(f"{layer}.out", seen, WIDTH, WIDTH), x))
        inner = dense(f"{layer}.down", gelu(dense(f"{layer}.up", x, WIDTH, INNER)), INNER, WIDTH)
        x = norm(f"{layer}.last", op("Add", inner, x))
    x = op("Gather", x, constant("cls", np.int64(0)), axis=1)
    x = dense("classifier", op("Relu", dense("before", x, WIDTH, WIDTH)), WIDTH, 2)
    nodes.append(helper.make_node("Identity", [x], ["logits"]))
    whole = ["items", "tokens"]
    graph = helper.make_graph(
        nodes, "texts",
        [helper.make_tensor_value_info(name, TensorProto.INT64, whole) for name in ["input_ids", "attention_mask"]],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["items", 2])], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    (folder / "onnx").mkdir(parents=True, exist_ok=True)
    onnx.save(model, folder / "onnx" / "model.onnx")
    (folder / "config.json").write_text(json.dumps({
        "model_type": "distilbert", "architectures": ["DistilBertForSequenceClassification"], "pad_token_id": 0,
        "max_position_embeddings": PLACES, "id2label": {"0": "SFW", "1": "NSFW"}, "label2id": {"SFW": 0, "NSFW": 1}}))
    words(folder)


def words(folder):
    """A tokenizer as DistilBERT's, trained on the prompts themselves."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

    made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    made.train_from_iterator(json.load(sys.stdin), trainers.WordPieceTrainer(
        vocab_size=WORDS, special_tokens=special, show_progress=False))
    ends = [(word, made.token_to_id(word)) for word in ["[SEP]", "[CLS]"]]
    made.post_processor = processors.BertProcessing(*ends)
    made.save(str(folder / "tokenizer.json"))


def score(folder):
    import onnxruntime
    from tokenizers import Tokenizer

    texts = json.load(sys.stdin)
    words = Tokenizer.from_file(str(folder / "tokenizer.json"))
    words.enable_truncation(PLACES)
    session = onnxruntime.InferenceSession(str(folder / "onnx" / "model.onnx"))

    def through(together, size, by_length):
        start, scores = time.perf_counter(), []
        for at in range(0, len(texts), together):
            encoded = [made.ids for made in words.encode_batch(texts[at:at + together])]
            if by_length:
                encoded.sort(key=len, reverse=True)
            for part in range(0, len(encoded), size):
                batch = encoded[part:part + size]
                longest = max(map(len, batch))
                ids = np.array([one + [0] * (longest - len(one)) for one in batch], np.int64)
                mask = np.array([[1] * len(one) + [0] * (longest - len(one)) for one in batch], np.int64)
                logits = session.run(["logits"], {"input_ids": ids, "attention_mask": mask})[0]
                shares = np.exp(logits - logits.max(axis=1, keepdims=True))
                scores += (shares[:, 1] / shares.sum(axis=1)).tolist()
        return time.perf_counter() - start, sum(scores) / len(scores)

    # As most people write it; and as we do it, with what is about as long going through together.
    seconds, mean = through(16, 16, by_length=False)
    sorted_seconds, _ = through(256, 8, by_length=True)
    print(json.dumps({"seconds": seconds, "seconds_by_length": sorted_seconds, "texts": len(texts), "mean": mean}))


if __name__ == "__main__":
    {"make": make, "score": score}[sys.argv[1]](pathlib.Path(sys.argv[2]))
