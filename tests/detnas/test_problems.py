"""`Problems`: what checks find is raised together, once each."""

import pytest

from detnas.errors import MissingFileError, Problems, SeveralErrors, UserError


def test_one_problem_is_raised_as_it_is() -> None:
    problems = Problems()
    with problems:
        raise MissingFileError("a.json does not exist")
    assert problems
    with pytest.raises(MissingFileError, match=r"a\.json does not exist"):
        problems.raise_found()


def test_several_are_raised_together_and_repetitions_once() -> None:
    problems = Problems("train.py", "search.py")
    for text in ("train.py: x is 1", "search.py: x is 1", "y is 2", "config: y is 2"):
        with problems:
            raise UserError(text)
    with problems:
        raise SeveralErrors(["z is 3", "y is 2"])
    with pytest.raises(SeveralErrors) as raised:
        problems.raise_found()
    assert raised.value.messages == ("train.py: x is 1", "y is 2", "z is 3")


def test_a_defect_is_not_collected() -> None:
    problems = Problems()
    with pytest.raises(KeyError), problems:
        raise KeyError("defect")
    assert not problems
    problems.raise_found()
