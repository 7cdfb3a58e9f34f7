"""Visible checks of assignment 02: each says what is wrong in terms of the idea.

A check that passes is not the whole story: the grader runs further tests of its own.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from encoderlib.testing import call_answer, check_close, check_dtype, check_not_used, check_shape

__all__ = [
    "check_collate",
    "check_decode_ids",
    "check_lookup",
    "check_merge_step",
    "check_table_gradient",
    "check_vocabulary",
]

LIBRARIES = dict.fromkeys(
    ("encoderlib", "tokenizers", "transformers"), "The library holds the answer; write your own."
)


def _done(what: str) -> None:
    print(f"The visible check of {what} passes.")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise AssertionError(message)


def _named(name: str, got: object, expected: object, mistakes: dict[str, object]) -> None:
    """``got`` must equal ``expected``; names the mistake that gives ``got``."""
    if got == expected:
        return
    for mistake, wrong in mistakes.items():
        if wrong != expected and got == wrong:
            raise AssertionError(f"{name} is wrong: this is what you get when {mistake}.")
    raise AssertionError(f"{name} is wrong: expected {expected!r}, got {got!r}.")


def _pair_of(name: str, got: object, meaning: str) -> tuple:
    _require(
        isinstance(got, tuple | list) and len(got) == 2,
        f"{name} must return {meaning}, got {_what(got)}.",
    )
    return tuple(got)


def _tried(function: Callable, *arguments: object) -> tuple[object, BaseException | None]:
    """What a call returns, and what it raises."""
    try:
        return function(*arguments), None
    except Exception as error:
        return None, error


def _what(got: object) -> str:
    if got is None:
        return "None: is there a return statement?"
    if isinstance(got, tuple | list):
        return f"a {type(got).__name__} of {len(got)}"
    return f"a {type(got).__name__}"


# ---------------------------------------------------------------- 1. decode


def check_decode_ids(decode_ids: Callable) -> None:
    """Ids inside and outside of a list of nine, and texts that look like free places."""
    check_not_used("decode_ids", decode_ids, LIBRARIES)
    vocabulary = ["[PAD]", "[unused0]", "[unused12]", "[CLS]", "[SEP]", "un", "unused", "##used"]
    vocabulary.append("[unused]")
    hints = {
        "IndexError": "An id that the list does not have becomes None.",
        "NoneType": "A piece can be None: ask for that first.",
        "KeyError": "The vocabulary is a list; the id is the place in it.",
    }

    def call(ids: list[int], known: list[str] = vocabulary) -> tuple:
        got = call_answer("decode_ids", decode_ids, list(ids), list(known), hints=hints)
        pieces, suspects = _pair_of("decode_ids", got, "two lists, pieces and suspects")
        _require(
            isinstance(pieces, tuple | list) and isinstance(suspects, tuple | list),
            "decode_ids must return two lists, pieces and suspects.",
        )
        return list(pieces), list(suspects)

    pieces, suspects = call([3, 5, 7, 4])
    _named("the list of pieces", pieces, ["[CLS]", "un", "##used", "[SEP]"], {})
    _named(
        "the list of suspects of an ordinary text",
        suspects,
        [],
        {
            "special tokens count as suspects: a tokenizer adds them": [0, 3],
            "every piece that holds the letters 'used' is a suspect": [2],
        },
    )
    pieces, suspects = call([3, 2, 6, 1, 8, 4])
    _named(
        "the list of suspects",
        suspects,
        [1, 3],
        {
            "the ids are returned and not their positions": [2, 1],
            "positions are counted from 1": [2, 4],
            "the tokens are returned and not their positions": ["[unused12]", "[unused0]"],
            "the word unused is a suspect too: test the whole form, [unusedN]": [1, 2, 3, 4],
            "[unused] without a number is a suspect too: test the whole form": [1, 3, 4],
            "special tokens count as suspects: a tokenizer adds them": [0, 1, 3, 5],
            "only one digit is allowed for": [3],
            "free places are no suspects": [],
        },
    )
    pieces, suspects = call([3, 9, 5, -1, 50, 4])
    _require(
        len(pieces) == 6,
        f"decode_ids gives {len(pieces)} pieces for 6 ids: an id that the list does not have "
        "keeps its place, as None.",
    )
    _require(
        pieces[3] is None,
        f"the piece of the id -1 is {pieces[3]!r}, expected None: Python counts -1 from the end of "
        "a list, a vocabulary does not.",
    )
    _named("the list of pieces", pieces, ["[CLS]", None, "un", None, None, "[SEP]"], {})
    _named(
        "the list of suspects",
        suspects,
        [1, 3, 4],
        {"ids that the list does not have are no suspects": []},
    )
    _, suspects = call([5, 1, 5, 1, 9])
    _named(
        "the list of suspects, where ids stand twice,",
        suspects,
        [1, 3, 4],
        {"the position is looked up with `index`, which finds the first place only": [1, 1, 4]},
    )
    _, suspects = call([3, 0, 1, 2], ["[unused8]x", "x[unused8]", "[UNK]", "[CLS]"])
    _named(
        "the list of suspects of [CLS] [unused8]x x[unused8] [UNK]",
        suspects,
        [],
        {
            "only the beginning of a piece is tested: [unused8]x is ordinary text": [1],
            "a part of a piece is tested, not its whole form: x[unused8] is ordinary text": [1, 2],
            "only the end of a piece is tested: x[unused8] is ordinary text": [2],
            "[UNK] counts as a suspect: a text with an unknown word gives it": [3],
        },
    )
    _done("decode_ids")


# ---------------------------------------------------------------- 2. vocabulary

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]


def _ids(characters: str, first: int = 4) -> dict[str, int]:
    return {t: i for i, t in enumerate([*SPECIAL[:first], *characters])}


def check_vocabulary(build_vocabulary: Callable, encode: Callable, decode: Callable) -> None:
    """The three functions, one after the other, then the way there and back."""
    for name, function in (
        ("build_vocabulary", build_vocabulary),
        ("encode", encode),
        ("decode", decode),
    ):
        check_not_used(name, function, LIBRARIES)
    _check_build(build_vocabulary)
    vocabulary = _ids("e tans")
    _check_encode(encode, vocabulary)
    _check_decode(decode, vocabulary)
    for text in ("tea eats ants", "  a\nt  ", "", "大学生 and 学生。", "a [PAD] b[SEP][UNK]"):
        known = call_answer("build_vocabulary", build_vocabulary, [text], 50)
        ids = call_answer("encode", encode, text, known)
        back = call_answer("decode", decode, ids, known)
        _require(
            back == text,
            f"there and back is not the same: {text!r} comes back as {back!r}, although the "
            "vocabulary has all of its characters."
            + " Letters such as [PAD] in a text are text: only the ids tell what is special."
            * ("[PAD]" in text),
        )
    _done("vocabulary")


def _check_build(build_vocabulary: Callable) -> None:
    # c stands 5 times, all in one text; b, m and n 3 times; a twice; the space and d once
    texts = ["nbnm nb", "mmbcccccaad"]
    got = call_answer("build_vocabulary", build_vocabulary, list(texts), 50)
    _require(
        isinstance(got, dict),
        f"build_vocabulary must return a dictionary from token to id, got {_what(got)}.",
    )
    got = dict(got)
    _require(
        all(isinstance(token, str) for token in got),
        "build_vocabulary must return a dictionary from token to id; the keys are no strings.",
    )
    _require(
        [got.get(token) for token in SPECIAL] == [0, 1, 2, 3],
        "the special tokens [PAD], [UNK], [CLS], [SEP] must have the ids 0, 1, 2, 3; got "
        f"{[got.get(token) for token in SPECIAL]}.",
    )
    _require(
        sorted(got.values()) == list(range(len(got))),
        "the ids must be 0, 1, 2 and so on, each once.",
    )
    _require(
        " " in got,
        "the space has no id: spaces are characters like the others, without them the text does "
        "not come back.",
    )
    _require(
        all(len(token) == 1 for token in list(got)[4:]),
        "a token is longer than one character: the texts are cut into characters, not words.",
    )
    expected = _ids("cbmna d")
    _named(
        "the vocabulary of " + repr(texts),
        got,
        expected,
        {
            "equally frequent characters keep the order of their first appearance": _ids("cnbma d"),
            "equally frequent characters come in falling order": _ids("cnmbad "),
            "the characters come in the order of the alphabet, whatever their count": _ids(
                " abcdmn"
            ),
            "the characters come in the order of their first appearance": _ids("nbm cad"),
            "the rarest characters come first": _ids(" dabmnc"),
            "a character is counted once for each text": _ids("bm acdn"),
            "only the first text is counted": _ids("nb m"),
        },
    )
    _named(
        "the vocabulary of ['Aa A']",
        dict(call_answer("build_vocabulary", build_vocabulary, ["Aa A"], 50)),
        _ids("A a"),
        {"capital letters are made small: A is not a": _ids("a ")},
    )
    got = dict(call_answer("build_vocabulary", build_vocabulary, list(texts), 6))
    _named(
        "the vocabulary of size 6",
        got,
        _ids("cb"),
        {
            "the four special tokens are not counted in the size": _ids("cbmna "),
            "the size is not used": expected,
            "one entry too many is kept": _ids("cbm"),
            "one entry too few is kept": _ids("c"),
        },
    )


def _check_encode(encode: Callable, vocabulary: dict[str, int]) -> None:
    hints = {"KeyError": "A character that is not in the vocabulary becomes [UNK]."}

    def call(text: str, known: dict[str, int]) -> list[int]:
        got = call_answer("encode", encode, text, dict(known), hints=hints)
        _require(isinstance(got, list | tuple), f"encode must return a list, got {_what(got)}.")
        return list(got)

    _named(
        "encode('tea')",
        call("tea", vocabulary),
        [2, 6, 4, 7, 3],
        {
            "[CLS] and [SEP] are missing": [6, 4, 7],
            "[SEP] is missing at the end": [2, 6, 4, 7],
            "[CLS] is missing at the beginning": [6, 4, 7, 3],
            "[CLS] and [SEP] have changed places": [3, 6, 4, 7, 2],
        },
    )
    _named(
        "encode('tax'), where x is not in the vocabulary,",
        call("tax", vocabulary),
        [2, 6, 7, 1, 3],
        {
            "an unknown character is left out": [2, 6, 7, 3],
            "an unknown character becomes [PAD]": [2, 6, 7, 0, 3],
            "the whole text becomes [UNK]": [2, 1, 3],
        },
    )
    _named(
        "encode(' Te a ')",
        call(" Te a ", vocabulary),
        [2, 5, 1, 4, 5, 7, 5, 3],
        {
            "capital letters are made small: T is not t": [2, 5, 6, 4, 5, 7, 5, 3],
            "spaces at the ends are taken away": [2, 1, 4, 5, 7, 3],
            "all spaces are taken away": [2, 1, 4, 7, 3],
        },
    )
    other = {"a": 0, "[SEP]": 4, "[UNK]": 3, "[CLS]": 2, "[PAD]": 1}
    _named(
        "encode('ab') with a vocabulary whose special tokens have other ids",
        call("ab", other),
        [2, 0, 3, 4],
        {
            "the ids of special tokens are written as numbers: look them up": [2, 0, 1, 3],
            "the place in the dictionary is taken for the id; the id is the value": [3, 0, 2, 1],
            "the id 0 counts as missing: 0 is false in Python": [2, 3, 3, 4],
        },
    )


def _check_decode(decode: Callable, vocabulary: dict[str, int]) -> None:
    def call(ids: list[int], known: dict[str, int]) -> str:
        got = call_answer("decode", decode, list(ids), dict(known))
        _require(isinstance(got, str), f"decode must return a string, got {_what(got)}.")
        return got

    _named(
        "decode of [CLS] t e a [SEP] [PAD]",
        call([2, 6, 4, 7, 3, 0], vocabulary),
        "tea",
        {
            "special tokens are written out": "[CLS]tea[SEP][PAD]",
            "[PAD] is written out": "tea[PAD]",
            "the first and the last id are dropped, whatever they are": "tea[SEP]",
            "pieces are joined with spaces": "t e a",
        },
    )
    _named(
        "decode of [CLS] t [UNK] a [SEP]",
        call([2, 6, 1, 7, 3], vocabulary),
        "t\ufffda",
        {
            "[UNK] is left out: the reader cannot see that something is missing": "ta",
            "[UNK] is written out; expected the one sign \\ufffd": "t[UNK]a",
            "[UNK] becomes a question mark; expected the one sign \\ufffd": "t?a",
        },
    )
    _named(
        "decode of two texts in one row",
        call([0, 2, 6, 3, 7, 3, 0, 9], vocabulary),
        "tas",
        {
            "decoding stops at the first [SEP]": "t",
            "decoding stops at the first [PAD]": "",
        },
    )
    other = {"a": 0, "[SEP]": 4, "[UNK]": 3, "[CLS]": 2, "[PAD]": 1}
    _named(
        "decode with a vocabulary whose special tokens have other ids",
        call([2, 0, 3, 4, 1], other),
        "a\ufffd",
        {
            "the ids of special tokens are written as numbers here: look them up": "[SEP]\ufffd",
            "the ids of special tokens are written as numbers: look them up": "",
            "the place in the dictionary is taken for the id; the id is the value": "\ufffda",
        },
    )
    for wrong in (-1, len(vocabulary)):
        got, error = _tried(decode, [2, wrong, 3], dict(vocabulary))
        if isinstance(error, ValueError):
            continue
        _require(
            error is None,
            f"decode raises {type(error).__name__} for the id {wrong}, which is not in the "
            "vocabulary; expected a ValueError.",
        )
        hint = ""
        if wrong < 0 and got:
            hint = " Python counts -1 from the end of a list: it is the last token here."
        raise AssertionError(
            f"decode gives {got!r} for the id {wrong}, which is not in the vocabulary: it must "
            f"raise a ValueError.{hint}"
        )


# ---------------------------------------------------------------- 3. one merge


def _words(*pairs: tuple[str, int]) -> dict[tuple[str, ...], int]:
    """Words from pieces with spaces between."""
    return {tuple(spelled.split()): count for spelled, count in pairs}


def check_merge_step(merge_step: Callable) -> None:
    """Small dictionaries, each for one rule."""
    check_not_used("merge_step", merge_step, LIBRARIES)
    hints = {
        "empty": "There may be no pair at all: ask before you choose.",
        "changed size during iteration": "Build a new dictionary; `words` stays as it is.",
        "unhashable": "A key must be a tuple; a list cannot be one.",
        "IndexError": "The last piece of a word has no right neighbour.",
        "KeyError": "A word may be new in the dictionary: start it at 0.",
    }

    def call(words: dict) -> tuple:
        given = dict(words)
        got = call_answer("merge_step", merge_step, words, hints=hints)
        _require(
            dict(words) == given, "merge_step changes `words`: build a new dictionary instead."
        )
        pair, merged = _pair_of("merge_step", got, "the pair and a dictionary")
        _require(
            merged is not words,
            "merge_step returns `words` itself: return a copy, even if nothing is merged.",
        )
        _require(
            isinstance(merged, dict),
            f"the second result must be a dictionary like `words`, got {_what(merged)}.",
        )
        for word in merged:
            _require(
                isinstance(word, tuple),
                f"a key of the new dictionary is {word!r}: a word is a tuple of pieces.",
            )
        _require(
            pair is None or (isinstance(pair, tuple) and len(pair) == 2),
            f"the pair must be a tuple of two pieces, got {pair!r}.",
        )
        return pair, {**merged}

    pair, _ = call(_words(("p q", 4), ("c p q", 1), ("c d", 2)))
    mistakes = {"the ratio of WordPiece decides, and not the count": ("c", "d")}
    _named("the pair", pair, ("p", "q"), mistakes)
    pair, _ = call(_words(("x y", 2), ("x y z", 2), ("a b", 5)))
    mistakes = {"each word counts once, however often it occurs": ("x", "y")}
    _named("the pair", pair, ("a", "b"), mistakes)
    pair, _ = call(_words(("g", 4), ("h i", 2)))
    mistakes = {"pairs reach over the end of a word": ("g", "g")}
    _named("the pair", pair, ("h", "i"), mistakes)
    pair, _ = call(_words(("u v", 2), ("v u", 2), ("w w", 3)))
    mistakes = {"(u, v) and (v, u) are counted as one pair: order matters": ("u", "v")}
    _named("the pair", pair, ("w", "w"), mistakes)
    pair, _ = call(_words(("n m", 3), ("t s", 3), ("r b", 3), ("k z", 2), ("k z h", 1)))
    _named(
        "the pair among equally frequent ones",
        pair,
        ("k", "z"),
        {
            "the pair that was met first wins a tie": ("n", "m"),
            "the largest pair wins a tie": ("t", "s"),
            "the second piece decides a tie, and not the first": ("r", "b"),
        },
    )
    pair, _ = call(_words(("ab c", 3), ("a z", 3)))
    mistakes = {"the joined string decides a tie, and not the tuple: 'a' < 'ab'": ("ab", "c")}
    _named("the pair among equally frequent ones", pair, ("a", "z"), mistakes)
    pair, _ = call(_words(("c a", 3), ("b z", 3), ("b d", 3)))
    mistakes = {"only the first piece decides a tie": ("b", "z")}
    _named("the pair among equally frequent ones", pair, ("b", "d"), mistakes)

    pair, merged = call(_words(("x y", 2), ("a b", 3), ("x y z", 2), ("q", 1)))
    _named("the pair", pair, ("x", "y"), {})
    right = _words(("xy", 2), ("a b", 3), ("xy z", 2), ("q", 1))
    _named(
        "the new dictionary",
        merged,
        right,
        {
            "words without the pair are left out": _words(("xy", 2), ("xy z", 2)),
            "the pair is put back as two pieces": _words(
                ("x y", 2), ("a b", 3), ("x y z", 2), ("q", 1)
            ),
            "words of one piece are left out": _words(("xy", 2), ("a b", 3), ("xy z", 2)),
            "a piece is used twice: after a pair go on by two": _words(
                ("xy y", 2), ("a b", 3), ("xy y z", 2), ("q", 1)
            ),
        },
    )
    pair, _ = call(_words(("g h g h", 2), ("s t", 3)))
    mistakes = {"a pair is counted once for each word; count every place": ("s", "t")}
    _named("the pair, where g h stands twice in a word,", pair, ("g", "h"), mistakes)
    pair, merged = call(_words(("r r r r r", 2), ("s t", 7)))
    _named(
        "the pair, where r stands five times in a row,",
        pair,
        ("r", "r"),
        {
            "places that overlap are not counted: r r r holds the pair twice": ("s", "t"),
        },
    )
    _named(
        "the new dictionary of r r r r r",
        merged,
        _words(("rr rr r", 2), ("s t", 7)),
        {
            "only the first place in a word is merged": _words(("rr r r r", 2), ("s t", 7)),
            "a place right behind another one is missed, as by a replace on a text with spaces": (
                _words(("rr r rr", 2), ("s t", 7))
            ),
            "the word is cut from the right": _words(("r rr rr", 2), ("s t", 7)),
            "a piece is used twice": _words(("rr rr rr rr", 2), ("s t", 7)),
            "the whole run becomes one piece": _words(("rrrrr", 2), ("s t", 7)),
        },
    )
    pair, merged = call(_words(("g h", 2), ("gh", 5), ("g h g h", 1)))
    _named(
        "the new dictionary, where g h and gh become the same word,",
        merged,
        _words(("gh", 7), ("gh gh", 1)),
        {
            "the second count replaces the first: add them up": _words(("gh", 5), ("gh gh", 1)),
            "only the first place in a word is merged": _words(("gh", 7), ("gh g h", 1)),
        },
    )
    for words in (_words(("a", 2), ("bc", 1)), {}):
        pair, merged = call(dict(words))
        _named("the pair of words that have none", pair, None, {})
        _named("the new dictionary of words without a pair", merged, words, {})
    _done("merge_step")


# ---------------------------------------------------------------- 4. collate


def _batch(rows: list[list[int]]) -> Tensor:
    return torch.tensor(rows)


def check_collate(collate: Callable) -> None:
    """Padding, the mask, cutting, and the odd cases."""
    check_not_used(
        "collate",
        collate,
        {**LIBRARIES, "pad_sequence": "Fill the rows yourself."},
    )
    hints = {
        "expected sequence of length": "The rows have different lengths: pad them first.",
        "IndexError": "A sequence may be empty: it has no last id.",
        "NoneType": "max_length may be None: then nothing is cut.",
        "masked_scatter": "Rows and mask do not have the same number of tokens.",
    }

    def call(sequences: list[list[int]], **options: int) -> tuple[Tensor, Tensor]:
        before = [list(sequence) for sequence in sequences]
        got = call_answer("collate", collate, sequences, hints=hints, **options)
        _require(
            sequences == before, "collate changes the lists it was given: build new ones instead."
        )
        _require(
            not isinstance(got, Tensor),
            "collate must return two tensors, ids and tokens; it returns one.",
        )
        batch, mask = _pair_of("collate", got, "two tensors, ids and tokens")
        check_dtype("ids", batch, torch.int64, "An id is a place in a list.")
        check_dtype("tokens", mask, torch.bool, "A mask is boolean, True = token.")
        return batch, mask

    ids, tokens = call([[2, 5, 6, 3], [2, 3], [2, 7, 3]])
    for name, part in (("ids", ids), ("tokens", tokens)):
        if part.dim() == 2 and tuple(part.shape) == (4, 3):
            raise AssertionError(
                f"{name} has the wrong shape: expected (B, T) = (3, 4), got (4, 3). A sentence is "
                "a row."
            )
        if part.shape[-1] == 2:
            raise AssertionError(
                f"{name} has {part.shape[-1]} columns: the shortest sequence decides, and the "
                "others lose tokens. T is the length of the longest."
            )
        check_shape(name, part, {"B": 3, "T": 4})
    right = _batch([[2, 5, 6, 3], [2, 3, 0, 0], [2, 7, 3, 0]])
    real = right != 0
    check_close(
        "ids",
        ids,
        right,
        {
            "the padding stands on the left": _batch([[2, 5, 6, 3], [0, 0, 2, 3], [0, 2, 7, 3]]),
            "the last id is repeated instead of the padding": _batch(
                [[2, 5, 6, 3], [2, 3, 3, 3], [2, 7, 3, 3]]
            ),
        },
    )
    mistakes = {
        "the mask is the wrong way round: True = token": ~real,
        "every cell counts as a token": torch.ones_like(real),
        "the mask stands on the other side": real.flip(-1),
        "one padded place too many counts as a token": torch.tensor(
            [[1, 1, 1, 1], [1, 1, 1, 0], [1, 1, 1, 1]]
        ).bool(),
        "the last token of a row does not count": torch.tensor(
            [[1, 1, 1, 0], [1, 0, 0, 0], [1, 1, 0, 0]]
        ).bool(),
    }
    check_close("tokens", tokens, real, mistakes)

    ids, tokens = call([[2, 0, 9, 3], [0, 1, 3]], padding_id=1)
    check_close(
        "ids with padding_id=1",
        ids,
        _batch([[2, 0, 9, 3], [0, 1, 3, 1]]),
        {"padding_id is not used": _batch([[2, 0, 9, 3], [0, 1, 3, 0]])},
    )
    given = _batch([[2, 0, 9, 3], [0, 1, 3, 1]])
    check_close(
        "tokens, where a real token has the id of the padding,",
        tokens,
        torch.tensor([[True] * 4, [True] * 3 + [False]]),
        {
            "the mask is made from the ids; only the lengths know what is real": given != 1,
            "the mask is ids != 0, whatever padding_id is": given != 0,
        },
    )
    _check_cutting(call)
    ids, tokens = call([[], [4]])
    for name, part in (("ids", ids), ("tokens", tokens)):
        _require(
            tuple(part.shape) == (2, 1),
            f"{name} of [[], [4]] has shape {tuple(part.shape)}, expected (2, 1): an empty "
            "sequence keeps its row, which is all padding.",
        )
    check_close("ids with an empty sequence", ids, _batch([[0], [4]]))
    check_close("tokens with an empty sequence", tokens, torch.tensor([[False], [True]]))
    _done("collate")


def _check_cutting(call: Callable) -> None:
    sequences = [[2, 5, 6, 7, 8, 3], [2, 9, 3], [2, 5, 6, 3]]
    ids, tokens = call(sequences, max_length=4)
    if ids.shape[-1] == 6:
        raise AssertionError("ids has 6 columns with max_length=4: nothing is cut.")
    if ids.shape[-1] == 5:
        raise AssertionError(
            "ids has 5 columns with max_length=4: the last id, [SEP], counts in the length."
        )
    check_shape("ids with max_length=4", ids, {"B": 3, "T": 4})
    check_close(
        "ids with max_length=4",
        ids,
        _batch([[2, 5, 6, 3], [2, 9, 3, 0], [2, 5, 6, 3]]),
        {
            "a cut sequence loses its last id, [SEP]": _batch(
                [[2, 5, 6, 7], [2, 9, 3, 0], [2, 5, 6, 3]]
            ),
            "the last ids are kept instead of the first": _batch(
                [[6, 7, 8, 3], [2, 9, 3, 0], [2, 5, 6, 3]]
            ),
            "the last id is appended to short sequences too": _batch(
                [[2, 5, 6, 3], [2, 9, 3, 3], [2, 5, 6, 3]]
            ),
            "a cut sequence ends with the id 3 or 0 as such, not with its own last id": _batch(
                [[2, 5, 6, 0], [2, 9, 3, 0], [2, 5, 6, 3]]
            ),
        },
    )
    check_close(
        "tokens with max_length=4",
        tokens,
        torch.tensor([[True] * 4, [True] * 3 + [False], [True] * 4]),
    )
    ids, _ = call([[5, 6, 7, 8, 9], [4]], max_length=3)
    check_close(
        "ids with max_length=3",
        ids,
        _batch([[5, 6, 9], [4, 0, 0]]),
        {
            "a cut sequence ends with the id 3, not with its own last id": _batch(
                [[5, 6, 3], [4, 0, 0]]
            )
        },
    )
    ids, _ = call([[5, 6], [4]], max_length=7)
    _require(
        ids.shape[-1] != 7,
        "ids has 7 columns where the longest sequence has 2 ids: max_length is a limit, not a "
        "size. Pad to the longest.",
    )
    check_close("ids with max_length=7", ids, _batch([[5, 6], [4, 0]]))


# ---------------------------------------------------------------- 5. lookup


def check_lookup(lookup: Callable) -> None:
    """Rows, neighbours, axes, dtype, gradient, and ids outside of the table."""
    shortcuts = dict.fromkeys(
        ("embedding", "Embedding", "EmbeddingBag"), "Write the lookup yourself."
    )
    check_not_used("lookup", lookup, {**LIBRARIES, **shortcuts})
    hints = {
        "same dtype": "The one-hot rows are integers: give them the dtype of the table.",
        "expected m1 and m2": "The one-hot rows are integers: give them the dtype of the table.",
        "mat1 and mat2": "One-hot rows have V entries, one for each row of the table.",
        "must match the size": "One-hot rows have V entries, one for each row of the table.",
        "index out of range": "ids may have any number of axes: do not loop over a fixed number.",
        "values to unpack": "ids may have any number of axes: do not count on two.",
    }

    def call(ids: Tensor, table: Tensor) -> Tensor:
        return call_answer("lookup", lookup, ids, table, hints=hints)

    table = torch.arange(1.0, 11.0)[:, None] ** 2 * torch.tensor([1.0, 10.0, 100.0])  # (10, 3)
    ids = torch.tensor([7, 3, 7, 5])
    got = call(ids, table)
    check_shape("lookup of four ids", got, {"T": 4, "D": 3})
    place = torch.unique(ids, return_inverse=True)[1]
    wrong = {
        "the words of the batch are numbered anew, and only the first rows are used": table[place],
        "each position has its row: the table is read as one of positions": table[:4],
        "the vectors come in the order of the sorted ids": table[ids.sort().values],
        "the id is used as a number: each vector is a multiple of one row": (
            ids[:, None].float() * table[1]
        ),
        "the id is used as a number: each vector is a multiple of the first row": (
            ids[:, None].float() * table[0]
        ),
        "rows are counted from 1": table[ids - 1],
    }
    check_close("lookup([7, 3, 7, 5])", got, table[ids], wrong)
    for neighbours in ([9, 7], [0, 7], [7, 7]):
        got = call(torch.tensor(neighbours), table)
        check_close(f"lookup({neighbours})", got, table[neighbours])

    ids = torch.tensor([[4, 0, 9], [1, 9, 2]])
    got = call(ids, table)
    _require(
        isinstance(got, Tensor) and tuple(got.shape) != (6, 3),
        "lookup of (2, 3) ids gives (6, 3): the axes of ids are lost. Keep them: (2, 3, D).",
    )
    check_shape("lookup of a batch", got, {"B": 2, "T": 3, "D": 3})
    check_close("lookup of a batch", got, table[ids])

    low = table[:, :2].to(torch.bfloat16)
    got = call(ids, low)
    check_dtype("lookup", got, torch.bfloat16, "The vectors have the dtype of the table.")
    check_close("lookup in bfloat16", got, low[ids])

    leaf = table.clone().requires_grad_()
    got = call(ids, leaf)
    _require(got.requires_grad, "lookup loses the gradient: is there a detach, or no_grad?")
    (gradient,) = torch.autograd.grad(got.sum(), leaf)
    (expected,) = torch.autograd.grad(F.embedding(ids, leaf).sum(), leaf)
    check_close("the gradient of the table", gradient, expected)

    for outside in (10, -1):
        got, error = _tried(lookup, torch.tensor([4, outside]), table)
        if error is not None:
            continue
        row = got[1] if isinstance(got, Tensor) and got.dim() == 2 else torch.zeros(3)
        what = "a vector"
        if torch.equal(row, table[9]):
            what = "the last row"
        elif not bool(row.any()):
            what = "a vector of zeros"
        raise AssertionError(
            f"lookup gives {what} for the id {outside}, and the table has the rows 0 to 9: an id "
            "outside must raise an error."
        )
    _done("lookup")


# ---------------------------------------------------------------- 6. the gradient of a table

BY_HAND = "Write the sum yourself, without autograd."
NO_ONE_HOT = "A one-hot tensor has B·T·V numbers: do without it."


def check_table_gradient(table_gradient: Callable) -> None:
    """Repeated ids, absent ids, padding, axes, dtype."""
    shortcuts = dict.fromkeys(
        ("grad", "backward", "vjp", "jacrev", "jacobian", "embedding", "Embedding"), BY_HAND
    )
    check_not_used("table_gradient", table_gradient, {**LIBRARIES, **shortcuts})
    check_not_used("table_gradient", table_gradient, dict.fromkeys(("one_hot", "eye"), NO_ONE_HOT))
    hints = {
        "view size is not compatible": "`view` needs contiguous memory: `reshape` does not.",
        "index_add_": "index_add_ wants ids with one axis, and rows with two of one dtype.",
        "Index is supposed to be": "index_add_ wants ids with one axis: reshape them.",
        "shape mismatch": "The rows need one axis for all places: reshape both.",
        "Index tensor must have the same": "ids need as many axes as upstream here.",
        "index out of range": "ids may have any number of axes: do not loop over a fixed number.",
        "values to unpack": "ids may have any number of axes: do not count on two.",
    }

    def call(ids: Tensor, upstream: Tensor, size: int, **options: int | None) -> Tensor:
        kept, given = ids.clone(), upstream.clone()
        got = call_answer(
            "table_gradient", table_gradient, kept, given, size, hints=hints, **options
        )
        _require(
            torch.equal(kept, ids) and torch.equal(given, upstream),
            "table_gradient changes its inputs: build a new tensor instead.",
        )
        return got

    ids = torch.tensor([2, 4, 2, 1, 2])
    upstream = torch.tensor([[1.0, 2.0], [3.0, 5.0], [10.0, 20.0], [7.0, 9.0], [100.0, 300.0]])
    got = call(ids, upstream, 6)
    if isinstance(got, Tensor) and tuple(got.shape) == (3, 2):
        raise AssertionError(
            "table_gradient gives one row for each word of the batch, (3, 2): it must have a row "
            "for each of the V = 6 tokens; absent ones have zeros."
        )
    check_shape("table_gradient", got, {"V": 6, "D": 2})
    right = torch.zeros(6, 2).index_add(0, ids, upstream)
    last, first, counts = torch.zeros(6, 2), torch.zeros(6, 2), torch.bincount(ids, minlength=6)
    for i, row in zip(ids.tolist(), upstream, strict=True):
        last[i] = row
    for i, row in reversed(list(zip(ids.tolist(), upstream, strict=True))):
        first[i] = row
    without_first, without_last = right.clone(), right.clone()
    without_first[0], without_last[5] = 1.0, 1.0
    wrong = {
        "only one place of a repeated word counts: `gradient[ids] += ...` adds once for each row": (
            last
        ),
        "only the first place of a repeated word counts": first,
        "the mean over the places is taken, not the sum": right / counts.clamp_min(1)[:, None],
        "the places are counted, and the values of upstream are not used": (
            counts[:, None].expand(6, 2).float()
        ),
        "the sum is divided by the number of tokens": right / 5,
    }
    check_close("table_gradient of a repeated word", got, right, wrong)

    ids = torch.tensor([0, 3, 0, 1])
    upstream = torch.tensor([[1.0, 2.0], [3.0, 5.0], [10.0, 20.0], [7.0, 9.0]])
    right = torch.zeros(5, 2).index_add(0, ids, upstream)
    keep = torch.ones(5, 1)
    keep[0] = 0
    wrong = {
        "row 0 is set to zero although there is no padding": right * keep,
        "only one place of a repeated word counts": torch.zeros(5, 2).index_put((ids,), upstream),
    }
    check_close("table_gradient without padding", call(ids, upstream, 5), right, wrong)
    check_close(
        "table_gradient, padding_id=None", call(ids, upstream, 5, padding_id=None), right, wrong
    )
    one = torch.ones(5, 1)
    one[3] = 0
    wrong = {
        "padding_id is not used": right,
        "row 0 is set to zero, whatever padding_id is": right * keep,
        "padding_id is a token, and a place in the sentence is set to zero": right
        - torch.zeros(5, 2).index_add(0, ids[3:4], upstream[3:4]),
    }
    got = call(ids, upstream, 5, padding_id=3)
    check_close("table_gradient, padding_id=3", got, right * one, wrong)
    wrong = {
        "padding_id=0 counts as no padding: 0 is false in Python, ask `is not None`": right,
    }
    got = call(ids, upstream, 5, padding_id=0)
    check_close("table_gradient, padding_id=0", got, right * keep, wrong)

    ids = torch.tensor([[1, 2, 1], [3, 1, 0]])
    upstream = torch.arange(12.0).reshape(2, 3, 2)
    got = call(ids, upstream, 4)
    _require(
        isinstance(got, Tensor) and got.dim() == 2,
        "table_gradient of a batch must be (V, D): sum over all places of all sentences. "
        f"Got {tuple(got.shape) if isinstance(got, Tensor) else type(got).__name__}.",
    )
    right = torch.zeros(4, 2).index_add(0, ids.flatten(), upstream.flatten(0, 1))
    wrong = {
        "only the first sentence counts": torch.zeros(4, 2).index_add(0, ids[0], upstream[0]),
        "only the last sentence counts": torch.zeros(4, 2).index_add(0, ids[1], upstream[1]),
    }
    check_close("table_gradient of a batch", got, right, wrong)
    turned = upstream.permute(2, 1, 0).contiguous().permute(2, 1, 0)  # not contiguous
    check_close("table_gradient of a tensor that is not contiguous", call(ids, turned, 4), right)
    got = call(ids, upstream.double(), 4)
    check_dtype("table_gradient", got, torch.float64, "It has the dtype of upstream.")
    check_close("table_gradient in float64", got, right.double())
    _done("table_gradient")
