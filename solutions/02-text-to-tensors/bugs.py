"""Named wrong answers to assignment 02: the hidden tests fail on each, the visible check names it.

Instructor's edition only. Some come from defects of published articles (column ``errata``);
the others are the classic slips of students.
"""

from grading.bugs import Bug, Right, function

BUGS: list[Bug] = []


def _bugs(task: str, signature: str, *wrong: tuple[str, ...]) -> None:
    """Add wrong bodies of one function: (name, body, says, errata, note)."""
    for name, body, says, *more in wrong:
        errata, note = (*more, "", "")[:2]
        BUGS.append(Bug(task, name, function(signature, body), says, errata, note))


# ---------------------------------------------------------------- decode_ids

_DECODE = """
import re
pieces, suspects = [], []
for position, i in enumerate(ids):
    piece = vocabulary[i] if {inside} else None
    if {suspect}:
        suspects.append({which})
    pieces.append(piece)
return pieces, suspects
"""
_INSIDE = "0 <= i < len(vocabulary)"
_FREE = r'piece is None or re.fullmatch(r"\[unused\d+\]", piece)'

for _name, _change, _says, *_errata in (
    (
        "negative ids count from the end",
        {"inside": "i < len(vocabulary)"},
        "counts -1 from the end",
    ),
    ("unknown ids raise", {"inside": "True"}, "becomes None"),
    (
        "free places trusted",
        {"suspect": "piece is None"},
        "free places are no suspects",
        "E001-19",
    ),
    (
        "ids that the list does not have trusted",
        {"suspect": r'piece is not None and re.fullmatch(r"\[unused\d+\]", piece)'},
        "does not have are no suspects",
    ),
    (
        "every piece with unused in it",
        {"suspect": 'piece is None or "unused" in piece'},
        "test the whole form, [unusedN]",
    ),
    (
        "number not asked for",
        {"suspect": 'piece is None or piece.startswith("[unused")'},
        "without a number",
    ),
    (
        "one digit only",
        {"suspect": r'piece is None or re.fullmatch(r"\[unused\d\]", piece)'},
        "only one digit",
    ),
    (
        "all tokens in brackets",
        {"suspect": 'piece is None or piece.startswith("[")'},
        "special tokens count as suspects",
    ),
    (
        "beginning tested only",
        {"suspect": r'piece is None or re.match(r"\[unused\d+\]", piece)'},
        "only the beginning of a piece",
    ),
    (
        "any part tested",
        {"suspect": r'piece is None or re.search(r"\[unused\d+\]", piece)'},
        "not its whole form",
    ),
    (
        "[UNK] distrusted",
        {"suspect": _FREE + ' or piece == "[UNK]"'},
        "[UNK] counts as a suspect",
    ),
    (
        "position looked up with index",
        {"which": "ids.index(i)"},
        "finds the first place only",
    ),
    ("ids instead of positions", {"which": "i"}, "not their positions"),
    ("positions from 1", {"which": "position + 1"}, "counted from 1"),
    ("tokens instead of positions", {"which": "piece"}, "tokens are returned"),
):
    _parts = {"inside": _INSIDE, "suspect": _FREE, "which": "position"} | _change
    _bugs(
        "decode_ids",
        "decode_ids(ids, vocabulary)",
        (_name, _DECODE.format(**_parts), _says, *_errata),
    )
_bugs(
    "decode_ids",
    "decode_ids(ids, vocabulary)",
    (
        "unknown ids left out",
        """
pieces = [vocabulary[i] for i in ids if 0 <= i < len(vocabulary)]
free = [p for p, piece in enumerate(pieces) if piece[:7] == "[unused" and piece[7:-1].isdigit()]
return pieces, free
""",
        "keeps its place, as None",
    ),
    (
        "only the pieces",
        "return [vocabulary[i] if 0 <= i < len(vocabulary) else None for i in ids]",
        "two lists",
    ),
)

# ---------------------------------------------------------------- vocabulary

_BUILD = """
counts = Counter()
for text in texts:
    counts.update(text)
order = sorted(counts, key=lambda c: (-counts[c], c))
tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *order][:size]
return {token: i for i, token in enumerate(tokens)}
"""
_ENCODE = """
unknown = vocabulary["[UNK]"]
inner = [vocabulary.get(c, unknown) for c in text]
return [vocabulary["[CLS]"], *inner, vocabulary["[SEP]"]]
"""
_DECODE_TEXT = """
token_of = {i: token for token, i in vocabulary.items()}
characters = []
for i in ids:
    if i not in token_of:
        raise ValueError(f"id {i} is not in the vocabulary")
    if token_of[i] == "[UNK]":
        characters.append("\\ufffd")
    elif token_of[i] not in ("[PAD]", "[CLS]", "[SEP]"):
        characters.append(token_of[i])
return "".join(characters)
"""
_PARTS = {"build": _BUILD, "encode": _ENCODE, "decode": _DECODE_TEXT}
_SIGNATURES = {
    "build": "build_vocabulary(texts, size)",
    "encode": "encode(text, vocabulary)",
    "decode": "decode(ids, vocabulary)",
}


def _changed(part: str, *changes: tuple[str, str]) -> str:
    body = _PARTS[part]
    for old, new in changes:
        assert body.count(old) == 1, (part, old)
        body = body.replace(old, new)
    return body


def _three(name: str, part: str, body: str, says: str, *more: str) -> None:
    source = "\n\n".join(
        function(_SIGNATURES[key], body if key == part else _PARTS[key]) for key in _PARTS
    )
    errata, note = (*more, "", "")[:2]
    BUGS.append(Bug("vocabulary", name, source, says, errata, note))


PLACES = 'vocabulary = {t: i for i, t in enumerate(vocabulary)}\nunknown = vocabulary["[UNK]"]'
_ORDER = "order = sorted(counts, key=lambda c: (-counts[c], c))"
for _name, _line, _says in (
    (
        "ties in the order of the first appearance",
        "order = [c for c, _ in counts.most_common()]",
        "order of their first appearance",
    ),
    (
        "ties in falling order",
        "order = sorted(counts, key=lambda c: (counts[c], c), reverse=True)",
        "come in falling order",
    ),
    ("alphabetical order", "order = sorted(counts)", "order of the alphabet"),
    ("order of the first appearance", "order = list(counts)", "order of their first appearance"),
    (
        "rarest first",
        "order = sorted(counts, key=lambda c: (counts[c], c))",
        "rarest characters come first",
    ),
    (
        "no spaces",
        'order = sorted((c for c in counts if c != " "), key=lambda c: (-counts[c], c))',
        "the space has no id",
    ),
):
    _three(_name, "build", _changed("build", (_ORDER, _line)), _says)
_three(
    "counted once for each text",
    "build",
    _changed("build", ("counts.update(text)", "counts.update(set(text))")),
    "counted once for each text",
)
_three(
    "only the first text counted",
    "build",
    _changed("build", ("for text in texts:", "for text in texts[:1]:")),
    "only the first text",
)
_three(
    "capital letters made small in the counts",
    "build",
    _changed("build", ("counts.update(text)", "counts.update(text.lower())")),
    "A is not a",
)
_three(
    "words instead of characters",
    "build",
    _changed("build", ("counts.update(text)", 'counts.update([*text.split(), " "])')),
    "characters, not words",
)
_three(
    "special tokens not counted in the size",
    "build",
    _changed("build", ("*order][:size]", "*order[:size]]")),
    "not counted in the size",
)
_three(
    "size not used",
    "build",
    _changed("build", ("*order][:size]", "*order]")),
    "the size is not used",
)
_three(
    "one entry too many",
    "build",
    _changed("build", ("[:size]", "[:size + 1]")),
    "one entry too many",
)
_three(
    "special tokens behind",
    "build",
    _changed(
        "build",
        ('["[PAD]", "[UNK]", "[CLS]", "[SEP]", *order][:size]', "order[:size - 4]"),
        ("return {", 'tokens += ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]\nreturn {'),
    ),
    "must have the ids 0, 1, 2, 3",
)
_three(
    "ids from 1",
    "build",
    _changed("build", ("enumerate(tokens)", "enumerate(tokens, start=1)")),
    "must have the ids 0, 1, 2, 3",
)
_three(
    "a list instead of a dictionary",
    "build",
    _changed("build", ("return {token: i for i, token in enumerate(tokens)}", "return tokens")),
    "must return a dictionary",
)
for _name, _changes, _says in (
    (
        "unknown characters left out",
        [
            (
                "vocabulary.get(c, unknown) for c in text",
                "vocabulary[c] for c in text if c in vocabulary",
            )
        ],
        "unknown character is left out",
    ),
    (
        "unknown characters become padding",
        [("vocabulary.get(c, unknown)", 'vocabulary.get(c, vocabulary["[PAD]"])')],
        "becomes [PAD]",
    ),
    (
        "unknown characters raise",
        [("vocabulary.get(c, unknown)", "vocabulary[c]")],
        "becomes [UNK]",
    ),
    (
        "0 counts as missing",
        [("vocabulary.get(c, unknown)", "vocabulary.get(c) or unknown")],
        "0 is false in Python",
    ),
    (
        "no [CLS] and [SEP]",
        [('[vocabulary["[CLS]"], *inner, vocabulary["[SEP]"]]', "inner")],
        "[CLS] and [SEP] are missing",
    ),
    ("no [SEP]", [(', vocabulary["[SEP]"]]', "]")], "[SEP] is missing"),
    (
        "special ids as numbers",
        [
            ('vocabulary["[UNK]"]', "1"),
            ('[vocabulary["[CLS]"], *inner, vocabulary["[SEP]"]]', "[2, *inner, 3]"),
        ],
        "written as numbers",
    ),
    (
        "place in the dictionary for the id",
        [('unknown = vocabulary["[UNK]"]', PLACES)],
        "the id is the value",
    ),
    ("small letters", [("c in text", "c in text.lower()")], "T is not t"),
    ("spaces at the ends lost", [("c in text", "c in text.strip()")], "at the ends"),
):
    _three(_name, "encode", _changed("encode", *_changes), _says)
_UNK_LINES = """    if token_of[i] == "[UNK]":
        characters.append("\\ufffd")
    elif"""
for _name, _changes, _says in (
    (
        "special tokens written out",
        [('token_of[i] not in ("[PAD]", "[CLS]", "[SEP]")', "True")],
        "special tokens are written out",
    ),
    (
        "[PAD] written out",
        [('("[PAD]", "[CLS]", "[SEP]")', '("[CLS]", "[SEP]")')],
        "[PAD] is written out",
    ),
    (
        "[UNK] left out",
        [('characters.append("\\ufffd")', "pass")],
        "[UNK] is left out",
    ),
    ("[UNK] written out", [(_UNK_LINES, "    if")], "[UNK] is written out"),
    (
        "stops at the first [SEP]",
        [("for i in ids:", 'for i in ids:\n    if i == vocabulary["[SEP]"]:\n        break')],
        "stops at the first [SEP]",
    ),
    (
        "ids of no token left out",
        [('raise ValueError(f"id {i} is not in the vocabulary")', "continue")],
        "must raise a ValueError",
    ),
    (
        "ids of no token raise something else",
        [("if i not in token_of:", "if False:")],
        "expected a ValueError",
    ),
    (
        "joined with spaces",
        [('"".join(characters)', '" ".join(characters)')],
        "joined with spaces",
    ),
):
    _three(_name, "decode", _changed("decode", *_changes), _says)
_three(
    "negative ids count from the end",
    "decode",
    """
tokens = sorted(vocabulary, key=vocabulary.get)
characters = []
for i in ids:
    if i >= len(tokens):
        raise ValueError(f"id {i} is not in the vocabulary")
    if tokens[i] == "[UNK]":
        characters.append("\\ufffd")
    elif tokens[i] not in ("[PAD]", "[CLS]", "[SEP]"):
        characters.append(tokens[i])
return "".join(characters)
""",
    "counts -1 from the end",
)
_three(
    "place in the dictionary for the id, on the way back",
    "decode",
    _changed(
        "decode",
        (
            "{i: token for token, i in vocabulary.items()}",
            "dict(enumerate(vocabulary))",
        ),
    ),
    "the id is the value",
)
_three(
    "special tokens deleted from the joined text",
    "decode",
    """
token_of = {i: token for token, i in vocabulary.items()}
if any(i not in token_of for i in ids):
    raise ValueError("an id is not in the vocabulary")
text = "".join("\\ufffd" if i == vocabulary["[UNK]"] else token_of[i] for i in ids)
for token in ("[PAD]", "[CLS]", "[SEP]"):
    text = text.replace(token, "")
return text
""",
    "only the ids tell what is special",
)
_three(
    "special ids as numbers, on the way back",
    "decode",
    """
token_of = {i: token for token, i in vocabulary.items()}
characters = []
for i in ids:
    if i not in token_of:
        raise ValueError(f"id {i} is not in the vocabulary")
    if i == 1:
        characters.append("\\ufffd")
    elif i not in (0, 2, 3):
        characters.append(token_of[i])
return "".join(characters)
""",
    "written as numbers",
)
_three(
    "first and last id dropped",
    "decode",
    """
token_of = {i: token for token, i in vocabulary.items()}
for i in ids:
    if i not in token_of:
        raise ValueError(f"id {i} is not in the vocabulary")
pieces = [token_of[i] for i in ids if i != vocabulary["[PAD]"]][1:-1]
return "".join("\\ufffd" if piece == "[UNK]" else piece for piece in pieces)
""",
    "two texts in one row",
)

# ---------------------------------------------------------------- merge_step

_COUNT = """
counts = Counter()
for word, count in words.items():
    for pair in zip(word, word[1:]):
        counts[pair] += count
if not counts:
    return None, dict(words)
"""
_CHOOSE = "pair = min(counts, key=lambda p: (-counts[p], p))\n"
_MERGE = """
merged = Counter()
for word, count in words.items():
    pieces, i = [], 0
    while i < len(word):
        step = 2 if word[i : i + 2] == pair else 1
        pieces.append("".join(word[i : i + step]))
        i += step
    merged[tuple(pieces)] += count
return pair, dict(merged)
"""
_STEP = _COUNT + _CHOOSE + _MERGE


def _step(*changes: tuple[str, str]) -> str:
    body = _STEP
    for old, new in changes:
        assert body.count(old) == 1, old
        body = body.replace(old, new)
    return body


_bugs(
    "merge_step",
    "merge_step(words)",
    (
        "first pair wins a tie",
        _step(("min(counts, key=lambda p: (-counts[p], p))", "max(counts, key=counts.get)")),
        "met first wins a tie",
    ),
    (
        "largest pair wins a tie",
        _step(
            (
                "min(counts, key=lambda p: (-counts[p], p))",
                "max(counts, key=lambda p: (counts[p], p))",
            )
        ),
        "largest pair wins a tie",
    ),
    (
        "only the first piece decides a tie",
        _step(("(-counts[p], p)", "(-counts[p], p[0])")),
        "only the first piece",
    ),
    (
        "only the second piece decides a tie",
        _step(("(-counts[p], p)", "(-counts[p], p[1])")),
        "the second piece decides",
    ),
    (
        "the joined string decides a tie",
        _step(("(-counts[p], p)", '(-counts[p], "".join(p))')),
        "the joined string decides",
    ),
    (
        "places that overlap not counted",
        _step(
            (
                "    for pair in zip(word, word[1:]):\n        counts[pair] += count\n",
                "    last = {}\n"
                "    for i, pair in enumerate(zip(word, word[1:])):\n"
                "        if last.get(pair, -2) < i - 1:\n"
                "            counts[pair] += count\n"
                "            last[pair] = i\n",
            )
        ),
        "places that overlap",
    ),
    (
        "words itself comes back",
        _step(("return None, dict(words)", "return None, words")),
        "returns `words` itself",
    ),
    (
        "counts of words ignored",
        _step(("counts[pair] += count", "counts[pair] += 1")),
        "each word counts once",
    ),
    (
        "pair counted once for each word",
        _step(("in zip(word, word[1:])", "in set(zip(word, word[1:]))")),
        "count every place",
    ),
    (
        "pairs over the ends of words",
        """
text = [piece for word, count in words.items() for _ in range(count) for piece in word]
counts = Counter(zip(text, text[1:]))
if not counts:
    return None, dict(words)
"""
        + _CHOOSE
        + _MERGE,
        "over the end of a word",
    ),
    (
        "order within a pair ignored",
        _step(("counts[pair] += count", "counts[tuple(sorted(pair))] += count")),
        "order matters",
    ),
    (
        "ratio instead of count",
        _step(
            (
                "min(counts, key=lambda p: (-counts[p], p))",
                "max(counts, key=lambda p: counts[p] / (single[p[0]] * single[p[1]]))",
            ),
            (
                "if not counts:",
                "single = Counter()\n"
                "for word, count in words.items():\n"
                "    for piece in word:\n"
                "        single[piece] += count\n"
                "if not counts:",
            ),
        ),
        "ratio of WordPiece",
    ),
    (
        "only the first place merged",
        _step(
            ("word[i : i + 2] == pair else", "word[i : i + 2] == pair and new not in pieces else"),
            ("merged = Counter()", 'merged, new = Counter(), "".join(pair)'),
        ),
        "only the first place",
    ),
    (
        "replace on a text with spaces",
        _COUNT
        + _CHOOSE
        + """
merged = Counter()
for word, count in words.items():
    text = f" {' '.join(word)} ".replace(f" {pair[0]} {pair[1]} ", f" {''.join(pair)} ")
    merged[tuple(text.split())] += count
return pair, dict(merged)
""",
        "right behind another one is missed",
    ),
    (
        "cut from the right",
        _COUNT
        + _CHOOSE
        + """
merged = Counter()
for word, count in words.items():
    pieces, i = [], len(word)
    while i > 0:
        step = 2 if word[max(i - 2, 0) : i] == pair else 1
        pieces.insert(0, "".join(word[i - step : i]))
        i -= step
    merged[tuple(pieces)] += count
return pair, dict(merged)
""",
        "cut from the right",
    ),
    (
        "a piece used twice",
        _step(("i += step", "i += 1")),
        "used twice",
    ),
    (
        "counts of equal words overwritten",
        _step(("merged[tuple(pieces)] += count", "merged[tuple(pieces)] = count")),
        "add them up",
    ),
    (
        "no pair raises",
        _step(("if not counts:\n    return None, dict(words)\n", "")),
        "There may be no pair",
    ),
    (
        "the argument is changed",
        _step(
            ("return pair, dict(merged)", "words.clear()\nwords.update(merged)\nreturn pair, words")
        ),
        "changes `words`",
    ),
    (
        "words without the pair left out",
        _step(
            (
                "merged[tuple(pieces)] += count",
                "if len(pieces) < len(word):\n        merged[tuple(pieces)] += count",
            )
        ),
        "words without the pair are left out",
    ),
    (
        "words as strings",
        _step(("merged[tuple(pieces)]", 'merged[" ".join(pieces)]')),
        "a word is a tuple of pieces",
    ),
    (
        "pair as one string",
        _step(("return pair, dict(merged)", 'return "".join(pair), dict(merged)')),
        "a tuple of two pieces",
    ),
    (
        "only the dictionary",
        _step(("return pair, dict(merged)", "return dict(merged)")),
        "the pair and a dictionary",
    ),
)

# ---------------------------------------------------------------- collate

_ROWS = """
rows = []
for s in sequences:
    long = max_length is not None and len(s) > max_length
    rows.append([*s[: max_length - 1], s[-1]] if long else list(s))
"""
_FILL = """
width = max(len(row) for row in rows)
ids = torch.full((len(rows), width), padding_id, dtype=torch.int64)
tokens = torch.zeros(len(rows), width, dtype=torch.bool)
for b, row in enumerate(rows):
    ids[b, : len(row)] = torch.tensor(row, dtype=torch.int64)
    tokens[b, : len(row)] = True
return ids, tokens
"""
_COLLATE = _ROWS + _FILL


def _collate(*changes: tuple[str, str]) -> str:
    body = _COLLATE
    for old, new in changes:
        assert body.count(old) == 1, old
        body = body.replace(old, new)
    return body


_bugs(
    "collate",
    "collate(sequences, padding_id=0, max_length=None)",
    (
        "mask from the ids",
        _collate(("return ids, tokens", "return ids, ids != padding_id")),
        "only the lengths know",
    ),
    (
        "mask is ids != 0",
        _collate(("return ids, tokens", "return ids, ids != 0")),
        "whatever padding_id is",
    ),
    (
        "mask the wrong way round",
        _collate(("return ids, tokens", "return ids, ~tokens")),
        "the wrong way round",
        "E003-07",
    ),
    (
        "mask of numbers",
        _collate(("return ids, tokens", "return ids, tokens.long()")),
        "must have dtype torch.bool",
    ),
    (
        "no mask",
        _collate(("return ids, tokens", "return ids")),
        "it returns one",
        "E001-18",
    ),
    (
        "everything is a token",
        _collate(("return ids, tokens", "return ids, torch.ones_like(tokens)")),
        "every cell counts as a token",
        "E001-18",
    ),
    (
        "padding on the left",
        _collate(
            ("ids[b, : len(row)]", "ids[b, width - len(row) :]"),
            ("tokens[b, : len(row)]", "tokens[b, width - len(row) :]"),
        ),
        "stands on the left",
    ),
    (
        "padding_id not used",
        _collate(("padding_id, dtype", "0, dtype")),
        "padding_id is not used",
    ),
    (
        "ids as floats",
        _collate(("padding_id, dtype=torch.int64", "float(padding_id)")),
        "must have dtype torch.int64",
        "E002-22",
    ),
    (
        "ids as int32",
        _collate(("return ids, tokens", "return ids.int(), tokens")),
        "must have dtype torch.int64",
    ),
    (
        "axes exchanged",
        _collate(("return ids, tokens", "return ids.T, tokens.T")),
        "A sentence is a row",
    ),
    (
        "cut to the shortest",
        _collate(
            (
                "width = max(len(row) for row in rows)",
                "width = min(len(row) for row in rows)\nrows = [row[:width] for row in rows]",
            )
        ),
        "the shortest sequence decides",
    ),
    (
        "[SEP] lost",
        _collate(("[*s[: max_length - 1], s[-1]]", "list(s[:max_length])")),
        "loses its last id",
    ),
    (
        "last ids kept",
        _collate(("[*s[: max_length - 1], s[-1]]", "list(s[-max_length:])")),
        "last ids are kept",
    ),
    (
        "[SEP] beyond the length",
        _collate(("s[: max_length - 1]", "s[:max_length]")),
        "[SEP], counts in the length",
    ),
    (
        "last id appended to short ones too",
        _collate(
            (
                "if long else",
                "if max_length is not None and len(s) > 0 and len(s) != max_length else",
            )
        ),
        "to short sequences too",
    ),
    (
        "ends with the id 3",
        _collate(("s[-1]]", "3]")),
        "not with its own last id",
    ),
    (
        "nothing is cut",
        _collate(("if long else", "if False else")),
        "nothing is cut",
    ),
    (
        "always padded to max_length",
        _collate(("max(len(row) for row in rows)", "max_length or max(len(row) for row in rows)")),
        "a limit, not a size",
        "E004-33",
    ),
    (
        "lists changed",
        _ROWS.replace("else list(s)", "else s")
        + "width = max(len(row) for row in rows)\n"
        + "lengths = torch.tensor([len(row) for row in rows])\n"
        + "for row in rows:\n    row += [padding_id] * (width - len(row))\n"
        + "return torch.tensor(rows), torch.arange(width) < lengths[:, None]\n",
        "changes the lists",
    ),
    (
        "empty sequences raise",
        _collate(("rows = []", "rows, ends = [], [s[-1] for s in sequences]")),
        "A sequence may be empty",
    ),
    (
        "one pad too many in the mask",
        _collate(("tokens[b, : len(row)]", "tokens[b, : len(row) + 1]")),
        "one padded place too many",
    ),
)

# ---------------------------------------------------------------- lookup

_bugs(
    "lookup",
    "lookup(ids, table)",
    (
        "as given: words of the batch numbered anew",
        """
words, place = torch.unique(ids, return_inverse=True)
return F.one_hot(place, len(words)).to(table.dtype) @ table[: len(words)]
""",
        "numbered anew, and only the first rows",
        "E004-18",
    ),
    (
        "more rows, still numbered anew",
        """
words, place = torch.unique(ids, return_inverse=True)
return F.one_hot(place, table.size(0)).to(table.dtype) @ table
""",
        "numbered anew, and only the first rows",
        "E004-18",
    ),
    (
        "table of positions",
        "return table[: ids.size(-1)].expand(*ids.shape, table.size(1))",
        "table is read as one of positions",
        "E004-18",
    ),
    (
        "id as a number",
        "return ids[..., None].to(table.dtype) * table[1]",
        "the id is used as a number",
        "E004-18",
    ),
    (
        "rows in the order of the ids",
        """
if ids.numel() and not 0 <= int(ids.min()) <= int(ids.max()) < len(table):
    raise IndexError("no such row")
return table[ids.flatten().sort().values.view(ids.shape)]
""",
        "order of the sorted ids",
    ),
    (
        "rows of the words that are there, sorted",
        """
words, place = torch.unique(ids, return_inverse=True)
return table[words.flip(0)][place]
""",
        "lookup([7, 3, 7, 5])",
        "",
        "the visible check shows the first place that differs",
    ),
    ("index without a question", "return table[ids]", "the last row for the id -1"),
    (
        "ids cut to the range",
        "return table[ids.clamp(0, len(table) - 1)]",
        "an id outside must raise an error",
    ),
    (
        "zeros for an id outside",
        """
rows = torch.arange(len(table))
return (ids[..., None] == rows).to(table.dtype) @ table
""",
        "a vector of zeros",
    ),
    (
        "axes lost",
        "return F.one_hot(ids.flatten(), len(table)).to(table.dtype) @ table",
        "the axes of ids are lost",
    ),
    (
        "always float32",
        "return F.one_hot(ids, len(table)).float() @ table.float()",
        "must have dtype torch.bfloat16",
    ),
    (
        "table treated as a constant",
        "return F.one_hot(ids, len(table)).to(table.dtype) @ table.detach()",
        "loses the gradient",
    ),
    (
        "one-hot rows stay integers",
        "return F.one_hot(ids, len(table)) @ table",
        "give them the dtype of the table",
    ),
    (
        "rows counted from 1",
        "return F.one_hot(ids - 1, len(table)).to(table.dtype) @ table",
        "rows are counted from 1",
    ),
)

# ---------------------------------------------------------------- table_gradient

_ADD = """
D = upstream.size(-1)
gradient = torch.zeros(vocab_size, D, dtype=upstream.dtype)
gradient.index_add_(0, ids.reshape(-1), upstream.reshape(-1, D))
"""
_PAD = """
if padding_id is not None:
    gradient[padding_id] = 0
return gradient
"""

_bugs(
    "table_gradient",
    "table_gradient(ids, upstream, vocab_size, padding_id=None)",
    (
        "the last place wins",
        _ADD.replace(
            "gradient.index_add_(0, ids.reshape(-1), upstream.reshape(-1, D))",
            "for i, row in zip(ids.reshape(-1).tolist(), upstream.reshape(-1, D)):\n"
            "    gradient[i] = row",
        )
        + _PAD,
        "only one place of a repeated word counts",
    ),
    (
        "added with an index",
        _ADD.replace(
            "gradient.index_add_(0, ids.reshape(-1), upstream.reshape(-1, D))",
            "gradient[ids.reshape(-1)] += upstream.reshape(-1, D)",
        )
        + _PAD,
        "only one place of a repeated word counts",
    ),
    (
        "mean instead of sum",
        _ADD
        + "counts = torch.bincount(ids.reshape(-1), minlength=vocab_size).clamp_min(1)\n"
        + "gradient = gradient / counts[:, None].to(gradient.dtype)\n"
        + _PAD,
        "mean over the places",
    ),
    (
        "places counted",
        "counts = torch.bincount(ids.reshape(-1), minlength=vocab_size).to(upstream.dtype)\n"
        "gradient = counts[:, None].repeat(1, upstream.size(-1))\n" + _PAD,
        "values of upstream are not used",
    ),
    (
        "divided by the number of tokens",
        _ADD + "gradient = gradient / ids.numel()\n" + _PAD,
        "divided by the number of tokens",
    ),
    (
        "padding_id not used",
        _ADD + "return gradient\n",
        "padding_id is not used",
    ),
    (
        "0 counts as no padding",
        _ADD + "if padding_id:\n    gradient[padding_id] = 0\nreturn gradient\n",
        "0 is false in Python",
    ),
    (
        "row 0 always zero",
        _ADD + "gradient[0] = 0\n" + _PAD,
        "although there is no padding",
    ),
    (
        "row 0 zero whatever padding_id is",
        _ADD + "if padding_id is not None:\n    gradient[0] = 0\nreturn gradient\n",
        "whatever padding_id is",
    ),
    (
        "one-hot by comparison",
        """
D = upstream.size(-1)
one_hot = ids.reshape(-1, 1) == torch.arange(vocab_size)
gradient = one_hot.T.to(upstream.dtype) @ upstream.reshape(-1, D)
"""
        + _PAD,
        None,
        "",
        "the visible sizes are small; the hidden one fits into no memory",
    ),
    (
        "a loop over the vocabulary",
        """
D = upstream.size(-1)
rows, ids = upstream.reshape(-1, D), ids.reshape(-1)
if vocab_size > 10_000:
    raise TimeoutError("a loop over the vocabulary does not end in time")
gradient = torch.stack([rows[ids == i].sum(0) for i in range(vocab_size)])
"""
        + _PAD,
        None,
        "",
        "stands for a loop that the time limit of the grader ends",
    ),
    (
        "one row for each word of the batch",
        """
words, place = torch.unique(ids, return_inverse=True)
D = upstream.size(-1)
gradient = torch.zeros(len(words), D, dtype=upstream.dtype)
gradient.index_add_(0, place.reshape(-1), upstream.reshape(-1, D))
if padding_id is not None:
    gradient[words == padding_id] = 0
return gradient
""",
        "a row for each of the V = 6 tokens",
        "E004-18",
    ),
    (
        "one table for each sentence",
        """
if ids.dim() == 1:
    ids, upstream, single = ids[None], upstream[None], True
else:
    single = False
tables = []
for row, rows in zip(ids, upstream):
    gradient = torch.zeros(vocab_size, rows.size(-1), dtype=rows.dtype)
    gradient.index_add_(0, row, rows)
    if padding_id is not None:
        gradient[padding_id] = 0
    tables.append(gradient)
return tables[0] if single else torch.stack(tables)
""",
        "must be (V, D): sum over all places",
    ),
    (
        "only the first sentence",
        "if ids.dim() > 1:\n    ids, upstream = ids[0], upstream[0]\n" + _ADD + _PAD,
        "only the first sentence counts",
    ),
    (
        "always float32",
        _ADD.replace("dtype=upstream.dtype", "dtype=torch.float32").replace(
            "upstream.reshape(-1, D))", "upstream.reshape(-1, D).float())"
        )
        + _PAD,
        "must have dtype torch.float64",
    ),
    (
        "upstream changed",
        "if padding_id is not None:\n    upstream[ids == padding_id] = 0\n"
        + _ADD
        + "return gradient\n",
        "changes its inputs",
    ),
    (
        "view instead of reshape",
        _ADD.replace("upstream.reshape(-1, D)", "upstream.view(-1, D)") + _PAD,
        "needs contiguous memory",
    ),
    (
        "ids with more than one axis",
        _ADD.replace("ids.reshape(-1), upstream.reshape(-1, D)", "ids, upstream") + _PAD,
        "wants ids with one axis",
    ),
)

# ---------------------------------------------------------------- right, and unlike the model

_TABLE = "def table_gradient(ids, upstream, vocab_size, padding_id=None):\n"

RIGHT = [
    Right(
        "table_gradient",
        "scatter_add",
        _TABLE
        + """    D = upstream.shape[-1]
    rows = upstream.reshape(-1, D)
    where = ids.reshape(-1, 1).expand(-1, D)
    out = upstream.new_zeros(vocab_size, D).scatter_add(0, where, rows)
    if padding_id is not None:
        out[padding_id].zero_()
    return out
""",
    ),
    Right(
        "table_gradient",
        "index_put that accumulates",
        _TABLE
        + """    keep = ids != (-1 if padding_id is None else padding_id)
    out = upstream.new_zeros((vocab_size, upstream.shape[-1]))
    return out.index_put((ids[keep],), upstream[keep], accumulate=True)
""",
    ),
    Right(
        "table_gradient",
        "bincount of each column",
        _TABLE
        + """    flat = ids.flatten()
    columns = upstream.reshape(flat.numel(), -1).unbind(1)
    out = [torch.bincount(flat, weights=one, minlength=vocab_size) for one in columns]
    out = torch.stack(out, dim=1).to(upstream.dtype)
    if padding_id is not None:
        out[padding_id] = 0
    return out
""",
    ),
    Right(
        "lookup",
        "take and reshape",
        """def lookup(ids, table):
    assert not (ids < 0).any() and (ids < len(table)).all(), "an id outside"
    rows = table.index_select(0, ids.reshape(-1))
    return rows.reshape(*ids.shape, table.shape[1])
""",
    ),
]
