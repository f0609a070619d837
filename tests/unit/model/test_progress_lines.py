"""Progress read from output: what programs really print, what only looks like it, and laws that hold for any text."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from greenai.model.progress_lines import MOST_COUNTERS, Seen, read_on, skipped_to


def share(text: str) -> float | None:
    return read_on(Seen(), text).share


def bar(done: int, total: int, about: str = "", *, fill: str = "█", postfix: str = "") -> str:
    """What tqdm prints; that it does is asked of tqdm itself below."""
    width = 40 * done // total
    body = fill * width + " " * (40 - width)
    left = f"{about}: " if about else ""
    return f"{left}{100 * done / total:3.0f}%|{body}| {done}/{total} [00:12<01:02:15, 37.50it/s{postfix}]"


def keras(epoch: int, epochs: int, done: int, total: int) -> str:
    """What Keras 3 prints, colours and all."""
    counted = f"\x1b[1m {done}/{total}\x1b[0m \x1b[32m━━━━━━━\x1b[0m\x1b[37m━━━\x1b[0m \x1b[1m2s\x1b[0m 5ms/step"
    return f"Epoch {epoch}/{epochs}\n{counted}\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"\r{bar(0, 1000)}\r{bar(450, 1000)}", 0.45),
        (f"\r{bar(450, 1000, fill='#')}", 0.45),
        (f"\r{bar(450, 1000, 'Training')}\r{bar(451, 1000, 'Training')}", 0.451),
        (f"\r{bar(3, 10, postfix=', loss=0.31')}", 0.3),
        ("Epoch 3/10", None),
        ("Epoch 3/10\n", 0.2),
        ("epoch [3/10] loss 0.2\n", 0.2),
        ("| Epoch: 3 of 10 |\n", 0.2),
        ("Epoch 1/10\nEpoch 2/10, Step [50/100], Loss: 0.31\n", 0.15),
        ("Epoch 0/9\nEpoch 3/9\n", 0.3),
        (keras(3, 10, 450, 1000), 0.245),
        (f"Epoch 1/4:\r{bar(90, 100, 'Epoch 1/4')}\nEpoch 2/4\r{bar(50, 100, 'Epoch 2/4')}", 0.375),
        (f"Epoch 2/4\n{bar(100, 100)}\n{bar(2, 10, 'validation')}\n", 0.5),
        ("global step 120/1000\nglobal step 121/1000: loss 2\n", 0.121),
        ("iter 30/300 | loss 2\n", 0.1),
        ("Step 120/100", None),
    ],
)
def test_what_programs_print(text, expected):
    assert share(text) == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    "text",
    [
        "50% of the GPUs are busy\n",
        "accuracy: 45%\nvalidation 450/1000 correct\n",
        "Step 2/5 : RUN pip install\n",
        "45%|####      | 450/2000 [00:12<00:15, 37.5it/s]\n",
        "epoch 2026/11/24\nsteps/30/40\nstep 20/300.5\n",
        "downloaded 45/100 files\n",
        "the epochs of 3/10 of all stars\n",
        f"{bar(450, 1000, 'Map')}\n{bar(1, 2, 'Loading checkpoint shards')}\n",
        f"{bar(1000, 1000)}\n",
        f"{bar(0, 1)}\n",
        "Epoch 0/0\n",
    ],
)
def test_what_only_looks_like_progress(text):
    assert share(text) is None


def test_a_bar_for_each_epoch_is_not_the_whole():
    first = "".join(f"\r{bar(done, 100)}" for done in (0, 50, 100))
    assert share(f"{first}\n{first}\r{bar(60, 100)}") is None


def test_epochs_that_begin_again_are_folds():
    assert share("Epoch 1/5\nEpoch 5/5\nEpoch 1/5\nEpoch 2/5\n") is None
    assert share("Epoch 1/5\nEpoch 1/8\n") is None


def test_the_bar_of_a_training_outlasts_those_of_its_evaluations():
    """As the trainer of Hugging Face prints: steps of the whole, and a bar for each evaluation."""
    evaluation = "".join(f"\r{bar(done, 50)}" for done in (0, 25, 50))
    during = f"\r{bar(0, 1000)}\r{bar(400, 1000)}\n\r{bar(10, 50)}"
    assert share(during) is None
    assert share(f"\r{bar(0, 1000)}\r{bar(400, 1000)}\n{evaluation}\r{bar(600, 1000)}\n{evaluation}\r{bar(601, 1000)}") == 0.601


def test_ranks_that_print_in_turn():
    text = "".join(f"step {number - rank}/1000\n" for number in range(2, 400) for rank in (0, 1, 0))
    assert share(text) == pytest.approx(0.399)


def test_a_program_that_counts_too_much_is_not_understood():
    text = "".join(f"step 30/{100 + number}\n" for number in range(MOST_COUNTERS + 5))
    seen = read_on(Seen(), text)
    assert seen.share is None
    assert len(seen.counters) <= MOST_COUNTERS + 1
    assert read_on(Seen(), f"Epoch 2/4\n{text}").share is None


def test_pieces_that_do_not_belong_together_are_not_joined():
    seen = read_on(Seen(), "Epoch 2/4\nEpoch 3")
    assert skipped_to(seen, "/4\nsomething\n").share == 0.25
    assert skipped_to(seen, "/4").share == 0.25
    assert skipped_to(seen, "x\nEpoch 4/4\n").share == 0.75


def test_a_line_without_end_is_not_kept():
    seen = read_on(Seen(), "x" * 10_000)
    assert len(seen.rest) < 3000
    assert read_on(seen, f"step 30/100\n{bar(450, 1000)}\n").share == 0.45


@given(
    done=st.integers(0, 10**6),
    total=st.integers(2, 10**6),
    about=st.sampled_from(["", "Training", "Step", "train loss=0.3"]),
    shape=st.fixed_dictionaries({"ascii": st.booleans(), "ncols": st.sampled_from([None, 80, 200])}),
)
def test_whatever_tqdm_prints_of_the_whole_is_read(done, total, about, shape):
    tqdm = pytest.importorskip("tqdm").tqdm
    done = min(done, total - 1)
    assert share(tqdm.format_meter(done, total, 1.0 + done, prefix=about, **shape)) == pytest.approx(done / total)


pieces = st.one_of(
    st.text(max_size=30),
    st.sampled_from(["\n", "\r", "45%", "|", "Epoch ", "step ", "3/10", "\x1b[A", " of ", "450/1000 [00:12<00:15, 3it/s]"]),
    st.builds(bar, st.integers(0, 50), st.integers(50, 60)),
    st.builds(lambda done, total: f"Epoch {done}/{total}\n", st.integers(0, 9), st.integers(1, 9)),
    st.builds(lambda done: f"step {done}/100\n", st.integers(0, 120)),
)
texts = st.lists(pieces, max_size=25).map("".join)


@given(text=texts, cuts=st.lists(st.integers(0, 400), max_size=6))
@example(text=f"\r{bar(450, 1000)}", cuts=[20])
def test_the_answer_does_not_depend_on_the_cuts(text, cuts):
    seen, last = Seen(), 0
    for cut in (*sorted(min(cut, len(text)) for cut in cuts), len(text)):
        seen, last = read_on(seen, text[last:cut]), cut
    assert seen == read_on(Seen(), text)


@given(texts)
def test_a_share_is_a_share(text):
    found = share(text)
    assert found is None or 0 <= found <= 1


@given(st.text())
def test_any_other_text_says_nothing(text):
    lower = text.lower()
    if not any(word in lower for word in ("epoch", "step", "iter", "%|")):
        assert share(text) is None


@given(st.lists(st.integers(0, 100), min_size=1), st.integers(0, 100))
def test_percentages_by_themselves_say_nothing(percentages, other):
    assert share("".join(f"loss {other} | {percent}% | {percent}%\n{percent}%\r" for percent in percentages)) is None
