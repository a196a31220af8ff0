"""The fusion of a model with its neighbours by slow loops over plain lists, in double precision."""

import math

STEPS = {1: 0, 2: 1, 3: 2, 4: 2}  # the row of weights by position; 3 for later ones


def fused_scores(scores, tables, seen, weights, prefix, epsilon=0.001, n_clicks=10, click_decay=0.8):
    """Adds to scores [n_items] what dense tables say of a session of known items, oldest first.

    A row of weights holds one for each table, that of popularity, that of the last click and that of earlier ones.
    Popularity is the logarithm of how often the first table has seen an item, and once more.
    """
    row = weights[STEPS.get(len(prefix), 3)]
    fused = [score + row[-3] * math.log(1 + n) for score, n in zip(scores, seen, strict=True)]
    latest = list(prefix[::-1][:n_clicks])
    for table, weight in zip(tables, row, strict=False):
        side = [0.0] * len(fused)
        for age, item in enumerate(latest):
            for other, value in enumerate(table[item]):
                side[other] += click_decay**age * value
        for item, value in enumerate(side):
            if value:
                fused[item] += weight * math.log(1 + value / sum(side) / epsilon)
    for item in set(latest):
        fused[item] += row[-2] if item == latest[0] else row[-1]
    return fused


def log_smooth_rank(scores, target, temperature):
    """The logarithm of a rank whose comparisons are sigmoids."""
    others = [score for item, score in enumerate(scores) if item != target]
    return math.log(1 + sum(1 / (1 + math.exp(-(score - scores[target]) / temperature)) for score in others))
