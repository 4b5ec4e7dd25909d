"""Where candidates are evaluated: in this process, in several of this machine, or on Ray.

`base` says what an executor is and `local` is the simplest one. `pool` shares candidates out to
workers, which are `processes` or the actors of `ray_cluster`. `worker` is what runs in each of
them, `restarts` decides when they start again, `build` chooses.
"""
