"""Real sentence-transformers models of a few layers with random weights, one for each kind that is served or refused.

Run in the environment that prepares models: .venv-prepare/bin/python tests/tiny_models.py FOLDER
"""

from __future__ import annotations

import json
import shutil
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from encoders.score_range import built_in_sample  # noqa: E402

SAMPLE = built_in_sample()
TEXTS = [*SAMPLE.passages, *SAMPLE.queries, *(pair.query for pair in SAMPLE.pairs)]
SHAPE = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 96}


def main(folder: Path) -> None:
    """Write every kind into a folder of its own."""
    import torch

    warnings.simplefilter("ignore")
    torch.manual_seed(7)
    words = folder / "transformers"
    bert, roberta, xlm_roberta = _bert(words), _roberta(words), _xlm_roberta(words)
    _save(folder / "bert-mean", bert, "mean")
    _save(folder / "roberta-cls", roberta, "cls", normalize=True)
    _save(folder / "xlm-roberta-dense", xlm_roberta, "mean", dense=48, normalize=True, prompts=True)
    _save(folder / "max-pooling", bert, "max")
    _save(folder / "albert", _albert(words, bert), "mean")
    _save(folder / "distilbert", _distilbert(words, bert), "mean")
    shutil.copytree(bert, folder / "no-sentence-model")
    _truncate(shutil.copytree(folder / "bert-mean", folder / "truncated"))
    _changed(shutil.copytree(folder / "bert-mean", folder / "relative"), position_embedding_type="relative_key")
    _add_part(shutil.copytree(folder / "bert-mean", folder / "with-lstm"), "sentence_transformers.models.LSTM")


def _bert(folder: Path) -> Path:
    from transformers import BertConfig, BertModel, BertTokenizerFast

    words = sorted({word.strip(".,?'") for text in TEXTS[::2] for word in text.lower().split()})
    letters = sorted({letter for text in TEXTS for letter in text.lower() if not letter.isspace()})
    marks = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary = list(dict.fromkeys([*marks, *letters, *(f"##{letter}" for letter in letters), *words]))
    vocabulary += [f"##{end}" for end in ("ים", "ות", "ing", "s") if f"##{end}" not in vocabulary]
    (folder / "bert").mkdir(parents=True)
    (folder / "bert" / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    BertTokenizerFast(vocab_file=str(folder / "bert" / "vocab.txt")).save_pretrained(folder / "bert")
    # One type, as AlephBERT has.
    config = BertConfig(vocab_size=len(vocabulary), max_position_embeddings=128, type_vocab_size=1, **SHAPE)
    BertModel(config).save_pretrained(folder / "bert")
    return folder / "bert"


def _roberta(folder: Path) -> Path:
    from tokenizers import ByteLevelBPETokenizer
    from transformers import RobertaConfig, RobertaModel, RobertaTokenizerFast

    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator(TEXTS, 900, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    (folder / "roberta").mkdir(parents=True)
    trained.save_model(str(folder / "roberta"))
    RobertaTokenizerFast.from_pretrained(folder / "roberta").save_pretrained(folder / "roberta")
    config = RobertaConfig(vocab_size=trained.get_vocab_size(), max_position_embeddings=130, type_vocab_size=1, **SHAPE)
    RobertaModel(config).save_pretrained(folder / "roberta")
    return folder / "roberta"


def _xlm_roberta(folder: Path) -> Path:
    import sentencepiece
    from transformers import XLMRobertaConfig, XLMRobertaModel, XLMRobertaTokenizerFast

    place = folder / "xlm-roberta"
    place.mkdir(parents=True)
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS), model_prefix=str(place / "sentencepiece.bpe"), vocab_size=560,
        model_type="unigram", normalization_rule_name="nmt_nfkc", minloglevel=2,
    )  # fmt: skip
    tokenizer = XLMRobertaTokenizerFast(vocab_file=str(place / "sentencepiece.bpe.model"))
    tokenizer.save_pretrained(place)
    config = XLMRobertaConfig(vocab_size=len(tokenizer), max_position_embeddings=130, type_vocab_size=1, **SHAPE)
    XLMRobertaModel(config).save_pretrained(place)
    return place


def _albert(folder: Path, tokenizer: Path) -> Path:
    from transformers import AlbertConfig, AlbertModel

    shutil.copytree(tokenizer, folder / "albert")
    AlbertModel(AlbertConfig(vocab_size=2000, embedding_size=16, **SHAPE)).save_pretrained(folder / "albert")
    return folder / "albert"


def _distilbert(folder: Path, tokenizer: Path) -> Path:
    from transformers import DistilBertConfig, DistilBertModel

    shutil.copytree(tokenizer, folder / "distilbert")
    config = DistilBertConfig(vocab_size=2000, dim=64, n_layers=1, n_heads=4, hidden_dim=96)
    DistilBertModel(config).save_pretrained(folder / "distilbert")
    return folder / "distilbert"


def _save(
    folder: Path, words: Path, pooling: str, dense: int = 0, normalize: bool = False, prompts: bool = False
) -> None:
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers import models as parts

    transformer = parts.Transformer(str(words), max_seq_length=96)
    width = transformer.get_embedding_dimension()
    modules: list[Any] = [transformer, parts.Pooling(width, pooling_mode=pooling)]
    if dense:
        modules.append(parts.Dense(width, dense, activation_function=torch.nn.Tanh()))
    if normalize:
        modules.append(parts.Normalize())
    prefixes = {"query": "query: ", "document": "passage: "} if prompts else None
    SentenceTransformer(modules=modules, device="cpu", prompts=prefixes).save(str(folder))


def _truncate(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])


def _changed(folder: Path, **values: str) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | values), encoding="utf-8")


def _add_part(folder: Path, kind: str) -> None:
    path = folder / "modules.json"
    modules: Sequence[Any] = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps([*modules, {"idx": 2, "name": "2", "path": "2_LSTM", "type": kind}]), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
