# Curves of every stage in TensorBoard: losses, path validation, candidates of the search, test.
# Name this file under `_base_`, then: tensorboard --logdir work_dirs/mine
# In the place of TensorboardVisBackend, or beside it:
#   dict(type="MLflowVisBackend", exp_name="mine")             # pip install mlflow
#   dict(type="WandbVisBackend", init_kwargs=dict(project="mine"))  # pip install wandb
visualizer = dict(
    type="Visualizer",
    vis_backends=[dict(type="LocalVisBackend"), dict(type="TensorboardVisBackend")],
)
