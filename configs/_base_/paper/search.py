# The paper's search: 20 generations of 50, batch norm recalibrated on 500 training images.
_base_ = ["../search.py"]
search = dict(
    strategy=dict(
        type="evolution",
        generations=20,
        population=50,
        parents=10,
        mutations=20,
        crossovers=20,
        mutation_probability=0.1,
    ),
    evaluator=dict(calibration_images=500),
)
