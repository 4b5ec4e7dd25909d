"""ONNX files: written by torch's exporter, converted to fp16, opened in ONNX Runtime."""

import json
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim

from detnas.errors import MissingFileError, MissingPackageError, UserError
from detnas.export.nms import onnx_translations
from detnas.files import replacing

OPSET = 18
NETWORK = "network"
"""The part of a whole model that is computed in fp16; the rest stays in fp32."""
_HALF = frozenset(
    (
        *("Add", "AveragePool", "Cast", "Clip", "Concat", "Conv"),
        *("ConvTranspose", "Div", "Gather", "Gemm", "GlobalAveragePool", "HardSigmoid"),
        *("HardSwish", "Identity", "LeakyRelu", "MatMul", "MaxPool", "Mul"),
        *("Pad", "Relu", "Reshape", "Sigmoid", "Slice", "Softplus"),
        *("Split", "Squeeze", "Sub", "Tanh", "Transpose", "Unsqueeze"),
    )
)
"""Operators of a network that lose little in fp16; normalisation and resizing stay in fp32."""


def require_onnx() -> None:
    """Raise MissingPackageError if the packages of the extra `deploy` are not installed."""
    for name in ("onnx", "onnxscript", "onnxruntime"):
        try:
            __import__(name)
        except ModuleNotFoundError as error:
            raise MissingPackageError(
                f"ONNX files need the package {name}, which is not installed: "
                "run `pip install 'detnas[deploy]'`"
            ) from error


def write_onnx(
    module: nn.Module,
    divisor: int,
    path: Path,
    outputs: Sequence[str],
    metadata: Mapping[str, Any],
    has_sizes: bool = False,
    inner: Sequence[str] = (),
) -> None:
    """Export a module of images (N, 3, H, W) with dynamic N, H and W.

    Args:
        module: in evaluation mode on the CPU, such as `WholeDetector`.
        divisor: H and W are multiples of it.
        path: the file to write.
        outputs: the names of the module's outputs.
        metadata: for the file's `metadata_props`; values that are not text are written as JSON.
        has_sizes: whether the module also takes the images' sizes (N, 2).
        inner: names of the module's further outputs, which are not outputs of the file; see
            `open_session`.
    """
    from onnxscript import rewriter

    batch, height, width = Dim("batch"), Dim("height"), Dim("width")
    dynamic: list[dict[int, Any]] = [{0: batch, 2: divisor * height, 3: divisor * width}]
    if divisor == 1:
        dynamic = [{0: batch, 2: height, 3: width}]
    scale = -(-192 // divisor) * divisor
    example: tuple[Tensor, ...] = (torch.zeros(2, 3, scale, scale + divisor),)
    if has_sizes:
        dynamic.append({0: batch})
        example = (*example, torch.tensor([example[0].shape[2:]] * 2))
    with torch.no_grad(), _quiet():
        program = torch.onnx.export(
            module,
            example,
            dynamo=True,
            verbose=False,
            opset_version=OPSET,
            dynamic_shapes=tuple(dynamic),
            input_names=["images", "sizes"][: len(example)],
            output_names=[*outputs, *inner],
            custom_translation_table=onnx_translations(),
        )
        assert program is not None
        model = rewriter.rewrite(program.model)  # puts batch norms into convolutions
    for node in model.graph.all_nodes():
        scopes = node.metadata_props.get("pkg.torch.onnx.name_scopes", "")
        node.metadata_props.clear()  # the names of source files are nobody's concern
        if node.domain == "" and NETWORK in scopes:
            node.metadata_props["part"] = NETWORK
    from onnx_ir import to_proto

    proto = to_proto(model)
    del proto.graph.output[len(outputs) :]
    save(proto, path, metadata)


def write_static_onnx(module: nn.Module, images: Tensor, path: Path) -> None:
    """Export a module for images of one shape, as a measurement needs it."""
    with torch.no_grad(), _quiet():
        program = torch.onnx.export(
            module, (images,), dynamo=True, verbose=False, opset_version=OPSET
        )
        assert program is not None
        program.save(str(path))


def save(proto: Any, path: Path, metadata: Mapping[str, Any]) -> None:
    """Check and write a model; its `metadata_props` are replaced."""
    import onnx

    del proto.metadata_props[:]
    texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in metadata.items()}
    onnx.helper.set_model_props(proto, texts)
    onnx.checker.check_model(proto)
    with replacing(path) as temporary:
        temporary.write_bytes(proto.SerializeToString())


def write_half(path: Path, output: Path, metadata: Mapping[str, Any]) -> None:
    """Convert the network of an exported file to fp16; inputs, outputs and decoding stay in fp32.

    Args:
        path: written by `write_onnx`.
        output: the file to write.
        metadata: as there.
    """
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    proto = onnx.load(path)
    kept = [
        node.name
        for node in proto.graph.node
        if node.op_type not in _HALF or not any(p.key == "part" for p in node.metadata_props)
    ]
    with _quiet():
        half = convert_float_to_float16(
            proto, keep_io_types=True, op_block_list=[], node_block_list=kept
        )
        OnnxModel(half).topological_sort()
    save(half, output, metadata)


def open_session(
    path: Path, device: str = "cpu", threads: int | None = None, inner: Sequence[str] = ()
) -> Any:
    """An `onnxruntime.InferenceSession`.

    Args:
        device: "cpu", "cuda" or "cuda:1".
        threads: on the CPU; None takes torch's.
        inner: names of float tensors inside the file, which the session gives after the outputs.
    Raises:
        UserError: the file is missing or cannot be read, the device is unknown, or this ONNX
            Runtime has no CUDA.
    """
    require_onnx()
    import onnxruntime

    if not path.is_file():
        raise MissingFileError(f"{path} does not exist: name a file of `detnas export`")
    kind, colon, number = device.partition(":")
    if kind not in ("cpu", "cuda") or (colon and not (kind == "cuda" and number.isdecimal())):
        raise UserError(f"unknown device {device!r}: choose cpu, cuda or cuda:N")
    providers: list[Any] = ["CPUExecutionProvider"]
    if kind == "cuda":
        if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
            raise UserError(
                f"device {device}: this onnxruntime has no CUDA; install onnxruntime-gpu in its "
                "place, or choose cpu"
            )
        providers.insert(0, ("CUDAExecutionProvider", {"device_id": int(number or 0)}))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or torch.get_num_threads()
    options.log_severity_level = 3
    try:
        model = _with_outputs(path, inner) if inner else str(path)
        return onnxruntime.InferenceSession(model, options, providers=providers)
    except Exception as error:  # onnxruntime's errors have no common type
        reason = " ".join(str(error).split())
        raise UserError(f"{path} cannot be read as an ONNX file: {reason[:200]}") from error


def _with_outputs(path: Path, names: Sequence[str]) -> bytes:
    """The content of a file whose inner tensors are outputs, too."""
    import onnx

    proto = onnx.load(path)
    for name in names:
        proto.graph.output.append(
            onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
        )
    return bytes(proto.SerializeToString())


def read_metadata(session: Any) -> dict[str, str]:
    """The `metadata_props` of a session's file."""
    return dict(session.get_modelmeta().custom_metadata_map)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporters' remarks on their own workings."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
