"""The coloured automaton with right and left movers, as the permutation of its configurations."""

from collections import Counter

import numpy as np


def bits_of(cells):
    """Return all configurations, (2^(4 cells), cells, 4) bits: right red, right green, left red, left green."""
    states = np.arange(2 ** (4 * cells))
    return (states[:, None] >> np.arange(4 * cells) & 1).reshape(len(states), cells, 4)


def automaton(cells, interacting):
    """Return p with p[state] the next one: colours change where two single movers meet, then all move."""
    bits = bits_of(cells)
    if interacting:
        single = (bits[..., :2].sum(-1) == 1) & (bits[..., 2:].sum(-1) == 1)
        exchange = single & (bits[..., 0] != bits[..., 2])
        bits = np.where(exchange[..., None], 1 - bits, bits)
    moved = np.concatenate([np.roll(bits[..., :2], 1, axis=1), np.roll(bits[..., 2:], -1, axis=1)], axis=-1)
    return (moved.reshape(len(bits), -1) << np.arange(4 * cells)).sum(axis=1)


def totals(cells):
    """Return occupations by position of right movers, left movers and red right movers, (states, cells) each."""
    bits = bits_of(cells).astype(float)
    return bits[..., :2].sum(-1), bits[..., 2:].sum(-1), bits[..., 0]


def cycle_counts(permutation):
    """Return the number of cycles by length."""
    seen, counts = np.zeros(len(permutation), bool), Counter()
    for start in range(len(permutation)):
        length, state = 0, start
        while not seen[state]:
            seen[state], state, length = True, permutation[state], length + 1
        if length:
            counts[length] += 1
    return dict(counts)
