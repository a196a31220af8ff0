"""Baselines by slow loops over plain lists: sessions are lists of item rows, scores are dense lists.

Each function returns the score of every item for a prefix; `rank` orders by (score, popularity).
"""

import math
from fractions import Fraction


def popularity_counts(sessions, n_items):
    counts = [0] * n_items
    for session in sessions:
        for item in session:
            counts[item] += 1
    return counts


def transition_scores(sessions, n_items, prefix):
    scores = [0] * n_items
    for session in sessions:
        for now, following in zip(session, session[1:], strict=False):
            if now == prefix[-1]:
                scores[following] += 1
    return scores


def session_knn_scores(sessions, n_items, prefix, n_neighbours, n_candidates, idf):
    """V-SkNN as Ludewig and Jannach 2018 state it; `sessions` run from the oldest to the newest."""
    weight_of = {item: Fraction(position, len(prefix)) for position, item in enumerate(prefix, 1)}
    candidates = [number for number, session in enumerate(sessions) if set(session) & set(prefix)]
    candidates = candidates[-n_candidates:]

    def similarity(number):
        shared = sorted(set(sessions[number]) & set(prefix))
        return sum(weight_of[item] for item in shared)

    neighbours = sorted(candidates, key=lambda number: (-similarity(number), -number))[:n_neighbours]
    scores = []
    for item in range(n_items):
        holders = sum(item in session for session in sessions)
        total = Fraction(0)
        for number in sorted(neighbours):
            if item in sessions[number]:
                nearest = max(weight_of[shared] for shared in set(sessions[number]) & set(prefix))
                total += similarity(number) * nearest
        scores.append(float(total) * (math.log(len(sessions) / holders) if idf and holders else 1.0))
    return scores


def vstan_scores(sessions, n_items, prefix, n_neighbours, n_candidates, decays):
    """STAN's three decays and V-SkNN's idf, word by word; `decays` are lambda_spw, lambda_snh and lambda_inh."""
    spw, snh, inh = decays

    def last_place(session, item):
        return max(place for place, other in enumerate(session) if other == item)

    def similarity(number):
        session = sessions[number]
        shared = set(session) & set(prefix)
        likeness = sum(math.exp((last_place(prefix, item) + 1 - len(prefix)) / spw) for item in shared)
        return likeness / math.sqrt(len(set(session))) * math.exp(-(len(sessions) - 1 - number) / snh)

    candidates = [number for number, session in enumerate(sessions) if set(session) & set(prefix)]
    neighbours = sorted(candidates[-n_candidates:], key=similarity)[-n_neighbours:]
    scores = [0.0] * n_items
    for number in neighbours:
        session = sessions[number]
        recent = max(set(session) & set(prefix), key=lambda item: last_place(prefix, item))
        for item in set(session):
            distance = abs(last_place(session, item) - last_place(session, recent))
            idf = math.log(len(sessions) / sum(item in other for other in sessions))
            scores[item] += similarity(number) * math.exp(-distance / inh) * idf
    return scores


def rank(scores, counts, target, tie, close=1e-12):
    """Rank of the target; scores within `close` of one another are equal."""
    before = level = 0
    for score, count in zip(scores, counts, strict=True):
        if abs(score - scores[target]) > close:
            before += score > scores[target]
        else:
            before += count > counts[target]
            level += count == counts[target]
    return {"standard": 1 + before, "conservative": before + level, "median": before + (1 + level) / 2}[tie]


def sequential_rules_table(sessions, n_items, max_distance, weights=None):
    """Sequential rules, each row divided by the item's clicks; weights of the sessions, 1 by default."""
    weights = weights or [1.0] * len(sessions)
    clicks = [
        sum(weight * session.count(item) for session, weight in zip(sessions, weights, strict=True))
        for item in range(n_items)
    ]
    table = [[0.0] * n_items for _ in range(n_items)]
    for session, weight in zip(sessions, weights, strict=True):
        for place, item in enumerate(session):
            for distance, later in enumerate(session[place + 1 : place + 1 + max_distance], 1):
                table[item][later] += weight / distance / clicks[item]
    return table


def item_knn_table(sessions, n_items, n_sessions, half_life, weights=None):
    """What the latest sessions of each item hold; `sessions` run from the oldest to the newest."""
    weights = weights or [1.0] * len(sessions)
    weighed = list(zip(map(set, sessions), weights, strict=True))

    def idf(item):
        return math.log(sum(weights) / max(1.0, sum(weight for held, weight in weighed if item in held)))

    table = [[0.0] * n_items for _ in range(n_items)]
    for item in range(n_items):
        holders = [(held, weight) for held, weight in reversed(weighed) if item in held]
        for age, (held, weight) in enumerate(holders[:n_sessions]):
            for other in held:
                table[item][other] += weight * 0.5 ** (age / half_life) * idf(other)
    return table


def cut_table(table, n_top):
    """The n_top largest entries of each row, of equal ones those of lower columns; the others are 0."""
    cut = []
    for row in table:
        kept = sorted(range(len(row)), key=lambda column: (-row[column], column))[:n_top]
        cut.append([value if column in kept else 0.0 for column, value in enumerate(row)])
    return cut


def item_to_item_scores(table, prefix, n_clicks, click_decay=0.8):
    """The rows of the last clicks, each weighing less than the one after it."""
    scores = [0.0] * len(table)
    for age, item in enumerate(prefix[::-1][:n_clicks]):
        for other, value in enumerate(table[item]):
            scores[other] += click_decay**age * value
    return scores
