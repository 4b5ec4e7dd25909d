"""Where candidates are evaluated: in this process, in several, in a launcher's ranks, on Ray.

`base` says what an executor is, `local` is the plainest; the others share candidates out to a pool
of workers (`pool`) of one kind: `processes` and `ranks`, both behind `connections`, or
`ray_cluster`. `serve` is the workers' side, `build` chooses.
"""
