"""Visible checks of assignment 13: each says what is wrong in terms of the idea.

Most expected values are written out, for cases small enough to check by hand. A check that passes
is not the whole story: the grader runs further tests.
"""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from encoderlib.testing import call_answer, check_dtype, check_not_used, check_tensor

__all__ = [
    "check_audit",
    "check_class_report",
    "check_entity_counts",
    "check_label_row",
    "check_paired_interval",
    "check_three_parts",
    "check_worked_case",
]

LIBRARY = {
    "encoderlib": "The library holds the answer; write your own.",
    "sklearn": "Count and divide yourself.",
    "seqeval": "Write the loop yourself.",
    "transformers": "The task needs no model.",
}
KEPT = "Arguments must stay as they are: build new lists and tensors."


def _done(what: str) -> None:
    print(f"The visible check of {what} passes.")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise AssertionError(message)


# ---------------------------------------------------------------- 1. worked case

_NAMED = {
    "labels": (
        (-100, 1, 2, 2, -100, 0, 1, -100, -100, 3, -100, -100, -100),
        {
            "further pieces of a word get -100, not the label of the word": (
                (-100, 1, 2, 2, 2, 0, 1, 1, 1, 3, -100, -100, -100),
                (-100, 1, 2, 2, 2, 0, 1, 2, 2, 3, -100, -100, -100),
            ),
            "special tokens and pads get -100, not the label of O": (
                (0, 1, 2, 2, -100, 0, 1, -100, -100, 3, 0, 0, 0),
                (-100, 1, 2, 2, -100, 0, 1, -100, -100, 3, -100, 0, 0),
                (-100, 1, 2, 2, -100, 0, 1, -100, -100, 3, 0, 0, 0),
            ),
            "the labels slide: the first one lands on [CLS]": (
                (1, 2, 2, 0, 1, 3, 0, 0, 0, 0, 0, 0, 0),
                (1, 2, 2, 0, 1, 3, -100, -100, -100, -100, -100, -100, -100),
            ),
            "further pieces of a word get -100, not the label of O": (
                (-100, 1, 2, 2, 0, 0, 1, 0, 0, 3, -100, -100, -100),
                (-100, 1, 2, 2, 0, 0, 1, 0, 0, 3, 0, 0, 0),
            ),
            "use the true tags, not the predicted ones": (
                (-100, 1, 2, 0, -100, 0, 0, -100, -100, 4, -100, -100, -100),
            ),
        },
    ),
    "logits": (
        5,
        {
            "O is a class, too": (4,),
            "B and I of a type are two classes": (3, 2),
            "the ids begin with 0": (6,),
            "a piece needs one logit for each tag": (1,),
        },
    ),
    "word accuracy": (
        3 / 6,
        {
            "count words, not pieces": (5 / 10, 6 / 13, 5 / 13),
            "that is the share of wrong words, or City counts as right": (4 / 6,),
        },
    ),
    "padded accuracy": (
        13 / 16,
        {
            "the ten pads are predicted as O and labelled O: they count as right": (3 / 16, 3 / 6),
            "pads count in the denominator, too": (13 / 6,),
            "that is the share of pads": (10 / 16,),
            "16 places in all, of which six are words": (13 / 20, 13 / 19, 19 / 22, 6 / 16),
        },
    ),
    "precision of O": (
        1 / 3,
        {
            "that is the recall: divide by what was predicted as O": (1.0,),
            "three words are predicted as O": (1 / 2,),
            "that is the F1 of O": (1 / 2,),
        },
    ),
    "recall of O": (
        1.0,
        {"that is the precision: divide by what truly is O": (1 / 3,), "O is one word": (1 / 2,)},
    ),
    "entities": (
        (1, 2, 3),
        {
            "Salt Lake is not Salt Lake City: the ends differ": ((2, 2, 3),),
            "the I-date goes on with nothing, so it begins an entity": ((0, 1, 3), (1, 1, 3)),
            "the order is right, predicted, true": ((1, 3, 2),),
            "the entity that the I-date begins has type, start and end of a true one": ((0, 2, 3),),
            "count entities, not words": ((3, 6, 6), (2, 3, 5), (2, 2, 5), (2, 3, 4)),
        },
    ),
    "entity F1": (
        0.4,
        {
            "that is the precision": (1 / 2,),
            "that is the recall": (1 / 3,),
            "the harmonic mean, not the arithmetic one": (5 / 12,),
            "twice the right ones, over predicted plus true": (1 / 5,),
            "Salt Lake is not Salt Lake City: the ends differ": (4 / 5,),
        },
    ),
}


def check_worked_case(worked_case: Callable) -> None:
    """Seven numbers or short lists, and a row of labels."""
    case = call_answer("worked_case()", worked_case)
    _require(isinstance(case, dict), "worked_case() must return the dictionary with eight keys.")
    for name, (right, wrong) in _NAMED.items():
        _require(name in case, f"worked_case() lacks the entry {name!r}.")
        try:
            got = torch.as_tensor(case[name], dtype=torch.float64)
        except (TypeError, ValueError, RuntimeError) as error:
            raise AssertionError(f"{name!r} must hold numbers; it is {case[name]!r}.") from error
        want = torch.as_tensor(right, dtype=torch.float64)
        form = "one number" if want.dim() == 0 else f"a list of length {len(want)}"
        _require(got.shape == want.shape, f"{name!r} must be {form}; it is {case[name]!r}.")
        if torch.allclose(got, want, atol=6e-3):
            continue
        why = "write the counts down first"
        if want.dim() == 0 and name != "logits" and got > 1:
            why = "a share lies between 0 and 1"
        for reason, values in wrong.items():
            if any(
                torch.allclose(got, torch.as_tensor(value, dtype=torch.float64), atol=6e-3)
                for value in values
            ):
                why = reason
                break
        raise AssertionError(f"{name!r} is not right; your answer is {case[name]!r}: {why}.")
    _done("worked_case")


# ---------------------------------------------------------------- 2. labels of pieces

_IDS = {"O": 3, "B-city": 0, "I-city": 1, "B-date": 4, "I-date": 2}
_TAGS = ("O", "B-city", "I-city", "O", "B-date")
_WORDS = (None, 0, 1, 1, 1, 2, 2, 3, 3, 4, 4, None)
_N = -100
_RIGHT = (_N, 3, 0, 1, 1, 1, 1, 3, 3, 4, 2, _N, _N, _N, _N)
_ROW_MISTAKES = {
    "the labels of the words are copied as they stand, so the first lands on [CLS] (E004-31)": (
        (3, 0, 1, 3, 4, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3),
        (3, 0, 1, 3, 4, _N, _N, _N, _N, _N, _N, _N, _N, _N, _N),
    ),
    "only [CLS] is skipped: a word has a label for each of its pieces (E004-31)": (
        (_N, 3, 0, 1, 3, 4, _N, _N, _N, _N, _N, _N, _N, _N, _N),
        (_N, 3, 0, 1, 3, 4, 3, 3, 3, 3, 3, 3, 3, 3, 3),
    ),
    "only the first piece of a word is asked, as in the chapter: this team asks all": (
        (_N, 3, 0, _N, _N, 1, _N, 3, _N, 4, _N, _N, _N, _N, _N),
    ),
    "further pieces of a B- word get its B-: that would begin a new entity": (
        (_N, 3, 0, 0, 0, 1, 1, 3, 3, 4, 4, _N, _N, _N, _N),
    ),
    "further pieces get O": ((_N, 3, 0, 3, 3, 1, 3, 3, 3, 4, 3, _N, _N, _N, _N),),
    "the last piece of a word has its tag: it is the first one that has": (
        (_N, 3, 1, 1, 0, 1, 1, 3, 3, 2, 4, _N, _N, _N, _N),
    ),
    "pads are labelled O: they would enter loss and accuracy (E004-33)": (
        (_N, 3, 0, 1, 1, 1, 1, 3, 3, 4, 2, _N, 3, 3, 3),
        (3, 3, 0, 1, 1, 1, 1, 3, 3, 4, 2, 3, 3, 3, 3),
    ),
    "special tokens are labelled O": ((3, 3, 0, 1, 1, 1, 1, 3, 3, 4, 2, 3, _N, _N, _N),),
    "pads are labelled 0, which is a class": (
        (_N, 3, 0, 1, 1, 1, 1, 3, 3, 4, 2, _N, 0, 0, 0),
        (0, 3, 0, 1, 1, 1, 1, 3, 3, 4, 2, 0, 0, 0, 0),
    ),
    "pads are labelled -1: F.cross_entropy leaves out -100": (
        (_N, 3, 0, 1, 1, 1, 1, 3, 3, 4, 2, _N, -1, -1, -1),
        (-1, 3, 0, 1, 1, 1, 1, 3, 3, 4, 2, -1, -1, -1, -1),
    ),
    "the labels stand at the end, and the padding in front": (
        (_N, _N, _N, _N, 3, 0, 1, 1, 1, 1, 3, 3, 4, 2, _N),
    ),
}


def check_label_row(label_row: Callable) -> None:
    """One sentence in full, cut, with neighbours of one tag, and the errors."""
    check_not_used("label_row", label_row, LIBRARY)
    hints = {
        "KeyError": "A tag is missing in label_id: make it a ValueError.",
        "IndexError": "A piece belongs to a word without a tag: make it a ValueError.",
        "TypeError": "Special tokens have the word None.",
    }

    def ask(tags: Sequence[str], words: Sequence, ids: Mapping, size: int) -> Tensor:
        given = (list(tags), list(words), dict(ids))
        got = call_answer("label_row", label_row, *given, size, hints=hints)
        check_tensor("label_row", got)
        check_dtype("label_row", got, torch.int64, "F.cross_entropy wants class numbers.")
        _require(
            got.shape == (size,),
            f"label_row returns shape {tuple(got.shape)} for {len(words)} pieces and max_len "
            f"{size}: the rows of a batch must have one length, so cut and fill (E004-32).",
        )
        _require(given == (list(tags), list(words), dict(ids)), f"label_row: {KEPT}")
        return got

    got = tuple(ask(_TAGS, _WORDS, _IDS, 15).tolist())
    if got != _RIGHT:
        named = next((why for why, rows in _ROW_MISTAKES.items() if got in rows), "")
        place = next(t for t in range(15) if got[t] != _RIGHT[t])
        raise AssertionError(
            f"label_row gives {list(got)} for the tags {list(_TAGS)} and the words {list(_WORDS)} "
            f"with {_IDS}; the first wrong label is at piece {place}."
            + (f" This is what you get when {named}." if named else "")
        )
    for size in (12, 7, 4, 1):
        got = tuple(ask(_TAGS, _WORDS, _IDS, size).tolist())
        _require(
            got == _RIGHT[:size],
            f"label_row with max_len {size} gives {list(got)}: cutting must not change the labels "
            "of the pieces that are kept (E004-32).",
        )
    got = ask(("B-city", "B-city", "I-city"), (None, 0, 0, 1, 2, None), _IDS, 6).tolist()
    _require(
        got == [_N, 0, 1, 0, 1, _N],
        f"label_row gives {got} for two neighbouring cities: a piece is a further one if the piece "
        "before it belongs to the same word, whatever the tags are.",
    )
    got = ask(("B-city", "O"), (0, 0, 1), _IDS, 4).tolist()
    _require(
        got == [0, 1, 3, _N],
        f"label_row gives {got} without special tokens: do not count on [CLS] and [SEP].",
    )
    got = ask(("O",), (None, 0, 1, None), _IDS, 2).tolist()
    _require(got == [_N, 3], "label_row: a word that was cut off needs no tag.")
    for tags, why in (
        (("O",), "word 1 has no tag"),
        (("O", "B-dish"), "label_id does not have B-dish (E004-26)"),
    ):
        try:
            row = label_row(list(tags), [None, 0, 1, None], dict(_IDS), 6)
        except ValueError:
            continue
        except Exception as error:
            raise AssertionError(
                f"label_row raises {type(error).__name__} when {why}: make it a ValueError that "
                "says so."
            ) from error
        raise AssertionError(f"label_row must raise a ValueError when {why}; it returns {row}.")
    _done("label_row")


# ---------------------------------------------------------------- 3. entities

_CASES = (  # one sentence: predicted, true, [right, predicted, true], the idea
    ("O B-a E-a O", "O B-a E-a O", (1, 1, 1), "a plain entity of two words"),
    ("O S-a", "O S-a", (1, 1, 1), "S-x is an entity of one word, also at the end"),
    ("B-a E-a", "O O", (0, 1, 0), "the columns are right, predicted, true"),
    ("O O O", "O O O", (0, 0, 0), "O is no entity"),
    ("B-a I-a E-a", "B-a E-a O", (0, 1, 1), "both ends must agree"),
    ("B-a E-a", "B-b E-b", (0, 1, 1), "the type must agree"),
    ("O B-a", "O B-a", (1, 1, 1), "an entity that is open at the end of the sentence counts"),
    ("B-a I-a O", "B-a I-a O", (1, 1, 1), "plain BIO: an entity may end without E"),
    ("S-a O O", "O O S-a", (0, 1, 1), "an entity at another place is another one"),
    ("B-a B-a", "B-a B-a", (2, 2, 2), "B begins a new entity, also after one of its type"),
    ("S-a S-a", "B-a I-a", (0, 2, 1), "S ends at once: two neighbours are two entities"),
    ("S-a I-a", "S-a S-a", (2, 2, 2), "after S nothing is open: an I begins a new entity"),
    ("B-a E-a I-a", "B-a E-a S-a", (2, 2, 2), "after E nothing is open: an I begins a new entity"),
    ("B-a E-a E-a", "B-a E-a S-a", (2, 2, 2), "after E nothing is open: an E begins a new entity"),
    ("O I-a O", "O S-a O", (1, 1, 1), "an I that goes on with nothing begins an entity"),
    ("O E-a O", "O S-a O", (1, 1, 1), "an E that goes on with nothing is an entity"),
    ("B-a I-b O", "S-a S-b O", (2, 2, 2), "an I of another type ends one entity and begins one"),
    ("B-a E-b O", "S-a S-b O", (2, 2, 2), "an E of another type ends one entity and begins one"),
    ("B-a S-a O", "S-a S-a O", (2, 2, 2), "S ends what is open and is an entity of its own"),
    ("B-x-y I-x-z", "S-x-y S-x-z", (2, 2, 2), "a type may hold a hyphen: cut at the first one"),
    ("B-a O B-a", "B-a O B-b", (1, 2, 2), "entities at other places are others"),
)


def check_entity_counts(entity_counts: Callable) -> None:
    """Small sentences, one rule each; then several sentences, and the errors."""
    name = "entity_counts"
    check_not_used(name, entity_counts, LIBRARY)

    def ask(said: list, true: list) -> list[list[int]]:
        given = [list(row) for row in said], [list(row) for row in true]
        got = call_answer(name, entity_counts, *given)
        check_tensor(name, got)
        check_dtype(name, got, torch.int64, "Counts are whole numbers.")
        _require(
            got.shape == (len(true), 3),
            f"{name} of {len(true)} sentences has shape {tuple(got.shape)} instead of "
            f"({len(true)}, 3): one row for each sentence.",
        )
        _require(given == (said, true), f"{name}: {KEPT}")
        return got.tolist()

    for said, true, want, idea in _CASES:
        got = ask([said.split()], [true.split()])[0]
        _require(
            got == list(want),
            f"{name} gives {got} instead of {list(want)} when {said!r} is predicted and {true!r} "
            f"is true: {idea}.",
        )
    said = [row[0].split() for row in _CASES]
    true = [row[1].split() for row in _CASES]
    _require(
        ask(said, true) == [list(row[2]) for row in _CASES],
        f"{name} is right for single sentences and not for several: begin each one afresh.",
    )
    _require(ask([], []) == [], f"{name} of no sentences must have the shape (0, 3).")
    _require(ask([[]], [[]]) == [[0, 0, 0]], f"{name} of a sentence without words is 0, 0, 0.")
    for said, true in (([["O"]], [["O", "O"]]), ([["O"]], [["O"], ["O"]])):
        try:
            entity_counts(said, true)
        except ValueError:
            continue
        except Exception as error:
            raise AssertionError(
                f"{name} raises {type(error).__name__} for different lengths: make it a ValueError."
            ) from error
        raise AssertionError(
            f"{name} must raise a ValueError for {said} and {true}: with different lengths the "
            "places of the words do not mean the same."
        )
    _done(name)


# ---------------------------------------------------------------- 4. three parts


def check_three_parts(three_parts: Callable) -> None:
    """What every split must have, for lists of speakers of many kinds."""
    name = "three_parts"
    check_not_used(name, three_parts, LIBRARY)

    def ask(groups: list, n_validation: int, n_test: int, seed: int) -> list[list[int]]:
        got = call_answer(name, three_parts, list(groups), n_validation, n_test, seed)
        _require(
            isinstance(got, Sequence) and len(got) == 3,
            f"{name} must return three lists, (train, validation, test).",
        )
        try:
            return [[int(i) for i in part] for part in got]
        except (TypeError, ValueError) as error:
            raise AssertionError(
                f"{name} must return sentence numbers; {groups[:3]} are the speakers."
            ) from error

    source = random.Random(5)
    many = [f"s{i}" for i in range(12) for _ in range(1 + i % 4)]
    mixed = source.sample(many, len(many))
    for groups, n_validation, n_test in (
        (many, 5, 4),
        (mixed, 5, 4),
        (mixed, 2, 7),
        (mixed, 0, 3),
        (mixed, 3, 0),
        ([7, 3, 7, 1, 3, 5], 1, 1),
    ):
        for seed in range(6):
            parts = ask(groups, n_validation, n_test, seed)
            train, validation, test = parts
            everyone = sorted(train + validation + test)
            twice = [i for i, count in Counter(everyone).items() if count > 1]
            _require(not twice, f"{name}: sentence {twice[:1]} stands in the parts twice.")
            _require(
                everyone == list(range(len(groups))),
                f"{name}: every sentence number from 0 to {len(groups) - 1} must be in one part; "
                f"{len(everyone)} of {len(groups)} are.",
            )
            who = [{groups[i] for i in part} for part in parts]
            shared = (who[0] & who[1]) | (who[0] & who[2]) | (who[1] & who[2])
            _require(
                not shared,
                f"{name}: speaker {next(iter(shared), '')} is in two parts. That is the leak: "
                "shuffle speakers, not sentences.",
            )
            _require(bool(train), f"{name}: nothing is left to train on.")
            for part, wanted, what in (
                (test, n_test, "test"),
                (validation, n_validation, "validation"),
            ):
                _require(
                    len(part) >= wanted,
                    f"{name}: the {what} part has {len(part)} sentences, {wanted} were asked for. "
                    "The order of the result is train, validation, test, and sizes count "
                    "sentences, not speakers.",
                )
                most = max(Counter(groups[i] for i in part).values(), default=0)
                _require(
                    not part or len(part) - most < wanted,
                    f"{name}: the {what} part has {len(part)} sentences where {wanted} were asked "
                    "for: a speaker more than it takes. Do sizes count sentences, not speakers? Is "
                    "the order train, validation, test?",
                )
    splits = []
    for seed in range(150):
        random.seed(seed % 2)
        torch.manual_seed(seed % 2)
        first = ask(mixed, 5, 4, seed)
        random.random()
        torch.rand(2)
        _require(
            ask(mixed, 5, 4, seed) == first,
            f"{name}: two calls with the seed {seed} differ: use a generator of your own, made "
            "from the seed, and a list of speakers in a fixed order.",
        )
        splits.append([sorted(part) for part in first])
    _require(
        len({str(split) for split in splits}) > 10,
        f"{name}: 150 seeds give {len({str(split) for split in splits})} splits: the order of the "
        "speakers must be shuffled with the seed.",
    )
    for k, what in enumerate(("training", "validation", "test")):
        came = {mixed[i] for split in splits for i in split[k]}
        _require(
            len(came) == len(set(mixed)),
            f"{name}: in 150 splits only {len(came)} of {len(set(mixed))} speakers came into the "
            f"{what} part: all speakers must be shuffled.",
        )
    for letter in "tuvwxyz":
        _require(
            ask([letter + group for group in mixed], 5, 4, 0) == ask(mixed, 5, 4, 0),
            f"{name}: with {letter!r} in front of every name the split is another one, though the "
            "names are in the same order. A set of names has another order with other names, and "
            "in another run of Python: sort it, or take the order in `groups`.",
        )
    for groups, n_validation, n_test in ((list("ab"), 1, 1), (list("abcd"), 0, 9)):
        try:
            three_parts(groups, n_validation, n_test, 0)
        except ValueError:
            continue
        except Exception as error:
            raise AssertionError(
                f"{name} raises {type(error).__name__} when there are too few speakers: make it a "
                "ValueError."
            ) from error
        raise AssertionError(
            f"{name} must raise a ValueError for the speakers {groups} and parts of "
            f"{n_validation} and {n_test}: too few, or nothing left to train on."
        )
    _done(name)


# ---------------------------------------------------------------- 5. report


def _divide(a: float, b: float, other: float = 0.0) -> float:
    return a / b if b else other


def _report(matrix: list[list[int]], classes: Sequence[int], slip: str = "") -> dict:
    """The report by loops, or what one of the named slips makes of it."""
    if slip == "sorted":
        classes = sorted(classes)
    if slip == "axes":
        matrix = [list(row) for row in zip(*matrix, strict=True)]
    if slip == "cut":
        matrix = [[matrix[i][j] for j in classes] for i in classes]
        classes = range(len(matrix))
    counts = [(matrix[c][c], sum(row[c] for row in matrix), sum(matrix[c])) for c in classes]
    scores = [(_divide(r, p), _divide(r, t), _divide(2 * r, p + t)) for r, p, t in counts]
    if slip == "mean":
        scores = [(p, r, (p + r) / 2) for p, r, _ in scores]
    right, predicted, true = (sum(column) for column in zip(*counts, strict=True))
    macro = [sum(s[i] for s in scores) / len(scores) for i in range(3)]
    if slip == "macro from averages":
        macro[2] = _divide(2 * macro[0] * macro[1], macro[0] + macro[1])
    if slip == "macro over all classes":
        macro = [x * len(scores) / len(matrix) for x in macro]
    if slip == "macro without absent":
        present = [s for s, c in zip(scores, counts, strict=True) if c[2]] or scores
        macro = [sum(s[i] for s in present) / len(present) for i in range(3)]
    weights = [c[1] if slip == "weighted by predictions" else c[2] for c in counts]
    total = sum(map(sum, matrix)) if slip == "weighted over all" else sum(weights)
    weighted = [
        _divide(sum(s[i] * w for s, w in zip(scores, weights, strict=True)), total)
        for i in range(3)
    ]
    if slip == "weighted from averages":
        weighted[2] = _divide(2 * weighted[0] * weighted[1], weighted[0] + weighted[1])
    micro = [_divide(right, predicted), _divide(right, true), _divide(2 * right, predicted + true)]
    if slip == "micro accuracy":
        share = sum(matrix[i][i] for i in range(len(matrix))) / max(1, sum(map(sum, matrix)))
        micro = [share] * 3
    if slip == "micro recall":
        micro = [micro[1]] * 3
    if slip == "micro mean":
        micro[2] = (micro[0] + micro[1]) / 2
    return {
        "precision": [s[0] for s in scores],
        "recall": [s[1] for s in scores],
        "f1": [s[2] for s in scores],
        "support": [c[1] if slip == "support predicted" else c[2] for c in counts],
        "macro": macro,
        "weighted": weighted,
        "micro": micro,
    }


_SLIPS = {
    "support predicted": "support counts true labels, not predictions",
    "axes": "rows and columns have changed places: rows are true",
    "cut": "the matrix is cut to the classes first: what was confused with a class that is left "
    "out is lost",
    "mean": "F1 is the harmonic mean, not the arithmetic one",
    "macro from averages": "macro F1 is the mean of the F1 of the classes, not the F1 of the means",
    "macro over all classes": "macro divides by K, the classes that are reported",
    "macro without absent": "a class without labels counts in macro, with 0",
    "weighted by predictions": "weights are the supports, not the numbers of predictions",
    "weighted over all": "weights sum to the support of the K classes",
    "weighted from averages": "weighted F1 is the mean of the F1 of the classes",
    "micro accuracy": "micro is the accuracy only if all classes are in the sums",
    "sorted": "the classes are sorted: keep the order in which they are asked for",
    "micro mean": "micro F1 is the harmonic mean of micro precision and recall, or 2 right / "
    "(predicted + true) of the sums",
    "micro recall": "micro precision divides by the predictions, recall by the true ones",
}


def check_class_report(class_report: Callable) -> None:
    """All classes, some classes, empty classes; dtypes."""
    name = "class_report"
    check_not_used(name, class_report, LIBRARY)
    hints = {"'NoneType'": "Without `classes` all of them are meant."}

    def agree(matrix: list[list[int]], classes: list[int] | None, what: str) -> None:
        confusion = torch.tensor(matrix)
        given = (confusion,) if classes is None else (confusion, list(classes))
        got = call_answer(name, class_report, *given, hints=hints)
        _require(isinstance(got, dict), f"{name} must return a dictionary.")
        chosen = range(len(matrix)) if classes is None else classes
        want = _report(matrix, chosen)
        for key, values in want.items():
            _require(key in got, f"{name} lacks the entry {key!r}.")
            label = f"{key!r} of {name} ({what})"
            check_tensor(label, got[key])
            _require(
                got[key].shape == (len(values),),
                f"{label} has shape {tuple(got[key].shape)} instead of ({len(values)},).",
            )
            dtype = torch.int64 if key == "support" else torch.float64
            why = "Two int64 give float32 when they are divided: convert first."
            check_dtype(label, got[key], dtype, "" if key == "support" else why)
            mine = got[key].double().tolist()
            _require(
                all(x == x for x in mine),
                f"{label} holds NaN: a quotient with denominator 0 is 0.",
            )
            if max(abs(a - b) for a, b in zip(mine, values, strict=True)) < 1e-9:
                continue
            named = ""
            for slip, reason in _SLIPS.items():
                wrong = _report(matrix, chosen, slip)[key]
                near = max(abs(a - b) for a, b in zip(mine, wrong, strict=True)) < 1e-9
                far = max(abs(a - b) for a, b in zip(wrong, values, strict=True)) > 1e-6
                if near and far:
                    named = f" This is what you get when {reason}."
                    break
            raise AssertionError(
                f"{label} is wrong: expected {[round(x, 4) for x in values]}, got "
                f"{[round(x, 4) for x in mine]}.{named}"
            )
        _require(bool((confusion == torch.tensor(matrix)).all()), f"{name}: {KEPT}")

    matrix = [[50, 3, 1, 2], [4, 20, 0, 6], [7, 5, 9, 1], [0, 2, 8, 11]]
    agree(matrix, None, "all classes")
    agree(matrix, [1, 2, 3], "without class 0")
    agree(matrix, [3, 1], "classes 3 and 1, in this order")
    agree(matrix, [2], "one class")
    empty = [[5, 0, 2], [0, 0, 0], [3, 0, 4]]
    agree(empty, None, "a class that never occurs")
    agree(empty, [1], "only a class that never occurs")
    agree([[4, 1, 0], [1, 0, 2], [0, 0, 0]], [1, 2], "a class that is never right")
    _done(name)


# ---------------------------------------------------------------- 6. audit

_GOOD = (
    {"city": (0.931, 0.874, 0.902, 412), "date": (0.978, 0.967, 0.973, 92)},
    {
        "micro avg": (0.94, 0.891, 0.915),
        "macro avg": (0.955, 0.921, 0.937),
        "weighted avg": (0.94, 0.891, 0.915),
    },
)
_UNEQUAL = (
    {"a": (0.2, 0.9, 0.327, 100), "b": (0.9, 0.2, 0.327, 900)},
    {
        "micro avg": (0.415, 0.27, 0.327),
        "macro avg": (0.55, 0.55, 0.327),
        "weighted avg": (0.83, 0.27, 0.327),
    },
)
_MISTAKES = (  # table, line, column, printed value, whether it is possible, the idea
    (0, "city", "recall", 0.5, True, "206 of 412 is .500, and the other cells are another matter"),
    (1, "a", "f1-score", 0.55, False, "F1 is the harmonic mean of precision and recall"),
    (1, "micro avg", "precision", 0.83, False, "micro precision is sum(right) / sum(predicted)"),
    (1, "micro avg", "precision", 0.27, False, "micro precision is not micro recall here"),
    (1, "micro avg", "recall", 0.55, False, "micro recall is sum(right) / sum(support)"),
    (1, "micro avg", "f1-score", 0.55, False, "micro F1 comes from the sums"),
    (1, "macro avg", "precision", 0.83, False, "macro is the plain mean"),
    (1, "macro avg", "f1-score", 0.55, False, "macro F1 is the mean of the F1 of the classes"),
    (1, "weighted avg", "precision", 0.55, False, "weighted uses the supports"),
    (
        1,
        "weighted avg",
        "f1-score",
        0.407,
        False,
        "weighted F1 is the mean of the F1 of the classes",
    ),
)
_COLUMNS = ("precision", "recall", "f1-score")
_IDEAS = {
    ("micro avg", "precision"): "micro precision is sum(right) / sum(predicted)",
    ("micro avg", "recall"): "micro recall is sum(right) / sum(support)",
    ("micro avg", "f1-score"): "micro F1 comes from the sums",
    ("macro avg", "f1-score"): "macro F1 is the mean of the F1 of the classes",
    ("weighted avg", "precision"): "weighted uses the supports",
    ("weighted avg", "recall"): "weighted uses the supports",
    ("weighted avg", "f1-score"): "weighted F1 is the mean of the F1 of the classes",
    ("macro avg", "precision"): "macro is the plain mean",
    ("macro avg", "recall"): "macro is the plain mean",
}


def check_audit(audit: Callable) -> None:
    """A true table, single false cells, the edges of rounding, and the articles' table."""
    check_not_used("audit", audit, LIBRARY)
    hints = {"ZeroDivisionError": "A precision at its lower end may be 0: keep it above 0."}

    def ask(rows: Mapping, averages: Mapping, *digits: int) -> set:
        given = dict(rows), {name: tuple(line) for name, line in averages.items()}
        got = call_answer("audit", audit, *given, *digits, hints=hints)
        _require(
            isinstance(got, set | frozenset | list | tuple),
            f"audit must return a set of cells, got {type(got).__name__}.",
        )
        _require(
            all(isinstance(c, list | tuple) and len(c) == 2 and c[1] in _COLUMNS for c in got),
            f"a cell is a pair such as ('macro avg', 'f1-score'); got {sorted(map(str, got))[:3]}.",
        )
        _require(
            given == (dict(rows), {name: tuple(line) for name, line in averages.items()}),
            f"audit: {KEPT}",
        )
        return {tuple(c) for c in got}

    def expect(got: set, want: set, what: str, idea: str) -> None:
        extra, missing = sorted(got - want), sorted(want - got)
        more = _IDEAS.get(extra[0], "") if extra else ""
        _require(
            not extra,
            f"audit accuses {extra} of {what}; that is possible: {idea}."
            + f" Remember: {more}." * bool(more),
        )
        _require(not missing, f"audit does not find {missing} of {what}: {idea}.")

    expect(
        ask(*_GOOD), set(), "a table that data did give", "a printed cell is a range, not a point"
    )
    expect(
        ask(*_UNEQUAL),
        set(),
        "a table of two very different classes",
        "micro sums counts, right = R n and predicted = R n / P",
    )
    for number, line, column, value, fine, idea in _MISTAKES:
        rows, averages = (dict(part) for part in (_GOOD, _UNEQUAL)[number])
        if fine:
            rows = {"city": (0.931, value, 0.651, 412)}
            averages = {}
        else:
            owner = rows if line in rows else averages
            cells = list(owner[line])
            cells[_COLUMNS.index(column)] = value
            owner[line] = tuple(cells)
        what = f"a table in which {column} of {line} is {value}"
        expect(ask(rows, averages), set() if fine else {(line, column)}, what, idea)
    for recall, support, fine in ((0.909, 257, False), (0.907, 257, True), (0.334, 3, False)):
        f1 = round(2 * 0.8 * recall / (0.8 + recall), 3)
        expect(
            ask({"x": (0.8, recall, f1, support)}, {}),
            set() if fine else {("x", "recall")},
            f"a recall of {recall} with support {support}",
            "right answers are a whole number",
        )
    rows = {"a": (0.5, 0.5, 0.501, 1000), "b": (0.5, 0.5, 0.502, 1000)}
    expect(
        ask(rows, {}),
        {("b", "f1-score")},
        "two classes with P = R = .500",
        "both may be .5005, which prints as .501 at most",
    )
    rows = {"a": (0.95, 0.9, 0.92, 20)}
    expect(ask(rows, {}, 2), set(), "a report with two decimals", "half a unit is .005 then")
    expect(
        ask({"x": (1.0, 1.0, 1.0, 9)}, {"macro avg": (1.0, 1.0, 1.0)}),
        set(),
        "a perfect report",
        "nothing is above 1",
    )
    rows = {
        "a": (0.003, 0.006, 0.004, 316),
        "b": (1.0, 0.418, 0.59, 141),
        "c": (1.0, 0.048, 0.092, 167),
    }
    expect(
        ask(rows, {"micro avg": (0.088, 0.111, 0.098)}),
        set(),
        "a table with a very small precision",
        "the extremes of the micro row lie at corners where some cells are low and others high: "
        "try all combinations",
    )
    rows = {"a": (1.0, 0.19, 0.32, 130), "b": (1.0, 0.14, 0.25, 76)}
    expect(
        ask(rows, {"micro avg": (1.01, 0.17, 0.29)}, 2),
        {("micro avg", "precision")},
        "a table with a micro precision of 1.01",
        "no precision is above 1, so cut the ends there",
    )
    article = {"0": (0.947, 0.978, 0.959, 1668), "1": (0.916, 0.909, 0.912, 257)}
    lines = {
        "micro avg": (0.94, 0.943, 0.941),
        "macro avg": (0.931, 0.931, 0.931),
        "weighted avg": (0.94, 0.943, 0.941),
    }
    want = {(line, c) for line in lines for c in _COLUMNS} - {("macro avg", "precision")}
    want |= {("0", "f1-score"), ("1", "recall")}
    expect(ask(article, lines), want, "the table of article 004", "see the rules")
    _done("audit")


# ---------------------------------------------------------------- 7. paired interval


def _macro(counts: Tensor, slip: str = "") -> float:
    """Macro F1 of (m, K, 3), by loops."""
    total = counts.sum(0).tolist()
    if slip == "micro":
        total = [[sum(column) for column in zip(*total, strict=True)]]
    if slip == "sentences":
        each = [[_divide(2 * r, p + t) for r, p, t in row] for row in counts.tolist()]
        return sum(map(sum, each)) / max(1, len(each) * len(each[0]))
    scores = [_divide(2 * r, p + t) for r, p, t in total]
    if slip == "precision":
        scores = [_divide(r, p) for r, p, _ in total]
    if slip == "recall":
        scores = [_divide(r, t) for r, _, t in total]
    if slip == "absent":
        scores = [s for s, (_, p, t) in zip(scores, total, strict=True) if p + t] or [0.0]
    return torch.tensor(scores, dtype=torch.float64).mean().item()


_F1_SLIPS = {
    "support predicted": "support counts true labels, not predictions",
    "micro": "the types are summed: that is micro F1",
    "sentences": "F1 is computed for each sentence and then averaged: sum the counts first",
    "precision": "that is macro precision",
    "recall": "that is macro recall",
    "absent": "a type without entities is left out: it counts as 0",
}


def check_paired_interval(paired_interval: Callable) -> None:
    """The difference, the two ends, the level; types that do not occur."""
    name = "paired_interval"
    check_not_used(name, paired_interval, LIBRARY)
    generator = torch.Generator().manual_seed(1)
    n, k, times = 23, 3, 60
    true = torch.randint(3, (n, k), generator=generator)
    true[:2, 2], true[2:, 2] = 2, 0  # a rare type
    a, b = (
        torch.stack(
            [
                (true - torch.randint(2, (n, k), generator=generator)).clamp(min=0) * part
                + true * (1 - part),
                true + torch.randint(2, (n, k), generator=generator) * (true > 0),
                true,
            ],
            dim=-1,
        )
        for part in ((torch.rand(n, k, generator=generator) < p).long() for p in (0.3, 0.8))
    )
    picks = torch.randint(n, (times, n), generator=generator)

    def ask(*given: object) -> list[float]:
        kept = [x.clone() for x in given[:3]]
        got = call_answer(name, paired_interval, *given)
        _require(
            isinstance(got, tuple | list | Tensor) and len(got) == 3,
            f"{name} must return three numbers: difference, lower end, upper end.",
        )
        same = all(bool((x == y).all()) for x, y in zip(kept, given[:3], strict=True))
        _require(same, f"{name}: {KEPT}")
        three = [float(x) for x in got]
        _require(
            all(x == x for x in three),
            f"{name} gives NaN: a type that does not occur in a draw has 0/0, which counts as 0.",
        )
        return three

    def draws(slip: str = "") -> Tensor:
        values = [_macro(a[row], slip) - _macro(b[row], slip) for row in picks]
        return torch.tensor(values, dtype=torch.float64)

    def ends(values: Tensor, level: float) -> tuple[float, float]:
        low, high = (1 - level) / 2, (1 + level) / 2
        return float(values.quantile(low)), float(values.quantile(high))

    difference, low, high = ask(a, b, picks)
    want = _macro(a) - _macro(b)
    if abs(difference - want) > 1e-8:
        named = {reason: _macro(a, slip) - _macro(b, slip) for slip, reason in _F1_SLIPS.items()}
        values = draws()
        named |= {
            "it is b minus a": -want,
            "it is the mean of the draws, not the difference on all sentences": values.mean(),
            "it is the median of the draws, not the difference on all sentences": values.median(),
            "it is the macro F1 of a alone": _macro(a),
            "it is computed in float32: convert the counts to float64": difference
            if abs(difference - want) < 1e-6
            else 9.0,
        }
        why = next((x for x, value in named.items() if abs(difference - float(value)) < 1e-8), "")
        raise AssertionError(
            f"{name}: the difference on all sentences is {want:.6f}, got {difference:.6f}."
            + f" This is what you get when {why}." * bool(why)
        )
    right = ends(draws(), 0.95)
    if max(abs(low - right[0]), abs(high - right[1])) > 1e-8:
        values = draws()
        of_a, of_b = (
            torch.tensor([_macro(x[row]) for row in picks], dtype=torch.float64) for x in (a, b)
        )
        (low_a, high_a), (low_b, high_b) = ends(of_a, 0.95), ends(of_b, 0.95)
        spread, middle = float(values.std()), want
        named = {reason: ends(draws(slip), 0.95) for slip, reason in _F1_SLIPS.items()}
        named |= {
            "the ends are exchanged": right[::-1],
            "the ends are those of two separate intervals": (low_a - high_b, high_a - low_b),
            "the ends of one interval are subtracted from those of the other": (
                low_a - low_b,
                high_a - high_b,
            ),
            "each end cuts off 5 %: 95 % in the middle leave 2.5 % on each side": ends(values, 0.9),
            "the ends are the smallest and the largest draw": (
                float(values.min()),
                float(values.max()),
            ),
            "it is the difference plus and minus 1.96 deviations: take quantiles": (
                middle - 1.96 * spread,
                middle + 1.96 * spread,
            ),
            "the draws are not paired: b has other sentences than a": ends(
                of_a - of_b.flip(0), 0.95
            ),
            "it is the interval of a alone": (low_a, high_a),
            "the draws are the rows of picks, not its columns": (9.0, 9.0),
        }
        why = next(
            (
                x
                for x, (p, q) in named.items()
                if max(abs(low - float(p)), abs(high - float(q))) < 1e-8
            ),
            "",
        )
        off = max(abs(low - right[0]), abs(high - right[1]))
        if not why and off < 1e-6:
            why = "it is computed in float32: convert the counts to float64"
        if not why and off < 0.02:
            why = "the quantile is not interpolated, or lies one draw beside the right one"
        raise AssertionError(
            f"{name}: the ends are {right[0]:.6f} and {right[1]:.6f}, got {low:.6f} and {high:.6f}."
            + f" This is what you get when {why}." * bool(why)
        )
    _, low, high = ask(a, b, picks, 0.5)
    right, why = ends(draws(), 0.5), "is the argument `level` used?"
    for slip, reason in _F1_SLIPS.items():
        wrong = ends(draws(slip), 0.5)
        if max(abs(low - wrong[0]), abs(high - wrong[1])) < 1e-8:
            why = f"this is what you get when {reason}."
    _require(
        max(abs(low - right[0]), abs(high - right[1])) < 1e-8,
        f"{name}: with level 0.5 the ends are {right[0]:.6f} and {right[1]:.6f}, got {low:.6f} and "
        f"{high:.6f}: {why}",
    )
    same = ask(a, a.clone(), picks)
    _require(
        same == [0.0, 0.0, 0.0],
        f"{name} of a tagger against itself must be 0, 0, 0, got {same}: draw the same sentences.",
    )
    a[:, 1] = b[:, 1] = 0
    got, want = ask(a, b, picks)[0], _macro(a) - _macro(b)
    _require(
        abs(got - want) < 1e-8,
        f"{name}: with a type that never occurs the difference is {want:.6f}, got {got:.6f}: 0/0 "
        "counts as 0.",
    )
    _done(name)
