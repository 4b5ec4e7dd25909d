"""The texts of an experiment's config files."""

from string import Template

DATA = Template("""\
# The data: annotations of train, search, trainsearch (both) and val in annotations/.
_base_ = ["detnas::_base_/datasets/coco_detection.py"]
data_root = "{{ fileDirname }}"
$folders
classes = $classes
num_classes = len(classes)
image_scale = $size  # images are scaled to fit into this width and height
batch_size = $batch  # of each process
num_workers = $workers  # that load images, of each process
flip = dict(prob=0.5)  # left to right; 0.0 where right and left matter
$annotations""")

PRETRAIN = Template("""\
# The supernet learns to classify $what, one random path a step. First it
# trains the path of 3x3 blocks alone (path_warmup_iters), whose function all choices then get.
${bases}\
pretrain_root = "$root"  # one folder a class, in train/ and val/
num_classes = $classes
num_workers = $workers
max_iters = $pretrain_iters
warmup_iters = $pretrain_warmup  # of the learning rate
path_warmup_iters = $path_warmup
path_validation = dict(interval=$interval, paths=2, per_choice=True, calibration_images=256)
train_pipeline = [
    dict(type="mmpretrain.LoadImageFromFile"),
    dict(type="mmpretrain.RandomResizedCrop", scale=64, crop_ratio_range=(0.35, 1.0)),
    dict(type="mmpretrain.RandomFlip", prob=0.5, direction="horizontal"),
    dict(type="mmpretrain.ColorJitter", brightness=0.3, contrast=0.3, saturation=0.3),
    dict(type="mmpretrain.PackInputs"),
]
test_pipeline = [
    dict(type="mmpretrain.LoadImageFromFile"),
    dict(type="mmpretrain.Resize", scale=(64, 64)),
    dict(type="mmpretrain.PackInputs"),
]
""")

FINETUNE = Template("""\
# The supernet is trained under the detector on the train split, one random path a step.
# path_validation scores two random paths, and the path of each choice, on the search split.
_base_ = ["./detector.py", "detnas::_base_/backbones/supernet.py"]
$start
max_iters = $finetune_iters
warmup_iters = $finetune_warmup  # of the learning rate
path_validation = dict(interval=$interval, paths=2, per_choice=True, calibration_images=64)
""")

SEARCH = Template("""\
# Evolution on the supernet: every candidate has its batch norm recalibrated on train images, and is
# scored on the search split. The first generation is a random draw. More generations go on from
# where a finished search ended.
_base_ = ["./finetune.py", "detnas::_base_/search.py"]
search = dict(
${budgets}\
    strategy=dict(
        type="evolution",
        generations=$generations,
        population=$population,
        parents=$parents,
        mutations=$bred,
        crossovers=$bred,
    ),
    evaluator=dict(calibration_images=$calibration, calibration_batch_size=8),
)
""")

RETRAIN = Template("""\
# The found network, trained on train + search from its part of the supernet, tested on val.
_base_ = ["./detector.py", "detnas::_base_/backbones/subnet.py"]
load_from = "{experiment}/finetune/final.pth"
max_iters = $retrain_iters
warmup_iters = $retrain_warmup
""")

COMPARE = Template("""\
# Other networks, trained by the same recipe, and shown beside the found one.
_base_ = ["./retrain.py"]
compare = dict(networks=["3x3", "random"]$stock)
""")

STOCK = Template("""\
# A stock backbone, $name, for as many iterations on the same images.
_base_ = ["./detector.py"]
train_split = "trainsearch"
stage_channels = $channels
backbone = dict(
    type="ResNet",
    depth=$depth,
    out_indices="{out_indices}",
    norm_cfg="{norm_cfg}",
    norm_eval=False,
    $start
)
max_iters = $retrain_iters
warmup_iters = $retrain_warmup
""")
