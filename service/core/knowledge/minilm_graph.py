"""Writes all-MiniLM-L6-v2 as an ONNX graph with 8-bit weights, from the weights of an installed package.

No package ships the graph, and exporting it needs torch (200 MB and more). The architecture is BERT's (Devlin et al. 2018) with
six layers; the vector is the mean of the last layer's tokens, of length 1, as the model's card says. One text at a time: the
8-bit kernels scale a whole batch by its largest value, so that a vector would depend on the texts beside it.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

LAYERS, HEADS, WIDTH, EPSILON = 6, 12, 384, 1e-12  # config.json of the model
_OPSET, _IR_VERSION = 20, 9


def quantized_graph(weights: Path) -> bytes:
    """Return the ONNX file of the model in ``weights`` (safetensors); about a second, 22.7 MB."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    graph = _Graph(weights).model()
    # The quantizer would log a warning to the root logger for a graph that its own preprocessing has not seen.
    onnx.helper.set_model_props(graph, {"onnx.quant.pre_process": "onnxruntime.quant"})
    with TemporaryDirectory() as folder:
        file = Path(folder) / "int8.onnx"
        quantize_dynamic(graph, file, weight_type=QuantType.QInt8)
        return file.read_bytes()


class _Graph:
    """Collects nodes and constants; each method returns the name of its result."""

    def __init__(self, weights: Path) -> None:
        from safetensors.numpy import load_file

        self._weights: dict[str, Any] = load_file(weights)
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}

    def model(self) -> Any:
        from onnx import TensorProto, helper

        hidden = self._embeddings()
        for layer in range(LAYERS):
            hidden = self._layer(hidden, f"encoder.layer.{layer}.")
        mean = self._add("ReduceMean", hidden, self._numbers("token axis", [1]), keepdims=0)
        self._add("LpNormalization", mean, result="vector", axis=-1, p=2)
        graph = helper.make_graph(
            self._nodes,
            "all-MiniLM-L6-v2",
            [helper.make_tensor_value_info("tokens", TensorProto.INT64, [1, "length"])],
            [helper.make_tensor_value_info("vector", TensorProto.FLOAT, [1, WIDTH])],
            list(self._constants.values()),
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)

    def _embeddings(self) -> str:
        length = self._add("Shape", "tokens", start=1, end=2)
        start = self._numbers("first", [0])
        # Not Gather(Range): onnxruntime 1.31 rewrites it to a Slice that it then refuses.
        positions = self._add("Slice", self._weight("embeddings.position_embeddings.weight"), start, length, start)
        words = self._add("Gather", self._weight("embeddings.word_embeddings.weight"), "tokens")
        kind = self._constant("token type", self._weights["embeddings.token_type_embeddings.weight"][0])
        return self._norm(self._add("Add", self._add("Add", words, positions), kind), "embeddings.LayerNorm")

    def _layer(self, hidden: str, layer: str) -> str:
        attended = self._linear(self._attention(hidden, f"{layer}attention.self."), f"{layer}attention.output.dense")
        hidden = self._norm(self._add("Add", hidden, attended), f"{layer}attention.output.LayerNorm")
        inner = self._add("Gelu", self._linear(hidden, f"{layer}intermediate.dense"))
        return self._norm(
            self._add("Add", hidden, self._linear(inner, f"{layer}output.dense")), f"{layer}output.LayerNorm"
        )

    def _attention(self, hidden: str, part: str) -> str:
        def heads(name: str, order: list[int]) -> str:
            apart = self._numbers("heads apart", [0, 0, HEADS, WIDTH // HEADS])
            return self._add("Transpose", self._add("Reshape", self._linear(hidden, part + name), apart), perm=order)

        scale = self._constant("scale", np.array((WIDTH // HEADS) ** -0.5, np.float32))
        scores = self._add("MatMul", heads("query", [0, 2, 1, 3]), heads("key", [0, 2, 3, 1]))
        shares = self._add("Softmax", self._add("Mul", scores, scale), axis=-1)
        mixed = self._add("MatMul", shares, heads("value", [0, 2, 1, 3]))
        together = self._numbers("heads together", [0, 0, WIDTH])
        return self._add("Reshape", self._add("Transpose", mixed, perm=[0, 2, 1, 3]), together)

    def _linear(self, value: str, name: str) -> str:
        weight = self._constant(f"{name}.weight", self._weights[f"{name}.weight"].T)
        return self._add("Add", self._add("MatMul", value, weight), self._weight(f"{name}.bias"))

    def _norm(self, value: str, name: str) -> str:
        scale, shift = self._weight(f"{name}.weight"), self._weight(f"{name}.bias")
        return self._add("LayerNormalization", value, scale, shift, axis=-1, epsilon=EPSILON)

    def _weight(self, name: str) -> str:
        return self._constant(name, self._weights[name])

    def _numbers(self, name: str, values: list[int]) -> str:
        return self._constant(name, np.array(values, np.int64))

    def _constant(self, name: str, values: Any) -> str:
        from onnx import numpy_helper

        if name not in self._constants:
            self._constants[name] = numpy_helper.from_array(np.ascontiguousarray(values), name)
        return name

    def _add(self, kind: str, *inputs: str, result: str = "", **attributes: Any) -> str:
        from onnx import helper

        result = result or f"{kind} {len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, list(inputs), [result], name=result, **attributes))
        return result
