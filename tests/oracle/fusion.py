"""The fusion of a model with its neighbours by slow loops over plain lists, in double precision."""

import math

STEPS = {1: 0, 2: 1, 3: 2, 4: 2}  # the row of weights by position; 3 for later ones


def side_logs(table, prefix, epsilon=0.001, n_clicks=10, click_decay=0.8):
    """The logarithms of what a dense table says of each item after a session of known items, oldest first."""
    side = [0.0] * len(table)
    for age, item in enumerate(prefix[::-1][:n_clicks]):
        for other, value in enumerate(table[item]):
            side[other] += click_decay**age * value
    return [math.log(1 + value / sum(side) / epsilon) if value else 0.0 for value in side]


def fused_scores(scores, tables, seen, weights, prefix, n_clicks=10):
    """Adds to scores [n_items] what dense tables say of a session of known items, oldest first.

    A row of weights holds one for each table, that of popularity, that of the last click and that of earlier ones.
    Popularity is the logarithm of how often the first table has seen an item, and once more.
    """
    row = weights[STEPS.get(len(prefix), 3)]
    fused = [score + row[-3] * math.log(1 + n) for score, n in zip(scores, seen, strict=True)]
    latest = list(prefix[::-1][:n_clicks])
    for table, weight in zip(tables, row, strict=False):
        fused = [score + weight * log for score, log in zip(fused, side_logs(table, prefix), strict=True)]
    for item in set(latest):
        fused[item] += row[-2] if item == latest[0] else row[-1]
    return fused


def reranked_scores(fused, scores, tables, seen, network, prefix, n_best=100, n_clicks=10):
    """Ranks the best of fused scores anew, ahead of the rest, which stays. What has minus infinity is no item."""
    best = sorted(range(len(fused)), key=lambda item: -fused[item])[:n_best]
    best = [item for item in best if fused[item] > -math.inf]
    latest, logs = list(prefix[::-1][:n_clicks]), [side_logs(table, prefix) for table in tables]
    rows = [
        [
            scores[item] - max(scores[other] for other in best),
            fused[item] - fused[best[0]],
            math.log(1 + seen[item]) - max(math.log(1 + seen[other]) for other in best),
            float(item == latest[0]),
            float(item in latest and item != latest[0]),
            math.log(1 + place),
            *(side[item] for side in logs),
        ]
        for place, item in enumerate(best)
    ]
    session = [math.log(len(latest)), *(sum(column) / len(best) for column in zip(*rows, strict=True))]
    of_session = _times(session, network["of_sessions"])
    found = list(fused)
    for item, row in zip(best, rows, strict=True):
        hidden = _relu(_times(row, network["of_items"]), of_session, network["bias"])
        hidden = _relu(_times(hidden, network["second"]), network["second_bias"])
        found[item] += sum(value * weight for value, weight in zip(hidden, network["last"], strict=True))
    if len(best) == n_best:
        lift = fused[best[-1]] - min(found[item] for item in best)
        for item in best:
            found[item] += lift
    return found


def _times(values, matrix):
    return [
        sum(value * weight for value, weight in zip(values, column, strict=True))
        for column in zip(*matrix, strict=True)
    ]


def _relu(*terms):
    return [max(0.0, sum(parts)) for parts in zip(*terms, strict=True)]


def log_smooth_rank(scores, target, temperature):
    """The logarithm of a rank whose comparisons are sigmoids."""
    others = [score for item, score in enumerate(scores) if item != target]
    return math.log(1 + sum(1 / (1 + math.exp(-(score - scores[target]) / temperature)) for score in others))
