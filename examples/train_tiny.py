"""A small, real training run: a two-layer network fitted by gradient descent, numpy only, about 4 seconds.

    greenai run --duration 1m -- python examples/train_tiny.py
    python examples/train_tiny.py --steps 500

Same seed, same loss.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

ROWS = 4096
FEATURES = 16
HIDDEN = 64
BATCH = 128
LEARNING_RATE = 0.05
REPORTS = 5


def data(random: np.random.Generator) -> tuple[Array, Array]:
    """Inputs (ROWS, FEATURES) and a target (ROWS, 1) that is not linear in them, with noise of deviation 0.1."""
    x = random.standard_normal((ROWS, FEATURES))
    y = np.sin(2 * x[:, :1]) + x[:, 1:2] * x[:, 2:3] + 0.1 * random.standard_normal((ROWS, 1))
    return x, y


def start(random: np.random.Generator) -> list[Array]:
    """First weights and biases: input to hidden, hidden to output."""
    w1 = random.standard_normal((FEATURES, HIDDEN)) / np.sqrt(FEATURES)
    w2 = random.standard_normal((HIDDEN, 1)) / np.sqrt(HIDDEN)
    return [w1, np.zeros((1, HIDDEN)), w2, np.zeros((1, 1))]


def predict(weights: list[Array], x: Array) -> tuple[Array, Array]:
    """The hidden layer and the output."""
    w1, b1, w2, b2 = weights
    hidden = np.tanh(x @ w1 + b1)
    return hidden, hidden @ w2 + b2


def gradients(weights: list[Array], x: Array, y: Array) -> list[Array]:
    """Of the mean squared error over the batch, one per weight."""
    hidden, output = predict(weights, x)
    error = 2 * (output - y) / len(x)
    back = (error @ weights[2].T) * (1 - hidden**2)
    return [x.T @ back, back.sum(0, keepdims=True), hidden.T @ error, error.sum(0, keepdims=True)]


def train(steps: int, seed: int) -> Iterator[tuple[int, float]]:
    """Run `steps` batches; yields (step, mean squared error over all rows) now and then, and at the end."""
    random = np.random.default_rng(seed)
    x, y = data(random)
    weights = start(random)
    for step in range(steps + 1):
        if step % max(1, steps // REPORTS) == 0:
            yield step, float(np.mean((predict(weights, x)[1] - y) ** 2))
        batch = random.integers(0, ROWS, BATCH)
        for weight, slope in zip(weights, gradients(weights, x[batch], y[batch]), strict=True):
            np.subtract(weight, LEARNING_RATE * slope, out=weight)


def main() -> None:
    """Train and print the loss."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=10_000, help="batches of gradient descent (default 10000)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for step, loss in train(options.steps, options.seed):
        sys.stdout.write(f"step {step:6d}  loss {loss:.4f}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
