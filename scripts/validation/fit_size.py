"""Compares the scores of scripts/validation/fit-size with those of the largest fit: Pearson's and Spearman's correlation over each query's
candidates, and the share of the top 10 that is the same, as means over the queries.

    fit_size.py FOLDER SIZE...
"""

import array
import json
import math
import pathlib
import re
import struct
import sys


def table(path):
    data = path.read_bytes()
    start = 10 + struct.unpack("<H", data[8:10])[0]
    rows, columns = map(int, re.search(rb"'shape': \((\d+), (\d+),\)", data[:start]).groups())
    numbers = array.array("d")
    numbers.frombytes(data[start:])
    return [[value for value in numbers[row * columns : (row + 1) * columns] if not math.isnan(value)] for row in range(rows)]


def correlation(one, other):
    means = sum(one) / len(one), sum(other) / len(other)
    products = sum((a - means[0]) * (b - means[1]) for a, b in zip(one, other))
    return products / math.sqrt(sum((a - means[0]) ** 2 for a in one) * sum((b - means[1]) ** 2 for b in other))


def ranks(values):
    order = sorted(range(len(values)), key=values.__getitem__)
    found = [0] * len(values)
    for rank, index in enumerate(order):
        found[index] = rank
    return found


def top(values, count=10):
    return set(sorted(range(len(values)), key=lambda index: -values[index])[:count])


def main(folder, sizes):
    folder = pathlib.Path(folder)
    best = table(folder / f"{sizes[-1]}.npy")
    rows = []
    for size in sizes:
        fitted = re.search(r"on (\d+) sequences of (\d+) tokens", (folder / f"{size}.txt").read_text())
        pairs = list(zip(table(folder / f"{size}.npy"), best))
        mean = lambda compare: sum(compare(*pair) for pair in pairs) / len(pairs)  # noqa: E731
        rows.append({
            "sequences": int(fitted[1]), "tokens": int(fitted[2]),
            "pearson": mean(correlation), "spearman": mean(lambda a, b: correlation(ranks(a), ranks(b))),
            "top_10": mean(lambda a, b: len(top(a) & top(b)) / 10),
        })
    json.dump({"queries": len(best), "candidates": sum(map(len, best)) / len(best), "fits": rows}, sys.stdout, indent=1)


main(sys.argv[1], sys.argv[2:])
