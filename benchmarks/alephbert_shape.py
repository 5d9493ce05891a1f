"""A model of AlephBERT's shape with random weights, prepared: memory and speed do not depend on their values.

Run in the environment that prepares models: .venv-prepare/bin/python -m benchmarks.alephbert_shape [models folder]
[folder of AlephBERT's tokenizer files]. The site serves it with MODELS_DIR=build/models SEMANTIC_MODEL=alephbert.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    models = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "models"
    tokenizer = Path(sys.argv[2]) if len(sys.argv) > 2 else ROOT.parent / "shared" / "data" / "alephbert"
    from encoders.preparing import published

    with tempfile.TemporaryDirectory() as work:
        source = Path(work) / "alephbert"
        write_source(source, tokenizer)
        wanted = published.Wanted(str(source), "alephbert")
        found = published.prepare_published(wanted, models / "alephbert")
        print(found.table() if found else "complete: nothing to do")


def write_source(folder: Path, tokenizer: Path) -> None:
    """Write a sentence-transformers folder: 12 layers, 768 wide, 52,000 words, mean pooling, random weights."""
    import torch
    from sentence_transformers import SentenceTransformer, models
    from transformers import BertConfig, BertModel, BertTokenizerFast

    torch.manual_seed(12)
    words = folder.with_name("transformer")
    BertModel(BertConfig.from_pretrained(tokenizer), add_pooling_layer=False).save_pretrained(words)
    BertTokenizerFast.from_pretrained(tokenizer).save_pretrained(words)
    transformer = models.Transformer(str(words), max_seq_length=512)
    pooling = models.Pooling(transformer.get_word_embedding_dimension(), pooling_mode="mean")
    SentenceTransformer(modules=[transformer, pooling], device="cpu").save(str(folder))


if __name__ == "__main__":
    main()
