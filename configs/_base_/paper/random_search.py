# Random search, with as many evaluations as the paper's search.
_base_ = ["./search.py"]
search = dict(
    strategy=dict(
        _delete_=True, type="random", generations="{generations}", population="{population}"
    )
)
