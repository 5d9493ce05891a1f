"""Exports a sentence model to an ONNX graph: traced, fused, with 8-bit weights in a file beside it.

Uses PyTorch's TorchScript exporter: the newer one leaves operators that onnxruntime's fusions do not recognize.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from pathlib import Path
from typing import Any

import onnx
import torch

from encoders.preparing.eight_bits import in_eight_bits
from encoders.preparing.folder import NotPrepared
from encoders.preparing.graph import GRAPH_FILE, WEIGHTS_FILE
from encoders.preparing.sentence_model import SentenceModel, position_offset

_OPSET = 17


class Embedder(torch.nn.Module):  # type: ignore[misc]  # torch is not installed where types are checked
    """The model without its word table: word embeddings to unit embeddings, for texts of equal length.

    There is no attention mask: see encoders/preparing/graph.py.
    """

    def __init__(self, model: SentenceModel) -> None:
        super().__init__()
        table = model.transformer.embeddings
        begin = position_offset(model.transformer)
        places = table.position_embeddings.weight[begin : begin + model.max_tokens]
        # Only the first token type is ever used, so both tables are added once and for all.
        self.positions = torch.nn.Parameter((places + table.token_type_embeddings.weight[0]).detach())
        self.norm = table.LayerNorm
        self.layers = model.transformer.encoder
        self.first = model.pooling == "cls"
        self.dense = torch.nn.ModuleList(model.dense)

    def forward(self, inputs_embeds: torch.Tensor) -> torch.Tensor:
        x = self.norm(inputs_embeds + self.positions[: inputs_embeds.shape[1]])
        x = self.layers(x).last_hidden_state
        x = x[:, 0] if self.first else x.mean(dim=1)
        for dense in self.dense:
            x = dense({"sentence_embedding": x})["sentence_embedding"]
        return x / torch.linalg.vector_norm(x, dim=1, keepdim=True).clamp(min=1e-12)


def write_exported(model: SentenceModel, folder: Path, work: Path) -> None:
    """Write model.onnx and weights.bin into `folder`; `work` is for temporary files. Raises NotPrepared."""
    try:
        fused = _fused(_traced(model, work / "traced.onnx"), model.transformer.config)
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise NotPrepared(f"the model cannot be exported ({reason}): it has a part that is not supported") from error
    onnx.save_model(
        in_eight_bits(fused), folder / GRAPH_FILE, save_as_external_data=True, all_tensors_to_one_file=True,
        location=WEIGHTS_FILE, size_threshold=1024,
    )  # fmt: skip


def _traced(model: SentenceModel, path: Path) -> Path:
    wrapper = Embedder(model).eval()  # without eval() the graph would keep its dropouts
    axes = {"inputs_embeds": {0: "batch", 1: "tokens"}, "embeddings": {0: "batch"}}
    example = torch.randn(2, 7, model.width)
    with torch.no_grad(), warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        torch.onnx.export(
            wrapper, (example,), str(path), dynamo=False, opset_version=_OPSET,
            input_names=["inputs_embeds"], output_names=["embeddings"], dynamic_axes=axes,
        )  # fmt: skip
    return path


def _fused(path: Path, config: Any) -> Any:
    from onnxruntime.transformers import optimizer
    from onnxruntime.transformers.fusion_options import FusionOptions

    logging.getLogger("onnxruntime.transformers").setLevel(logging.ERROR)
    options = FusionOptions("bert")
    options.use_multi_head_attention = True  # the alternative includes its weights, where MatMulNBits cannot reach them
    optimized = optimizer.optimize_model(
        str(path), model_type="bert", num_heads=config.num_attention_heads, hidden_size=config.hidden_size,
        opt_level=0, optimization_options=options,
    )  # fmt: skip
    optimized.topological_sort()
    return optimized.model
