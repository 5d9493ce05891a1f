"""Loads a published sentence-transformers model, and refuses one that is not supported."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from encoders.preparing.folder import NotPrepared

FAMILIES = ("bert", "roberta", "xlm-roberta")
POOLINGS = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}
PARTS = ("Transformer", "Pooling", "Dense", "Normalize")
WEIGHTS = (".safetensors", ".bin")


@dataclass(frozen=True)
class SentenceModel:
    """A loaded model and its parts: `whole` encodes texts, `transformer` is the layers only."""

    whole: Any
    transformer: Any
    pooling: str
    dense: tuple[Any, ...]
    tokenizer: Any
    max_tokens: int
    lower_case: bool
    query_prefix: str
    passage_prefix: str

    @property
    def width(self) -> int:
        return int(self.transformer.config.hidden_size)

    @property
    def dim(self) -> int:
        return int(self.whole.get_embedding_dimension())

    def with_prefixes(self, query: str | None, passage: str | None) -> SentenceModel:
        """Return the model with other prefixes; None keeps its own."""
        return replace(
            self,
            query_prefix=self.query_prefix if query is None else query,
            passage_prefix=self.passage_prefix if passage is None else passage,
        )


def check(folder: Path, name: str) -> None:
    """Raise NotPrepared for a model that is not supported; needs its settings only, not its weights.

    `name` is its name in error messages.
    """
    modules = _json(folder / "modules.json", f"{name} is not a sentence-transformers model")
    kinds = [module["type"].rsplit(".", 1)[-1] for module in modules]
    strange = [kind for kind in kinds if kind not in PARTS]
    if strange or kinds[:2] != ["Transformer", "Pooling"]:
        raise NotPrepared(
            f"{name} is made of {', '.join(kinds)}: only Transformer, Pooling and after them Dense and Normalize "
            f"are served; choose another model"
        )
    family = _json(folder / modules[0]["path"] / "config.json", f"{name} has no Transformer")
    _check_family(name, family)
    _pooling(name, _json(folder / modules[1]["path"] / "config.json", f"{name} has no Pooling"))


def loaded_model(folder: Path, name: str) -> SentenceModel:
    """Return the model in a folder that `check` accepted; `name` is its name in errors. Raises NotPrepared."""
    from sentence_transformers import SentenceTransformer

    try:
        whole = SentenceTransformer(
            str(folder), device="cpu", local_files_only=True, model_kwargs={"attn_implementation": "eager"}
        )
    except Exception as error:  # safetensors, pickle, torch and json raise their own
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise NotPrepared(f"{name} cannot be loaded ({reason}): its files are damaged or incomplete") from error
    whole.eval()
    transformer, *rest = list(whole)
    return SentenceModel(
        whole=whole,
        transformer=transformer.auto_model,
        pooling=_pooling(name, rest[0].get_config_dict()),
        dense=tuple(part for part in rest[1:] if type(part).__name__ == "Dense"),
        tokenizer=_fast(transformer.tokenizer, name),
        max_tokens=_max_tokens(whole, transformer.auto_model.config),
        lower_case=bool(getattr(transformer, "do_lower_case", False)),
        query_prefix=whole.prompts.get("query") or "",
        passage_prefix=whole.prompts.get("document") or whole.prompts.get("passage") or "",
    )


def torch_weights(folder: Path) -> list[Path]:
    """Return the weight files in a model's folder."""
    return [path for path in folder.rglob("*") if path.suffix in WEIGHTS and path.is_file()]


def position_offset(transformer: Any) -> int:
    """Return the position of the first token: RoBERTa's table begins after the padding position."""
    if transformer.config.model_type == "bert":
        return 0
    return int(transformer.config.pad_token_id) + 1


def _max_tokens(whole: Any, config: Any) -> int:
    places = config.max_position_embeddings
    if config.model_type != "bert":
        places -= config.pad_token_id + 1
    return int(min(whole.max_seq_length or places, places))


def _check_family(name: str, config: dict[str, Any]) -> None:
    family = config.get("model_type")
    if family not in FAMILIES:
        raise NotPrepared(f"{name} is of the family {family}: only {', '.join(FAMILIES)} are supported")
    if config.get("position_embedding_type", "absolute") != "absolute":
        raise NotPrepared(f"{name} has {config['position_embedding_type']} positions: only absolute ones are supported")
    if config.get("is_decoder"):
        raise NotPrepared(f"{name} is a decoder: only encoders are supported")


def _pooling(name: str, config: dict[str, Any]) -> str:
    chosen = [name for name, value in config.items() if name.startswith("pooling_mode_") and value is True]
    if isinstance(config.get("pooling_mode"), str):
        chosen = {"mean": ["pooling_mode_mean_tokens"], "cls": ["pooling_mode_cls_token"]}.get(
            config["pooling_mode"], [config["pooling_mode"]]
        )
    if len(chosen) != 1 or chosen[0] not in POOLINGS:
        asked = " and ".join(chosen).replace("pooling_mode_", "") or "nothing"
        raise NotPrepared(f"{name} pools by {asked}: only the mean of the tokens or the first one (CLS) are supported")
    if config.get("include_prompt") is False:
        raise NotPrepared(f"{name} leaves its prompt out of the mean, which is not supported; choose another model")
    return POOLINGS[chosen[0]]


def _fast(tokenizer: Any, name: str) -> Any:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        kind = type(tokenizer).__name__
        raise NotPrepared(f"{name} has the tokenizer {kind}, which is not supported")
    from tokenizers import Tokenizer

    copied = Tokenizer.from_str(backend.to_str())
    copied.no_padding()
    copied.no_truncation()
    return copied


def _json(path: Path, otherwise: str) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NotPrepared(f"{path} is not there: {otherwise}; name a folder or a hub id of one") from None
    except (OSError, ValueError) as error:
        raise NotPrepared(f"{path} cannot be read ({error}): download the model again") from None
