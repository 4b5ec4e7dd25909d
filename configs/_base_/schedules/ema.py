# An exponential average of the weights, which is what is tested: of single networks alone, for most
# of a supernet does not change in a step.
custom_hooks = [dict(type="EMAHook", momentum=2e-4, update_buffers=True, priority="NORMAL")]
