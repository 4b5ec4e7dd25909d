# What every stage shares: registration of DetNAS's parts, environment, logging, checkpoints.
custom_imports = dict(imports=["detnas.models", "detnas.training", "detnas.evaluation.metrics"])
default_scope = "mmdet"
env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method="fork", opencv_num_threads=0),
    dist_cfg=dict(backend="nccl"),
)
default_hooks = dict(
    timer=dict(type="IterTimerHook"),
    logger=dict(type="LoggerHook", interval=50),
    param_scheduler=dict(type="ParamSchedulerHook"),
    checkpoint=dict(
        type="CheckpointHook", by_epoch=False, interval="{checkpoint_interval}", max_keep_ckpts=2
    ),
    sampler_seed=dict(type="DistSamplerSeedHook"),
)
log_processor = dict(type="LogProcessor", window_size=50, by_epoch=False)
amp = None  # "bf16" or "fp16" trains in that precision
log_level = "INFO"
randomness = dict(seed=0)
load_from = None
resume = False
