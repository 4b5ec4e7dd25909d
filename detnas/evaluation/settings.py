"""The section `search.evaluator` of a config: how one candidate is scored."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from detnas.resuming import MAY_CHANGE

Positive = Annotated[int, Meta(ge=1)]
NotNegative = Annotated[int, Meta(ge=0)]


class EvaluatorSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """How one candidate is scored; all but `cache_mb` alter scores.

    Attributes:
        calibration_images: training images over which batch-norm statistics are recomputed; 0
            keeps the supernet's own, which do not rank candidates, for comparison.
        calibration_batch_size: images in one batch of them, at most.
        batch_shapes: "equal" batches images of one padded shape, in calibration and in scoring;
            "mixed" batches them in order, padded to the largest of the batch. None is "equal" in a
            new search, and in a resumed one what the search began with.
        threads: CPU threads of one evaluation; None keeps torch's own number.
        device: the kind that all workers score on, "cpu" or "cuda"; scores of one do not rank with
            those of the other. None is the kind of the coordinator's machine in a new search, and
            in a resumed one what the search began on.
        tf32: whether CUDA multiplies float32 in TF32. None is no only where the environment forbids
            it (`NVIDIA_TF32_OVERRIDE=0`), and in a resumed search what it began with.
        memory_format: of weights, images and feature maps.
        fold_batch_norm: whether batch norm is folded into convolutions while a candidate is scored,
            which is faster; results differ by rounding. None is yes in a new search that scores in
            float32, and in a resumed one what it began with.
        dtype: lower precisions than "float32" are used through autocast.
        cache_mb: memory for the decoded images of each split that are kept between candidates, in
            MiB; 0 keeps none.
    """

    calibration_images: NotNegative = 500
    calibration_batch_size: Positive = 16
    batch_shapes: Literal["equal", "mixed"] | None = None
    threads: Positive | None = None
    device: Literal["cpu", "cuda"] | None = None
    tf32: bool | None = None
    memory_format: Literal["channels_last", "contiguous"] = "channels_last"
    fold_batch_norm: bool | None = None
    dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    cache_mb: Annotated[int, Meta(ge=0), MAY_CHANGE] = 2048
