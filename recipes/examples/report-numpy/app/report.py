"""Describes a table of measurements: how its columns are spread, how they go together, their trend and their period.

    report.py FILE.csv     the first column is the time, in even steps; `-` is standard input
"""

import sys

import numpy as np


def read(name):
    file = sys.stdin if name == "-" else open(name, encoding="utf-8")
    with file:
        header = file.readline().strip().split(",")
        table = np.loadtxt(file, delimiter=",", ndmin=2)
    if table.shape[1] != len(header):
        sys.exit(f"report: reading {name}: {len(header)} columns are named and {table.shape[1]} are there")
    if len(table) < 8:
        sys.exit(f"report: reading {name}: there are {len(table)} lines, and a trend takes 8")
    return header, table


def period(time, values):
    """The strongest wave's length, after the trend is taken away."""
    trend = np.polyval(np.polyfit(time, values, 1), time)
    strength = np.abs(np.fft.rfft(values - trend))
    steps = np.fft.rfftfreq(len(values), time[1] - time[0])
    return 1 / steps[1 + strength[1:].argmax()]


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__.strip())
    header, table = read(sys.argv[1])
    time, columns = table[:, 0], table[:, 1:]
    print(f"{len(table)} lines, {header[0]} from {time[0]:g} to {time[-1]:g}")
    print(f"{'':10}{'mean':>9}{'std':>9}{'min':>9}{'median':>9}{'max':>9}{'trend':>9}{'period':>9}")
    for name, values in zip(header[1:], columns.T):
        low, middle, high = np.percentile(values, [0, 50, 100])
        slope = np.polyfit(time, values, 1)[0]
        cells = values.mean(), values.std(), low, middle, high, slope, period(time, values)
        print(f"{name:10}" + "".join(f"{cell:9.3f}" for cell in cells))
    print("correlation")
    for name, row in zip(header[1:], np.atleast_2d(np.corrcoef(columns.T))):
        print(f"{name:10}" + "".join(f"{cell:9.3f}" for cell in row))
    # How the last column follows from the others.
    known = np.column_stack([np.ones(len(table)), columns[:, :-1]])
    found, *_ = np.linalg.lstsq(known, columns[:, -1], rcond=None)
    print(f"{header[-1]} is about " + " + ".join(f"{f:.3f} {n}".rstrip() for f, n in zip(found, ["", *header[1:-1]])))


main()
