"""The section `search.executor` of a config: where candidates are evaluated."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from detnas.errors import UserError

Positive = Annotated[int, Meta(ge=1)]


class ExecutorSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Where candidates are evaluated; never alters a score.

    Attributes:
        type: "local" in this process; "processes" in `workers` of this machine; "ray" on a Ray
            cluster.
        attempts: tries of a candidate before it is recorded as failed.
        workers: of "processes" (None: one a GPU, or as many as the CPUs have room for) and of "ray"
            (None: one a GPU of the cluster, or as its CPUs have room, growing with it).
        timeout: seconds for one try; a worker that takes longer is replaced. "local" cannot
            replace its process and ignores it.
        address: of the Ray cluster; None starts one on this machine.
    """

    type: Literal["local", "processes", "ray"] = "local"
    attempts: Positive = 2
    workers: Positive | None = None
    timeout: Annotated[float, Meta(gt=0)] = 4 * 3600.0
    address: Annotated[str, Meta(min_length=1)] | None = None

    def __post_init__(self) -> None:
        for key, types in (("workers", ("processes", "ray")), ("address", ("ray",))):
            if getattr(self, key) is not None and self.type not in types:
                raise UserError(
                    f"search.executor.{key} is for type {' and '.join(map(repr, types))}, "
                    f"not {self.type!r}: leave it out, or set it to None"
                )
