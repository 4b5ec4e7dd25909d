# The paper's search: 20 generations of 50, batch norm recalibrated on 500 training images.
_base_ = ["../search.py"]
generations = 20
population = 50
search = dict(
    strategy=dict(
        type="evolution",
        generations="{generations}",
        population="{population}",
        parents=10,
        mutations=20,
        crossovers=20,
        mutation_probability=0.1,
    ),
    evaluator=dict(calibration_images=500),
)
