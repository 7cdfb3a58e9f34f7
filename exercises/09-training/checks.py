"""Visible checks of assignment 09: each says what is wrong in terms of the idea.

The expected values come from loops and from torch's own optimizers, which the tasks do not let you
use. A check that passes is not the whole story: the grader runs further tests.
"""

import copy
import math
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from encoderlib.testing import call_answer, check_dtype, check_not_used, check_tensor

__all__ = [
    "check_adamw_step",
    "check_costs",
    "check_dropout",
    "check_early_stopping",
    "check_evaluate",
    "check_noam_and_clip",
    "check_train_epoch",
]

LIBRARY = {"encoderlib": "The library holds the answer; write your own."}


def _randn(seed: int, *size: int) -> Tensor:
    return torch.randn(size, generator=torch.Generator().manual_seed(seed))


def _done(what: str) -> None:
    print(f"The visible check of {what} passes.")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise AssertionError(message)


def _near(a: float, b: float, tolerance: float = 1e-4) -> bool:
    return math.isclose(a, b, rel_tol=tolerance, abs_tol=1e-9)


def _named(got: float, mistakes: dict[str, float], otherwise: str) -> str:
    """What the number is, if it is that of a known mistake."""
    return next((why for why, wrong in mistakes.items() if _near(got, wrong)), otherwise)


# ---------------------------------------------------------------- what does it cost?


def check_costs(costs: Callable) -> None:
    """Ten whole numbers."""
    case = call_answer("costs()", costs)
    _require(isinstance(case, dict), "costs() must return the dictionary with ten keys.")
    quadratic = "attention grows with the square of the length"
    width, inner, layers, lengths = 4, 8, 2, (6, 4, 2)
    projections, inside = 4 * width**2, 2 * width * inner
    token = projections + inside
    pairs = {n: 2 * width * n**2 for n in lengths}  # both products of attention
    real, most, batch = sum(lengths), max(lengths), len(lengths)
    padded = layers * batch * (most * token + pairs[most])
    packed = layers * (real * token + sum(pairs.values()))
    numbers, epochs = 300, 5
    named = {
        "linear maps, one token": (
            token,
            {
                "one part is missing: there are four projections, and the two maps of the "
                "feed-forward network": projections,
                "four projections, not three: the output is one of them": token - width**2,
                "the feed-forward network has two maps": projections + inside // 2,
                "these are FLOPs: count multiplications only": 2 * token,
            },
        ),
        "attention, 6 tokens": (
            pairs[most],
            {
                "there are two products: scores, and the mean of the values": pairs[most] // 2,
                "each query meets each key: the length counts twice": 2 * most * width,
                "each product of a query and a key takes D multiplications": 2 * most**2,
                "these are FLOPs: count multiplications only": 2 * pairs[most],
            },
        ),
        "forward, padded": (
            padded,
            {
                "there are N = 2 layers": padded // layers,
                "there are B = 3 sequences": padded // batch,
                "this is the packed batch": packed,
                "the attention is missing": layers * batch * most * token,
                "this is the attention of one sequence of 18 tokens": layers
                * (batch * most * token + 2 * width * (batch * most) ** 2),
            },
        ),
        "forward, packed": (
            packed,
            {
                "there are N = 2 layers": packed // layers,
                f"{quadratic}: work and tokens do not shrink alike": padded
                * real
                // (batch * most),
                "packed sequences do not attend to each other: three squares, not one": layers
                * (real * token + 2 * width * real**2),
                "the attention is missing": layers * real * token,
                "this is the padded batch": padded,
                "only the linear maps were packed": layers * (real * token + batch * pairs[most]),
            },
        ),
        "step, packed": (
            3 * packed,
            {
                "the backward pass has two products for each one of the forward pass, which counts "
                "as well": 2 * packed,
                "this is the forward pass alone": packed,
                "this is three times the padded batch": 3 * padded,
            },
        ),
        "residuals": (
            0,
            {
                "they add D numbers a token, which is no multiplication, and save nothing": (
                    2 * layers * batch * most * width
                ),
            },
        ),
        "forward, 6 layers": (
            6 * padded // layers,
            {
                "the cost is in proportion to the layers": padded,
                "6 layers instead of 2: three times as much, not six times": 6 * padded,
                "this is the packed batch": 3 * packed,
            },
        ),
        "bytes": (
            16 * numbers,
            {
                "these are the weights alone, or numbers instead of bytes: gradient, m and v are "
                "as large, and each number has four bytes": 4 * numbers,
                "the gradient and two means: three besides the weight": 12 * numbers,
                "weights and gradients; AdamW has two means besides": 8 * numbers,
            },
        ),
        "steps": (
            epochs * math.ceil(100 / 32),
            {
                "the last, smaller batch is a step, too": epochs * (100 // 32),
                "these are epochs": epochs,
                "steps of one epoch": math.ceil(100 / 32),
                "steps are whole: each epoch ends with a smaller batch": math.ceil(500 / 32),
                "this is the number of sentences seen": 100 * epochs,
            },
        ),
        "five sigmoids": (
            4**5,
            {
                "slopes of maps one after another are multiplied, not added": 4 * 5,
                "this is one sigmoid, and there are five": 4,
                "the slope of a sigmoid is at most 1/4, not 1/2": 2**5,
                "there are five sigmoids, not six": 4**6,
                "a slope of 1 is that of ReLU; a sigmoid's is at most 1/4": 1,
                "this is what is left of the gradient; asked is its inverse": 4**-5,
            },
        ),
    }
    for name, (right, mistakes) in named.items():
        _require(name in case, f"costs() lacks the entry {name!r}.")
        try:
            got = float(case[name])
        except (TypeError, ValueError) as error:
            raise AssertionError(f"{name!r} must be a number; it is {case[name]!r}.") from error
        otherwise = "saved is nothing" if name == "residuals" else "draw it, and count once more"
        if got != right:
            why = _named(got, mistakes, otherwise)
            raise AssertionError(f"{name!r} is not {case[name]!r}: {why}.")
    _done("costs")


# ---------------------------------------------------------------- loops


def _made(kind: Callable, breaks_at: int | None = None) -> nn.Module:
    """The notebook's model with weights that are always the same."""
    model, draws = kind(3, 4, breaks_at), torch.Generator().manual_seed(7)
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(torch.randn(weight.shape, generator=draws))
    return model


def _tagged(seed: int, *sizes: tuple[int, ...], d: int = 3, c: int = 4) -> list:
    g = torch.Generator().manual_seed(seed)
    batches = []
    for size in sizes:
        labels = torch.randint(c, size, generator=g)
        if len(size) == 2:
            labels[:, -2:] = -100
        batches.append((torch.randn(*size, d, generator=g), labels))
    return batches


LOOP_HINTS = {
    "not subscriptable": "batches may be an iterator: go through it once, with a for loop.",
    "has no len()": "batches may be an iterator without a length: count as you go.",
    "does not require grad": "a loss needs a graph in training: is there a no_grad?",
    "Expected target size": "flatten logits to (labels, C) and labels to (labels,).",
    "expected input batch_size": "flatten logits to (labels, C) and labels to (labels,).",
    "out of bounds": "a label of -100 does not count: ignore_index=-100.",
    "cannot reshape": "flatten all axes but the last: flatten(0, -2).",
    "float division by zero": "no label counts: raise a ValueError before you divide.",
    "division by zero": "no label counts: raise a ValueError before you divide.",
    "referenced before assignment": "there may be no batch at all: raise a ValueError.",
    "cannot access local variable": "there may be no batch at all: raise a ValueError.",
}


def _nothing_to_train(batches: Iterator) -> tuple:
    model = nn.Linear(3, 4)
    return model, batches, torch.optim.SGD(model.parameters(), lr=0.1)


def _breaking_data() -> Iterator:
    yield from _tagged(5, (3,))
    raise KeyError("broken data")


def _refuses_nothing(name: str, run: Callable) -> None:
    for what, batches in (
        ("no batch", []),
        ("only labels of -100", [(torch.zeros(2, 3), torch.full((2,), -100))]),
    ):
        try:
            got = run(iter(batches))
        except ValueError:
            continue
        except Exception as error:
            raise AssertionError(
                f"{name} raises {type(error).__name__} for {what}: make it a ValueError."
            ) from error
        raise AssertionError(
            f"{name} must raise a ValueError for {what}; it returns {got!r}. The mean of nothing "
            "is not a number."
        )


def _epoch_model(flat: bool) -> nn.Module:
    """For (B, D) with a batch norm, whose running mean moves in training mode alone."""
    model = nn.Sequential(*([nn.BatchNorm1d(3)] if flat else []), nn.Linear(3, 4))
    draws = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(1 + torch.randn(weight.shape, generator=draws))
    return model


def _summed(before: list, model: nn.Module, batches: list, rate: float) -> bool:
    """Whether the weights are those of steps along summed losses, not means."""
    weight, bias = (w.clone().requires_grad_() for w in before)
    for x, y in batches:
        scores = F.linear(x, weight, bias).flatten(0, -2)
        loss = F.cross_entropy(scores, y.flatten(), ignore_index=-100, reduction="sum")
        gs = torch.autograd.grad(loss, [weight, bias])
        with torch.no_grad():
            weight -= rate * gs[0]
            bias -= rate * gs[1]
    return bool(torch.allclose(weight, model[-1].weight, atol=1e-4))


def check_train_epoch(train_epoch: Callable) -> None:
    """Mean, mode, steps, gradients of one batch at a time."""
    import torch._dynamo  # the first optimiser does it anyway; the grader does it once for all

    name = "train_epoch"
    check_not_used(name, train_epoch, LIBRARY)
    for rate, shapes in (
        (0.0, ((8,), (8,), (2,))),
        (0.0, ((2, 7), (1, 3))),
        (0.3, ((6, 3), (3, 5))),
        (0.3, ((6,), (5,))),
    ):
        flat = len(shapes[0]) == 1
        for start in (False, True):
            batches = _tagged(len(shapes), *shapes)
            model = _epoch_model(flat).train(start)
            twin, losses, counts, raw = copy.deepcopy(model).train(), [], [], []
            for x, y in batches:
                loss = F.cross_entropy(twin(x).flatten(0, -2), y.flatten(), ignore_index=-100)
                gs = torch.autograd.grad(loss, list(twin.parameters()))
                with torch.no_grad():
                    for weight, g in zip(twin.parameters(), gs, strict=True):
                        weight -= rate * g
                losses.append(loss.item())
                counts.append(int((y != -100).sum()))
                raw.append(y.numel())
            for weight in model.parameters():
                weight.grad = torch.full_like(weight, 5.0)  # left over from before
            before = [weight.detach().clone() for weight in model.parameters()]
            given = list(batches)
            if not flat:
                given.insert(1, (torch.zeros(1, 2, 3), torch.full((1, 2), -100)))
            optimizer = torch.optim.SGD(model.parameters(), lr=rate)
            got = call_answer(name, train_epoch, model, iter(given), optimizer, hints=LOOP_HINTS)
            _require(
                isinstance(got, float),
                f"{name} must return a float, got {type(got).__name__}: loss.item() is one.",
            )
            if flat:
                gap = float((model[0].running_mean - twin[0].running_mean).abs().max())
                _require(
                    gap < 1e-5,
                    "the model is not in training mode: call its train(). (A batch norm, which "
                    "collects its numbers in training mode alone, shows it.)",
                )
            finite = bool(model[-1].weight.isfinite().all())
            _require(
                got == got and finite,
                f"{name} gives NaN: in one batch no label counts, and its mean is NaN. Leave it "
                "out, without a step.",
            )
            still = all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
            _require(
                rate == 0 or not still,
                f"{name} changes no weight: one optimizer step for each batch, after backward() "
                "and before the gradients are cleared.",
            )
            right = sum(n * x for n, x in zip(counts, losses, strict=True)) / sum(counts)
            _require(
                rate == 0 or flat or not _summed(before, model, batches, rate),
                f"{name} steps along the gradient of a sum: each step needs the gradient of the "
                "mean loss of its own batch.",
            )
            gap = max(
                float((a - b).detach().abs().max())
                for a, b in zip(model.parameters(), twin.parameters(), strict=True)
            )
            _require(
                gap < 1e-4,
                f"the weights after {name} are wrong: each step must use the gradient of the mean "
                "loss of its own batch, and nothing that was there before. Where is zero_grad?",
            )
            mistakes = {
                "this is the last batch": losses[-1],
                "this is the first batch": losses[0],
                "this is the mean of the means: a small batch weighs as much as a large one": (
                    sum(losses) / len(losses)
                ),
                "the means are weighed by all labels, -100 included": sum(
                    n * x for n, x in zip(raw, losses, strict=True)
                )
                / sum(raw),
                "this is divided by all labels, -100 included": sum(
                    n * x for n, x in zip(counts, losses, strict=True)
                )
                / sum(raw),
                "this is a sum: divide by the labels that count": right * sum(counts),
                "this is a sum of means": sum(losses),
                "the empty batch counts as a batch": sum(losses) / (len(losses) + 1),
                "the means are weighed by the sequences of a batch": sum(
                    len(y) * x for (_, y), x in zip(batches, losses, strict=True)
                )
                / sum(len(y) for _, y in batches),
                "the empty batch counts, too": sum(n * x for n, x in zip(raw, losses, strict=True))
                / (sum(raw) + 2),
            }
            _require(
                _near(got, right),
                f"{name} returns {got:.4f} instead of {right:.4f}: "
                + _named(got, mistakes, "it must be the mean over all labels that count")
                + ".",
            )
    _refuses_nothing(name, lambda batches: train_epoch(*_nothing_to_train(batches)))
    _done("train_epoch")


def check_evaluate(evaluate: Callable, kind: Callable) -> None:
    """Numbers, mode, graph, gradients, errors."""
    name = "evaluate"
    check_not_used(name, evaluate, LIBRARY)
    for start in (True, False):
        for shapes in (((8,), (8,), (1,)), ((2, 7), (1, 3), (4, 4))):
            batches = _tagged(5, *shapes)
            batches.append((torch.zeros(2, 3), torch.full((2,), -100)))
            model = _made(kind).train(start)
            losses, rights, counts, raw = [], [], [], []
            for x, y in batches[:-1]:
                logits = F.linear(x, model.linear.weight, model.linear.bias)
                logits, y = logits.flatten(0, -2).detach(), y.flatten()
                losses.append(F.cross_entropy(logits, y, ignore_index=-100).item())
                rights.append(int((logits.argmax(-1) == y).sum()))
                counts.append(int((y != -100).sum()))
                raw.append(y.numel())
            for p in model.parameters():
                p.grad = torch.full_like(p, 5.0)
            before = [p.detach().clone() for p in model.parameters()]
            got = call_answer(name, evaluate, model, iter(batches), hints=LOOP_HINTS)
            _require(
                isinstance(got, dict) and set(got) == {"loss", "accuracy"},
                f"{name} must return a dictionary with 'loss' and 'accuracy', got {got!r}.",
            )
            for key, value in got.items():
                _require(
                    isinstance(value, float),
                    f"{key!r} must be a float, got {type(value).__name__}: use .item().",
                )
            _require(
                not any(list(model.notes)),
                f"{name} asks the model in training mode, with dropout: call model.eval().",
            )
            _require(
                model.training == start,
                f"after {name} the mode has changed: model.training was {start} and is "
                f"{model.training}. Put it back as it was.",
            )
            same = all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
            _require(same, f"{name} changes the weights.")
            _require(
                all(p.grad is not None and bool((p.grad == 5).all()) for p in model.parameters()),
                f"{name} touches the gradients of the parameters: leave them alone.",
            )
            total = sum(counts)
            loss = sum(n * x for n, x in zip(counts, losses, strict=True)) / total
            accuracy = sum(rights) / total
            by_raw = sum(n * x for n, x in zip(raw, losses, strict=True)) / sum(raw)
            loss_mistakes = {
                "this is the mean of the means: a small batch weighs as much as a large one": (
                    sum(losses) / len(losses)
                ),
                "this is the last batch": losses[-1],
                "the means are weighed by all labels, -100 included": by_raw,
                "this is divided by all labels, -100 included": loss * total / (sum(raw) + 2),
                "this is a sum: divide by the labels that count": loss * total,
            }
            _require(
                got["loss"] == got["loss"],
                "'loss' is NaN: the mean of a batch without labels is NaN. Sum, or leave it out.",
            )
            also = " 'accuracy' is wrong as well." if not _near(got["accuracy"], accuracy) else ""
            _require(
                _near(got["loss"], loss),
                f"'loss' is {got['loss']:.4f} instead of {loss:.4f}: "
                + _named(got["loss"], loss_mistakes, "it must be a mean over labels that count")
                + f".{also}",
            )
            accuracy_mistakes = {
                "labels of -100 count in the denominator": sum(rights) / (sum(raw) + 2),
                "this is the mean of the accuracies of the batches": sum(
                    r / n for r, n in zip(rights, counts, strict=True)
                )
                / len(counts),
                "this is the last batch": rights[-1] / counts[-1],
                "this is the number of right answers: divide": float(sum(rights)),
                "this is a percentage": 100 * accuracy,
                "labels of -100 count as right": (sum(rights) + sum(raw) + 2 - total)
                / (sum(raw) + 2),
            }
            _require(
                _near(got["accuracy"], accuracy),
                f"'accuracy' is {got['accuracy']:.4f} instead of {accuracy:.4f}: "
                + _named(got["accuracy"], accuracy_mistakes, "right answers by labels that count")
                + ".",
            )
    leaf = torch.rand(4, 3, generator=torch.Generator().manual_seed(3)).requires_grad_()
    writes = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(3, 4))  # into what it is given
    try:
        evaluate(writes, [(leaf, torch.tensor([0, 1, 2, -100]))])
    except RuntimeError as error:
        raise AssertionError(
            f"{name} keeps everything for a backward pass: use torch.no_grad(). (It was given "
            "inputs that may be overwritten only where no graph is kept.)"
        ) from error
    for start in (True, False):
        model = _made(kind, 1).train(start)
        try:
            evaluate(model, iter(_tagged(5, (3,), (3,))))
        except KeyError:
            pass
        else:
            raise AssertionError("an error that the model raises must come through.")
        _require(
            model.training == start,
            "after an error of the model its mode has changed: put it back in a `finally`.",
        )
    for start in (True, False):
        model = _made(kind).train(start)
        try:
            evaluate(model, _breaking_data())
        except KeyError:
            pass
        else:
            raise AssertionError("an error that the data raise must come through.")
        _require(
            model.training == start,
            "after an error of the data the mode has changed: everything between eval() and the "
            "return of the mode belongs into the `try`, also what reads the batches.",
        )
    _refuses_nothing(name, lambda batches: evaluate(_made(kind), batches))
    for start in (True, False):
        model = _made(kind).train(start)
        try:
            evaluate(model, iter(()))
        except ValueError:
            _require(model.training == start, "after the ValueError the mode has changed.")
    _done("evaluate")


# ---------------------------------------------------------------- early stopping


def _fill(model: nn.Module, value: float) -> None:
    with torch.no_grad():
        for part in model.state_dict().values():
            part.fill_(value)


def check_early_stopping(kind: type) -> None:
    """Values, patience, the smallest improvement, NaN, weights."""
    name = "EarlyStopping"
    for part in ("__init__", "step", "restore"):
        check_not_used(name, getattr(kind, part, None), LIBRARY)

    def play(values: list[float], patience: int, delta: float = 0.0, mode: str = "min") -> tuple:
        model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
        made = call_answer(f"{name}({patience}, {delta}, {mode!r})", kind, patience, delta, mode)
        _require(
            getattr(made, "best", 0) is None, f"{name}.best must be None before the first epoch."
        )
        stops = []
        for number, value in enumerate(values, start=1):
            _fill(model, number)
            stop = call_answer(f"{name}.step", made.step, value, model)
            _require(
                isinstance(stop, bool),
                f"{name}.step must return True or False, got {stop!r}.",
            )
            stops.append(stop)
        _fill(model, 99)
        call_answer(f"{name}.restore", made.restore, model)
        found = [float(x.double().mean()) for x in model.state_dict().values()]
        return stops, found, made.best

    def expect(
        what: str, values: list, patience: int, want: tuple, delta: float = 0.0, mode: str = "min"
    ) -> None:
        stops, found, best = play(values, patience, delta, mode)
        first, kept, value = want
        stopped = stops.index(True) if True in stops else None
        case = f"values {values}, patience {patience}, min_delta {delta}, mode {mode!r}"
        _require(
            stopped == first,
            f"{case}: it stops after epoch {stopped} (from 0) instead of {first}: {what}.",
        )
        _require(best == value, f"{case}: best is {best} instead of {value}: {what}.")
        _require(
            len(set(found)) == 1,
            f"{case}: restore gives back only some of the tensors: buffers are weights, too.",
        )
        if found[0] != kept + 1 if kept is not None else found[0] != 99:
            last = found[0] == len(values)
            none = found[0] == 99
            why = what
            if none and kept is not None:
                why = (
                    "restore gives back the weights as they are now. Either it does nothing, or it "
                    "holds the very tensors that go on changing: copy them"
                )
            elif last and kept != len(values) - 1:
                why = "the weights are those of the last epoch: copy them when an epoch is best"
            raise AssertionError(f"{case}: the wrong weights come back: {why}.")

    rising = "patience counts epochs in a row that are not better, and stops at that number"
    expect("it gets better all the time", [3.0, 2.0, 1.0], 1, (None, 2, 1.0))
    expect(rising, [3.0, 2.0, 2.5, 2.6, 1.0], 2, (3, 4, 1.0))
    expect(rising, [3.0, 2.0, 2.5, 2.6, 2.7, 2.8], 3, (4, 1, 2.0))
    expect("equal is not better", [2.0, 2.0, 2.0, 2.0], 2, (2, 0, 2.0))
    stops, _, _ = play([2.0, 3.0, 3.0, 3.0, 4.0], 2)
    _require(
        stops == [False, False, True, True, True],
        f"{name}.step says {stops} for [2, 3, 3, 3, 4] with patience 2: as long as nothing gets "
        "better, it must go on saying True.",
    )
    expect(
        "a better epoch sets the count back to zero",
        [3.0, 3.5, 2.0, 2.5, 1.5, 2.0, 2.0],
        2,
        (6, 4, 1.5),
    )
    expect(
        "an improvement by min_delta or less is not better, and does not become the best",
        [8.0, 7.5, 7.0, 6.5, 6.0],
        9,
        (None, 3, 6.5),
        1.0,
    )
    expect(
        "an improvement of exactly min_delta is not more than min_delta",
        [4.0, 3.5, 3.5],
        2,
        (2, 0, 4.0),
        0.5,
    )
    expect("with mode 'max' more is better", [0.5, 0.8, 0.7, 0.7], 2, (3, 1, 0.8), 0, "max")
    expect(
        "with mode 'max' more is better, by more than min_delta",
        [1.0, 1.2, 2.0, 2.4],
        9,
        (None, 2, 2.0),
        0.5,
        "max",
    )
    expect("a value may be negative", [-1.0, -2.0, -1.5, -1.5], 2, (3, 1, -2.0))
    expect("a value may be 0", [0.0, 0.5, 0.5], 2, (2, 0, 0.0))
    nan = math.nan
    expect("NaN is never better, not even first", [nan, 3.0, 4.0], 2, (None, 1, 3.0))
    expect("NaN is not better", [3.0, nan, nan], 2, (2, 0, 3.0))
    expect("without a best epoch restore does nothing", [nan, nan], 3, (None, None, None))
    defaults = call_answer(f"{name}(1)", kind, 1)
    model = nn.Linear(2, 2)
    defaults.step(1.0, model)
    _require(defaults.step(0.9, model) is False, "the defaults are min_delta=0.0 and mode='min'.")
    _done("early_stopping")


# ---------------------------------------------------------------- dropout

DROPOUT_FORBIDDEN = {
    "dropout": "Draw the mask yourself, with torch.rand.",
    "alpha_dropout": "Draw the mask yourself, with torch.rand.",
    "feature_dropout": "Draw the mask yourself, with torch.rand.",
    **LIBRARY,
}


def check_dropout(kind: type) -> None:
    """Share, factor, modes, one mask for all tokens, dtype, gradient."""
    name = "Dropout"
    for part in ("__init__", "forward"):
        check_not_used(name, getattr(kind, part, None), DROPOUT_FORBIDDEN)
    x = 1 + torch.rand(64, 6, 50, generator=torch.Generator().manual_seed(1))
    p = 0.25
    for shared in (False, True):
        made = call_answer(f"{name}({p}, {shared})", kind, p, shared)
        _require(isinstance(made, nn.Module), f"{name} is no nn.Module: derive it from nn.Module.")
        before = x.clone()
        got = call_answer(f"{name}.forward", made, x)
        check_tensor(f"{name}.forward", got)
        _require(got.shape == x.shape, f"{name} must keep the shape {tuple(x.shape)}.")
        _require(torch.equal(x, before), f"{name} changes its input: build a new tensor.")
        zero = got == 0
        share = float(zero.float().mean())
        _require(share > 0, f"{name} has no dropout in training mode: no entry is 0.")
        left, ratio = got[~zero], (got / x)[~zero]
        factor = float(ratio.median()) if left.numel() else 0.0
        if abs(share - (1 - p)) < 0.06:
            raise AssertionError(
                f"{name} drops {share:.0%} instead of {p:.0%}: p is the probability of 0, not of "
                "staying."
            )
        _require(
            abs(factor - 1) > 0.01,
            f"what {name} leaves is as large as before: divide by 1 - p, so that the mean stays.",
        )
        _require(
            abs(factor - (1 - p)) > 0.01,
            f"what {name} leaves is multiplied by 1 - p: divide, so that the mean stays.",
        )
        _require(
            abs(factor - 1 / p) > 0.01, f"what {name} leaves is divided by p: divide by 1 - p."
        )
        _require(
            bool(((ratio - 1 / (1 - p)).abs() < 1e-3).all()),
            f"what {name} leaves must be x / (1 - p); it is x by {factor:.3f} or other factors.",
        )
        whole = bool((zero.all(-1) == zero.any(-1)).all())
        _require(
            not whole,
            f"{name} drops whole tokens or sentences: each column is drawn by itself.",
        )
        same = bool((zero == zero[:, :1]).all())
        if shared:
            _require(
                same,
                "with shared=True a column that is dropped at one token must be dropped at all "
                "tokens of the sentence.",
            )
        else:
            _require(
                not same, "with shared=False each token must have a mask of its own, but all agree."
            )
        _require(
            not bool((zero == zero[:1]).all()),
            "one mask for the whole batch: each sentence must have its own.",
        )
        dropped = zero.sum(-1)
        _require(
            bool((dropped != dropped[:1, :1]).any()),
            f"{name} drops equally many entries of each token: each entry must be drawn by itself, "
            "so that their number varies.",
        )
        _require(
            abs(share - p) < 0.06, f"{name} drops {share:.0%} of the entries instead of {p:.0%}."
        )
        again = call_answer(f"{name}.forward", made, x)
        _require(bool(((again == 0) != zero).any()), f"{name} draws the same mask at each call.")
        made.eval()
        quiet = call_answer(f"{name}.forward", made, x)
        _require(
            not bool((quiet == 0).any()),
            f"after eval() {name} still drops entries: look at self.training.",
        )
        _require(
            torch.equal(quiet, x),
            f"after eval() {name} must return x as it is: inverted dropout has nothing to scale.",
        )
        made.train()
        _require(bool((made(x) == 0).any()), f"after train() {name} must drop again.")
        four = torch.ones(2, 5, 6, 40)
        got = call_answer(f"{name}.forward", made, four) == 0
        _require(
            not bool((got[0, 0] == got[0, 1]).all()),
            f"{name} of a tensor (2, 5, T, D): all axes before the last two are sentences.",
        )
        if shared:
            _require(bool((got == got[..., :1, :]).all()), "shared is wrong for four axes.")
        for dtype in (torch.bfloat16, torch.float64):
            out = call_answer(f"{name}.forward", made, x.to(dtype))
            check_dtype(f"{name} of {dtype}", out, dtype, "The result has the dtype of x.")
        leaf = x.clone().requires_grad_()
        out = call_answer(f"{name}.forward", made, leaf)
        _require(out.requires_grad, f"{name} loses the gradient: is there a detach?")
        (grad,) = torch.autograd.grad(out.sum(), leaf)
        right = torch.where(out == 0, 0.0, 1 / (1 - p))
        _require(bool(torch.allclose(grad, right, atol=1e-4)), f"{name} has the wrong gradient.")
        zero_p = call_answer(f"{name}(0.0, {shared})", kind, 0.0, shared)
        _require(torch.equal(zero_p(x), x), "with p = 0 x must come back.")
    for wrong in (-0.1, 1.0, 1.5):
        try:
            kind(wrong)
        except ValueError:
            continue
        except Exception as error:
            raise AssertionError(
                f"{name}({wrong}) raises {type(error).__name__}: make it a ValueError."
            ) from error
        raise AssertionError(f"{name}({wrong}) must raise a ValueError: 0 <= p < 1.")
    _done("dropout")


# ---------------------------------------------------------------- schedule and clipping

CLIP_FORBIDDEN = {
    "clip_grad_norm_": "Write the length and the factor yourself.",
    "clip_grads_with_norm_": "Write the length and the factor yourself.",
    "get_total_norm": "Write the length yourself.",
    **LIBRARY,
}


def _check_noam(noam: Callable) -> None:
    places = [(s, d, w) for d, w in ((512, 100), (64, 7)) for s in (1, 3, w, w + 1, 5 * w)]
    found = []
    for place in places:
        found.append(call_answer(f"noam{place}", noam, *place))
        _require(isinstance(found[-1], float), f"noam must return a float, got {found[-1]!r}.")

    def fits(rule: Callable) -> bool:
        return all(_near(x, rule(*at), 1e-6) for x, at in zip(found, places, strict=True))

    def right(s: int, d: int, w: int) -> float:
        return d**-0.5 * min(s**-0.5, s * w**-1.5)

    mistakes = {
        "the factor with D is missing": lambda s, d, w: min(s**-0.5, s * w**-1.5),
        "the larger of the two terms is taken: take the smaller": lambda s, d, w: (
            d**-0.5 * max(s**-0.5, s * w**-1.5)
        ),
        "this is the warm-up term alone: it rises for ever": lambda s, d, w: d**-0.5 * s * w**-1.5,
        "this is the second term alone: there is no warm-up": lambda s, d, w: (d * s) ** -0.5,
        "steps are counted from 1 here": lambda s, d, w: right(s + 1, d, w),
        "the factor is D to the power -1/2, not 1/2": lambda s, d, w: d * right(s, d, w),
        "the factor is D to the power -1/2, not -1": lambda s, d, w: d**-0.5 * right(s, d, w),
        "the warm-up term has the exponent -1.5": lambda s, d, w: (
            d**-0.5 * min(s**-0.5, s * w**-0.5)
        ),
        "this is scaled so that the peak is 1": lambda s, d, w: min(s / w, (w / s) ** 0.5),
    }
    if not fits(right):
        at = next(i for i, x in enumerate(found) if not _near(x, right(*places[i]), 1e-6))
        why = next((why for why, rule in mistakes.items() if fits(rule)), "compare the equation")
        raise AssertionError(
            f"noam{places[at]} is {found[at]:.4g} instead of {right(*places[at]):.4g}: {why}."
        )
    for arguments in ((0, 8, 10), (-1, 8, 10), (5, 8, 0)):
        try:
            noam(*arguments)
        except ValueError:
            continue
        except Exception as error:
            raise AssertionError(
                f"noam{arguments} raises {type(error).__name__}: make it a ValueError."
            ) from error
        raise AssertionError(f"noam{arguments} must raise a ValueError.")


def _check_clip(clip: Callable) -> None:
    def call(gradients: list, limit: float) -> float:
        got = call_answer(
            "clip",
            clip,
            gradients,
            limit,
            hints={
                "FloatingPointError": "All is finite, but 300 squared does not fit into float16. "
                "Square in float32 or float64.",
                "'NoneType'": "None stands for a parameter without a gradient: leave it out.",
                "division by zero": "the length may be 0: then nothing has to be shortened.",
                "expected a non-empty": "the list may be empty: the length is 0.",
            },
        )
        _require(
            isinstance(got, float), f"clip must return the length as a float, got {type(got)}."
        )
        return got

    first, second = torch.tensor([[3.0, 0.0]]), torch.tensor([4.0])
    given = [first, None, second]
    got = call(given, 1.0)
    named = {
        "this is the length after clipping: return the one before": 1.0,
        "this is the square of the length": 25.0,
        "this is the sum of the absolute values, or of the lengths": 7.0,
        "this is the largest entry": 4.0,
        "this is the length of the first gradient alone": 3.0,
    }
    why = _named(got, named, "take the root of the sum of all squares")
    _require(_near(got, 5.0), f"clip returns {got:.4g} for a gradient of length 5: {why}.")
    after = [*first.flatten().tolist(), *second.tolist()]
    if all(a == b for a, b in zip(after, (3.0, 0.0, 4.0), strict=True)):
        raise AssertionError("clip must change the gradients in place: they are as they were.")
    if all(_near(a, b) for a, b in zip(after, (1.0, 0.0, 1.0), strict=True)):
        raise AssertionError(
            "clip shortens each gradient by itself, or cuts each entry: one factor for all keeps "
            "the direction."
        )
    close = all(_near(a, b, 1e-4) for a, b in zip(after, (0.6, 0.0, 0.8), strict=True))
    _require(close, f"after clip to 1 the entries must be 0.6, 0, 0.8; they are {after}.")
    _require(given[1] is None, "None must stay None.")
    short = [torch.tensor([0.3]), torch.tensor([0.4])]
    _require(_near(call(short, 1.0), 0.5), "a short gradient has its own length.")
    _require(
        _near(short[0].item(), 0.3),
        "a gradient that is short enough is made longer: clipping never lengthens.",
    )
    tiny = [1e-9 * torch.ones(4)]
    call(tiny, 1e-10)
    _require(
        abs(float(tiny[0].norm()) / 1e-10 - 1) < 1e-3,
        "a tiny gradient is clipped to a smaller max_norm by the wrong factor: is something added "
        "to the length?",
    )
    _require(call([torch.zeros(3)], 1.0) == 0, "the length of zeros is 0.")
    _require(call([], 1.0) == 0, "no gradient at all has length 0.")
    _require(call([None], 1.0) == 0, "no gradient at all has length 0.")
    half = [(300 * torch.ones(50)).half()]
    got = call(half, 1.0)
    _require(
        _near(got, 300 * math.sqrt(50), 1e-2),
        f"300 fifty times in float16 has length {300 * math.sqrt(50):.0f}; clip says {got:.4g}: "
        "300 squared does not fit into float16. Square in float32 or float64.",
    )
    _require(half[0].dtype == torch.float16, "a gradient keeps its dtype.")
    for wrong in (math.nan, math.inf):
        given = [torch.tensor([3.0]), torch.tensor([wrong])]
        try:
            clip(given, 1.0)
        except FloatingPointError:
            _require(given[0].item() == 3.0, "gradients change before the FloatingPointError.")
            continue
        except Exception as error:
            raise AssertionError(
                f"{wrong} among the gradients raises {type(error).__name__}: make it a "
                "FloatingPointError."
            ) from error
        raise AssertionError(
            f"{wrong} among the gradients must raise a FloatingPointError: a length that is not "
            "finite would spoil all weights."
        )


def check_noam_and_clip(noam: Callable, clip: Callable) -> None:
    """The rate at several steps; length, factor, dtype and errors of clipping."""
    check_not_used("noam", noam, LIBRARY)
    check_not_used("clip", clip, CLIP_FORBIDDEN)
    _check_noam(noam)
    _check_clip(clip)
    _done("noam_and_clip")


# ---------------------------------------------------------------- AdamW

ADAM_FORBIDDEN = {
    "optim": "Write the equations yourself.",
    "AdamW": "Write the equations yourself.",
    "Adam": "Write the equations yourself.",
    **LIBRARY,
}
ADAM_HINTS = {
    "a leaf Variable that requires grad": "change the weights under torch.no_grad().",
    "a view of a leaf": "change the weights under torch.no_grad().",
    "'NoneType'": "None stands for a weight without a gradient: it stays as it is.",
    "KeyError": "the state is empty before the first step.",
    "division by zero": "count steps from 1: 1 - beta ** 0 is 0.",
}


def _adamw(sizes: tuple, gradients: list, lr: float, wrong: str = "", **options: object) -> list:
    """AdamW in loops over the weights, with one thing changed."""
    beta1, beta2 = options.get("betas", (0.9, 0.999))
    eps, decay = options.get("eps", 1e-8), options.get("weight_decay", 0.01)
    if wrong == "the betas have changed places":
        beta1, beta2 = beta2, beta1
    weights = [_randn(i, *size).double() for i, size in enumerate(sizes)]
    states = [[0, torch.zeros_like(w), torch.zeros_like(w)] for w in weights]
    for step, row in enumerate(gradients, start=1):
        for w, slope, state in zip(weights, row, states, strict=True):
            decays = w.dim() >= 2 or wrong == "tensors with one axis decay as well"
            if wrong == "only tensors with exactly two axes decay: take two or more":
                decays = w.dim() == 2
            if wrong == "only tensors with three axes or more decay: take two or more":
                decays = w.dim() >= 3
            if wrong == "no weight decays":
                decays = False
            if slope is None:
                if wrong == "a weight without a gradient decays" and decays:
                    w.mul_(1 - lr * decay)
                continue
            g = slope
            if wrong == "the decay is added to the gradient: that is Adam with L2" and decays:
                g = g + decay * w
                decays = False
            state[0] += 1
            s = step if wrong == "one counter serves all weights" else state[0]
            state[1] = beta1 * state[1] + (1 - beta1) * g
            square = g if wrong == "the gradient is not squared" else g * g
            state[2] = beta2 * state[2] + (1 - beta2) * square
            m, v = state[1] / (1 - beta1**s), state[2] / (1 - beta2**s)
            if wrong == "the means are not divided by 1 - beta^s":
                m, v = state[1], state[2]
            if wrong == "only m is divided by 1 - beta^s":
                v = state[2]
            if wrong == "only v is divided by 1 - beta^s":
                m = state[1]
            if wrong == "the decay is put into m, where it is divided by the root of v" and decays:
                m, decays = m + decay * w, False
            if wrong == "the correction is that of the first step at each step":
                m, v = state[1] / (1 - beta1), state[2] / (1 - beta2)
            root = v.sqrt() + eps
            if wrong == "eps stands under the root":
                root = (v + eps).sqrt()
            if wrong == "the root of v is missing":
                root = v + eps
            move = lr * m / root
            if wrong == "the decay is not multiplied by the rate" and decays:
                w.mul_(1 - decay)
            elif wrong == "the decay comes after the step" and decays:
                w.sub_(move)
                w.mul_(1 - lr * decay)
                continue
            elif decays:
                w.mul_(1 - lr * decay)
            w.add_(move) if wrong == "the step goes up: subtract it" else w.sub_(move)
    return weights


ADAM_MISTAKES = (
    "tensors with one axis decay as well",
    "only tensors with exactly two axes decay: take two or more",
    "only tensors with three axes or more decay: take two or more",
    "no weight decays",
    "a weight without a gradient decays",
    "the decay is added to the gradient: that is Adam with L2",
    "one counter serves all weights",
    "the gradient is not squared",
    "the means are not divided by 1 - beta^s",
    "only m is divided by 1 - beta^s",
    "only v is divided by 1 - beta^s",
    "the decay is put into m, where it is divided by the root of v",
    "the correction is that of the first step at each step",
    "eps stands under the root",
    "the root of v is missing",
    "the decay is not multiplied by the rate",
    "the decay comes after the step",
    "the step goes up: subtract it",
    "the betas have changed places",
)


def _same(found: list, wanted: list) -> bool:
    """Equal to nine digits; NaN equals NaN, as the mistake of a square root has it."""
    pairs = zip(found, wanted, strict=True)
    return all(torch.allclose(a.detach(), b, rtol=0, atol=1e-9, equal_nan=True) for a, b in pairs)


def check_adamw_step(adamw_step: Callable) -> None:
    """Several steps on several weights, one of them without gradients for a while."""
    name = "adamw_step"
    check_not_used(name, adamw_step, ADAM_FORBIDDEN)
    sizes = ((3, 4), (4,), (2, 2, 3), ())
    for case, missing, options in (
        ("five steps", {}, {}),
        ("one step", {}, {}),
        ("five steps, much decay", {}, {"weight_decay": 0.8}),
        ("five steps, other betas", {}, {"betas": (0.5, 0.8)}),
        ("five steps, eps = 0.1", {}, {"eps": 0.1}),
        ("missing gradients", {(0, 0), (1, 0), (3, 1)}, {"weight_decay": 0.8}),
    ):
        steps = 1 if case == "one step" else 5
        rows = [
            [
                None if (step, i) in missing else _randn(10 * step + i, *size).double()
                for i, size in enumerate(sizes)
            ]
            for step in range(steps)
        ]
        weights = [_randn(i, *size).double().requires_grad_() for i, size in enumerate(sizes)]
        addresses, state = [w.data_ptr() for w in weights], {}
        for gradients in rows:
            given = [None if g is None else g.clone() for g in gradients]
            got = call_answer(
                name, adamw_step, weights, given, state, 0.05, hints=ADAM_HINTS, **options
            )
            _require(got is None, f"{name} returns nothing: it changes the weights in place.")
            for a, b in zip(given, gradients, strict=True):
                _require(
                    (a is None and b is None) or torch.equal(a, b), f"{name} changes a gradient."
                )
        _require(
            len(state) > 0,
            f"{name} leaves the state empty: the means and the counter must live in it, not in a "
            "global variable, or two models disturb each other.",
        )
        _require(
            [w.data_ptr() for w in weights] == addresses,
            f"{name} replaces the tensors: the model holds the old ones. Change them in place.",
        )
        right = _adamw(sizes, rows, 0.05, **options)
        if _same(weights, right):
            continue
        if all(
            torch.equal(w.detach(), _randn(i, *size).double())
            for i, (w, size) in enumerate(zip(weights, sizes, strict=True))
        ):
            raise AssertionError(f"{name} changes no weight at all.")
        why = "compare with the chapter's equations, one after the other"
        for wrong in ADAM_MISTAKES:
            twin = _adamw(sizes, rows, 0.05, wrong, **options)
            if _same(weights, twin):
                why = wrong
                break
        else:
            if options.get("eps") and case.endswith("0.1"):
                why = "the argument eps is not used as it is given"
            elif "betas" in options:
                why = "the argument betas is not used as it is given"
            elif missing:
                why = "a weight without a gradient must stay as it is, with a counter of its own"
        off = [not _same([w], [r]) for w, r in zip(weights, right, strict=True)].index(True)
        gap = float((weights[off].detach() - right[off]).abs().max())
        raise AssertionError(
            f"{case}: the weight of shape {sizes[off]} is off by {gap:.2g}: {why}."
        )
    rows = [
        [_randn(50 + 3 * step + i, *size).double() for i, size in enumerate(sizes)]
        for step in range(3)
    ]
    weights, state = [_randn(i, *size).double() for i, size in enumerate(sizes)], {}
    try:
        for gradients in rows:
            adamw_step(weights, [g.clone() for g in gradients], state, 0.05)
            weights, state = [w.clone() for w in weights], copy.deepcopy(state)
        kept = _same(weights, _adamw(sizes, rows, 0.05))
    except Exception:
        kept = False
    _require(
        kept,
        "when weights and state are saved and loaded between two steps, the numbers change: in the "
        "state, name a weight by its place in the list, not by the tensor or its id.",
    )
    first, second, states = [torch.ones(2, 2)], [torch.ones(2, 2)], ({}, {})
    for _step in (1, 2):
        adamw_step(first, [torch.full((2, 2), 3.0)], states[0], 0.1)
        adamw_step(second, [torch.full((2, 2), -0.5)], states[1], 0.1)
    _require(
        float((first[0] - _adamw_ones(3.0)).abs().max()) < 1e-5,
        "two models with a state each disturb each other: keep nothing outside of the state.",
    )
    _done("adamw_step")


def _adamw_ones(g: float) -> Tensor:
    """Ones after two steps with equal gradients: each moves by the rate, after the decay."""
    w = torch.ones(2, 2)
    for _step in (1, 2):
        w = w * (1 - 0.1 * 0.01) - 0.1 * math.copysign(1.0, g)
    return w
