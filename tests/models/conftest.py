"""Models that are compiled once and begin anew for each test."""

import pytest


@pytest.fixture(scope="module")
def anew():
    """Returns a function that puts weights, slots and counters of a model back to what they were at its first call."""
    first = {}

    def begin_anew(model):
        if model not in first:
            variables = [*model.variables, *model.optimizer.variables]
            first[model] = [(variable, variable.numpy()) for variable in variables]
        for variable, value in first[model]:
            variable.assign(value)
        model.stop_training = False
        return model

    return begin_anew
