"""Named wrong answers to assignment 13: the hidden tests fail on each, the visible check names it.

Instructor's edition only. Some are defects of a published article (column ``errata``); the others
are the classic slips of students. ``RIGHT`` holds unusual answers that are right.
"""

from grading.bugs import Bug, Right, edit, function

BUGS: list[Bug] = []
RIGHT: list[Right] = []


def _add(task: str, name: str, source: str, says: str, *more: str) -> None:
    errata, note = (*more, "", "")[:2]
    BUGS.append(Bug(task, name, source, says, errata, note))


# ---------------------------------------------------------------- worked case

_N = -100
_CASE = {
    "labels": [_N, 1, 2, 2, _N, 0, 1, _N, _N, 3, _N, _N, _N],
    "logits": 5,
    "word accuracy": 0.5,
    "padded accuracy": 0.8125,
    "precision of O": 0.3333,
    "recall of O": 1.0,
    "entities": [1, 2, 3],
    "entity F1": 0.4,
}
for _name, _key, _value, _says, *_more in (
    ("every piece", "labels", [_N, 1, 2, 2, 2, 0, 1, 1, 1, 3, _N, _N, _N], "further pieces"),
    ("pads labelled O", "labels", [0, 1, 2, 2, _N, 0, 1, _N, _N, 3, 0, 0, 0], "pads", "E004-33"),
    ("as in the article", "labels", [1, 2, 2, 0, 1, 3] + [0] * 7, "the labels slide", "E004-31"),
    ("later pieces are O", "labels", [_N, 1, 2, 2, 0, 0, 1, 0, 0, 3, _N, _N, _N], "label of O"),
    ("predicted tags", "labels", [_N, 1, 2, 0, _N, 0, 0, _N, _N, 4, _N, _N, _N], "true tags"),
    ("O forgotten", "logits", 4, "O is a class", "E004-26"),
    ("one logit", "logits", 1, "one logit for each tag"),
    ("per cent", "padded accuracy", 81.25, "between 0 and 1"),
    ("pads behind 16 places", "padded accuracy", 0.65, "16 places in all"),
    ("two logits", "logits", 2, "two classes", "E004-26"),
    ("pieces counted", "word accuracy", 0.4615, "count words"),
    ("City is right", "word accuracy", 0.6667, "share of wrong"),
    ("pads left out", "padded accuracy", 0.5, "count as right"),
    ("pads wrong", "padded accuracy", 0.1875, "count as right"),
    ("share of pads", "padded accuracy", 0.625, "share of pads"),
    ("recall for precision", "precision of O", 1.0, "that is the recall"),
    ("precision for recall", "recall of O", 0.3333, "that is the precision"),
    ("part of an entity", "entities", [2, 2, 3], "the ends differ"),
    ("I-date is nothing", "entities", [0, 1, 3], "goes on with nothing"),
    ("I-date is wrong", "entities", [0, 2, 3], "start and end of a true one"),
    ("order", "entities", [1, 3, 2], "right, predicted, true"),
    ("words for entities", "entities", [2, 3, 5], "not words"),
    ("arithmetic mean", "entity F1", 0.4167, "harmonic"),
    ("precision for F1", "entity F1", 0.5, "that is the precision"),
    ("recall for F1", "entity F1", 0.3333, "that is the recall"),
):
    _source = function("worked_case()", f"return {dict(_CASE, **{_key: _value})!r}")
    _add("worked_case", _name, _source, _says, *_more)
RIGHT += [
    Right(
        "worked_case",
        "fractions and tensors",
        "from fractions import Fraction\n\n"
        + function(
            "worked_case()",
            f"case = {_CASE!r}\n"
            'case["precision of O"] = float(Fraction(1, 3))\n'
            'case["labels"] = torch.tensor(case["labels"])\n'
            'case["entities"] = (1, 2, 3)\nreturn case',
        ),
    ),
    Right(
        "worked_case",
        "two decimals",
        function("worked_case()", f"return {dict(_CASE, **{'precision of O': 0.33})!r}"),
    ),
]

# ---------------------------------------------------------------- labels of pieces

_ROW = """
labels, last = [], None
for word in word_ids[:max_len]:
    if word is None:
        labels.append(-100)
    else:
        if not 0 <= word < len(tags):
            raise ValueError("no tag")
        tag = tags[word]
        if word == last and tag.startswith("B-"):
            tag = "I-" + tag[2:]
        if tag not in label_id:
            raise ValueError("unknown tag")
        labels.append(label_id[tag])
    last = word
labels += [-100] * (max_len - len(labels))
return torch.tensor(labels, dtype=torch.int64)
"""
_ROW_OF = "label_row(tags, word_ids, label_id, max_len)"
_FILL = "labels += [-100] * (max_len - len(labels))"
_FURTHER = '        if word == last and tag.startswith("B-"):\n            tag = "I-" + tag[2:]\n'


def _row(name: str, says: str, *changes: tuple[str, str], errata: str = "") -> None:
    _add("label_row", name, function(_ROW_OF, edit(_ROW, *changes)), says, errata)


_add(
    "label_row",
    "as published",
    function(
        _ROW_OF,
        "encoded = [label_id[tag] for tag in tags]\n"
        'encoded.extend([label_id["O"]] * (max_len - len(encoded)))\n'
        "return torch.tensor(encoded, dtype=torch.long)",
    ),
    "copied as they stand",
    "E004-31",
)
_add(
    "label_row",
    "as published, pads ignored",
    function(
        _ROW_OF,
        "encoded = [label_id[tag] for tag in tags][:max_len]\n"
        "return torch.tensor(encoded + [-100] * (max_len - len(encoded)))",
    ),
    "copied as they stand",
    "E004-31",
)
_add(
    "label_row",
    "only CLS skipped",
    function(
        _ROW_OF,
        "encoded = ([-100] + [label_id[tag] for tag in tags])[:max_len]\n"
        "return torch.tensor(encoded + [-100] * (max_len - len(encoded)))",
    ),
    "only [CLS] is skipped",
    "E004-31",
)
_row(
    "first pieces only",
    "only the first piece",
    (_FURTHER, ""),
    ("labels.append(label_id[tag])", "labels.append(label_id[tag] if word != last else -100)"),
)
_row("B repeated", "would begin a new entity", (_FURTHER, ""))
_row(
    "further pieces get O",
    "further pieces get O",
    (_FURTHER, '        if word == last:\n            tag = "O"\n'),
)
_row("pads labelled O", "pads are labelled O", (_FILL, _FILL.replace("-100", 'label_id["O"]')))
_row(
    "pads and specials labelled O",
    "pads are labelled O",
    ("-100", 'label_id["O"]'),
    errata="E004-33",
)
_row(
    "specials labelled O",
    "special tokens are labelled O",
    ("labels.append(-100)", 'labels.append(label_id["O"])'),
)
_row("pads labelled 0", "which is a class", (_FILL, _FILL.replace("-100", "0")))
_row("-1 for -100", "leaves out -100", ("-100", "-1"))
_row("not cut", "must have one length", ("word_ids[:max_len]", "word_ids"), errata="E004-32")
_row("not filled", "must have one length", (_FILL, ""), errata="E004-32")
_row(
    "same tag, not same word",
    "belongs to the same word",
    ("labels, last = [], None", "labels, last, before = [], None, None"),
    ("word == last and", "tags[word] == before and"),
    ("    last = word\n", "    last, before = word, None if word is None else tags[word]\n"),
)
_row(
    "padding in front",
    "the padding in front",
    (_FILL, "labels = [-100] * (max_len - len(labels)) + labels"),
)
_row(
    "first and last place are special",
    "do not count on [CLS]",
    (
        "return torch",
        "labels[0] = -100\nreturn torch",
    ),
)
_row("dtype float", "class numbers", ("dtype=torch.int64", "dtype=torch.float32"))
_row("dtype int32", "class numbers", ("dtype=torch.int64", "dtype=torch.int32"))
_row(
    "a list",
    "must be a torch.Tensor",
    ("torch.tensor(labels, dtype=torch.int64)", "labels"),
)
_row(
    "KeyError",
    "raises KeyError",
    ('        if tag not in label_id:\n            raise ValueError("unknown tag")\n', ""),
    errata="E004-26",
)
_row(
    "IndexError",
    "raises IndexError",
    ('        if not 0 <= word < len(tags):\n            raise ValueError("no tag")\n', ""),
)
_row(
    "unknown tag is O",
    "must raise a ValueError",
    ('            raise ValueError("unknown tag")', '            tag = "O"'),
    errata="E004-26",
)
_row(
    "word without a tag is left out",
    "must raise a ValueError",
    (
        '            raise ValueError("no tag")',
        "            labels.append(-100)\n            continue",
    ),
)
_row(
    "refused though cut off",
    "does not run",
    (
        "labels, last = [], None",
        "labels, last = [], None\nif max(w or 0 for w in word_ids) >= len(tags):\n"
        '    raise ValueError("no tag")',
    ),
)
_row("tags modified", "must stay as they are", ("return torch", "tags.clear()\nreturn torch"))

RIGHT += [
    Right(
        "label_row",
        "a tensor filled place by place, asserted lookups",
        function(
            _ROW_OF,
            "row = torch.full((max_len,), -100)\n"
            "for t, word in enumerate(word_ids[:max_len]):\n"
            "    if word is None:\n"
            "        continue\n"
            "    try:\n"
            "        tag = tags[word]\n"
            "        first = t == 0 or word_ids[t - 1] != word\n"
            '        row[t] = label_id[tag if first else tag.replace("B-", "I-", 1)]\n'
            "    except (IndexError, KeyError) as error:\n"
            "        raise ValueError(str(error)) from error\n"
            "return row",
        ),
    ),
    Right(
        "label_row",
        "first builds all, then cuts and pads",
        function(
            _ROW_OF,
            "kept = list(word_ids)[:max_len]\n"
            "kept += [None] * (max_len - len(kept))\n"
            "names = []\n"
            "for before, word in zip([None] + kept, kept):\n"
            "    if word is None:\n"
            "        names.append(None)\n"
            "    elif word >= len(tags):\n"
            '        raise ValueError("missing")\n'
            '    elif before == word and tags[word] != "O":\n'
            '        names.append("I" + tags[word][1:])\n'
            "    else:\n"
            "        names.append(tags[word])\n"
            "if any(n is not None and n not in label_id for n in names):\n"
            '    raise ValueError("no such label")\n'
            "return torch.LongTensor([-100 if n is None else label_id[n] for n in names])",
        ),
    ),
]

# ---------------------------------------------------------------- entities

_ENTITIES = """
def entities(tags):
    found, start, kind = set(), 0, None
    for t, tag in enumerate([*tags, "O"]):
        prefix, _, name = tag.partition("-")
        goes_on = prefix in ("I", "E") and name == kind
        if kind is not None and not goes_on:
            found.add((kind, start, t))
            kind = None
        if prefix != "O" and not goes_on:
            start, kind = t, name
        if prefix in ("E", "S"):
            found.add((kind, start, t + 1))
            kind = None
    return found


if [len(tags) for tags in predictions] != [len(tags) for tags in labels]:
    raise ValueError("different lengths")
rows = []
for said, true in zip(predictions, labels):
    a, b = entities(said), entities(true)
    rows.append([len(a & b), len(a), len(b)])
return torch.tensor(rows, dtype=torch.int64).reshape(-1, 3)
"""
_COUNTS_OF = "entity_counts(predictions, labels)"
_LENGTHS = (
    "if [len(tags) for tags in predictions] != [len(tags) for tags in labels]:\n"
    '    raise ValueError("different lengths")\n'
)


def _count(name: str, says: str, *changes: tuple[str, str], note: str = "") -> None:
    _add("entity_counts", name, function(_COUNTS_OF, edit(_ENTITIES, *changes)), says, "", note)


_count("open at the end is lost", "open at the end", ('[*tags, "O"]', "tags"))
_count(
    "S and E unknown",
    "after S nothing is open",
    (
        '        if prefix in ("E", "S"):\n            found.add((kind, start, t + 1))\n'
        "            kind = None\n",
        "",
    ),
)
_count(
    "S leaves it open",
    "after S nothing is open",
    ('if prefix in ("E", "S"):', 'if prefix == "E":'),
)
_count(
    "E leaves it open",
    "after E nothing is open",
    ('if prefix in ("E", "S"):', 'if prefix == "S":'),
)
_count(
    "only what E closes",
    "open at the end",
    (
        "        if kind is not None and not goes_on:\n            found.add((kind, start, t))\n"
        "            kind = None\n",
        "        if kind is not None and not goes_on:\n            kind = None\n",
    ),
)
_count(
    "I begins nothing",
    "an I begins a new entity",
    ('if prefix != "O" and not goes_on:', 'if prefix in ("B", "S", "E") and not goes_on:'),
    ('if prefix in ("E", "S"):', 'if prefix in ("E", "S") and kind is not None:'),
)
_count(
    "E begins nothing",
    "after E nothing is open: an E",
    ('if prefix != "O" and not goes_on:', 'if prefix in ("B", "S", "I") and not goes_on:'),
    ('if prefix in ("E", "S"):', 'if prefix in ("E", "S") and kind is not None:'),
)
_count(
    "B goes on",
    "B begins a new entity",
    ('prefix in ("I", "E") and', 'prefix in ("B", "I", "E") and'),
)
_count(
    "S goes on",
    "S ends at once",
    ('prefix in ("I", "E") and', 'prefix in ("S", "I", "E") and'),
    ('if prefix in ("E", "S"):', 'if prefix == "E":'),
)
_count(
    "type of an I not compared",
    "an I of another type",
    ("and name == kind", "and kind is not None"),
)
_count(
    "type of an E not compared",
    "an E of another type",
    (
        'goes_on = prefix in ("I", "E") and name == kind',
        'goes_on = kind is not None and (prefix == "E" or prefix == "I" and name == kind)',
    ),
)
_count(
    "types not counted",
    "the type must agree",
    ("found.add((kind, start, t))", "found.add((start, t))"),
    ("found.add((kind, start, t + 1))", "found.add((start, t + 1))"),
)
_count(
    "start only",
    "both ends must agree",
    ("found.add((kind, start, t))", "found.add((kind, start))"),
    ("found.add((kind, start, t + 1))", "found.add((kind, start))"),
)
_count(
    "place not counted",
    "at another place",
    ("found.add((kind, start, t))", "found.add((kind, t - start))"),
    ("found.add((kind, start, t + 1))", "found.add((kind, t + 1 - start))"),
)
_count(
    "cut at the last hyphen",
    "cut at the first one",
    (
        'prefix, _, name = tag.partition("-")',
        'prefix, name = tag[0], tag.split("-")[1] if "-" in tag else ""',
    ),
)
_count(
    "columns",
    "right, predicted, true",
    ("len(a & b), len(a), len(b)", "len(a & b), len(b), len(a)"),
)
_count(
    "missed instead of true",
    "gives",
    ("len(a & b), len(a), len(b)", "len(a & b), len(a - b), len(b - a)"),
    note="named by its numbers only",
)
_count(
    "one sum for all sentences",
    "one row for each sentence",
    (".reshape(-1, 3)", ".reshape(-1, 3).sum(0)"),
)
_count("empty list", "(0, 3)", (".reshape(-1, 3)", ""), note="")
_count("lengths not compared", "must raise a ValueError", (_LENGTHS, ""))
_count(
    "only the number of sentences",
    "must raise a ValueError",
    (
        "if [len(tags) for tags in predictions] != [len(tags) for tags in labels]:",
        "if len(predictions) != len(labels):",
    ),
)
_count("dtype", "whole numbers", ("dtype=torch.int64", "dtype=torch.float32"))
_count(
    "state kept between sentences",
    "begin each one afresh",
    (
        "def entities(tags):\n    found, start, kind = set(), 0, None\n",
        "memory = [set()]\n\ndef entities(tags):\n"
        "    start, kind = 0, None\n    found = memory[0]\n",
    ),
    (
        "    a, b = entities(said), entities(true)\n",
        "    a = set(entities(said))\n    memory[0] = set()\n    b = set(entities(true))\n",
    ),
)
_count(
    "argument modified",
    "must stay as they are",
    ('enumerate([*tags, "O"])', 'enumerate(tags.append("O") or tags)'),
)

RIGHT += [
    Right(
        "entity_counts",
        "lists of strings, regular expression",
        "import re\n\n\n"
        + function(
            _COUNTS_OF,
            "def ends(tags):\n"
            "    open_at, out = None, []\n"
            "    for i, tag in enumerate(tags):\n"
            '        match = re.match(r"([BIES])-(.*)$", tag)\n'
            "        p, kind = match.groups() if match else (None, None)\n"
            '        joins = p in ("I", "E") and open_at and open_at[0] == kind\n'
            "        if open_at and not joins:\n"
            "            out.append((*open_at, i))\n"
            "            open_at = None\n"
            "        if p and not joins:\n"
            "            open_at = (kind, i)\n"
            '        if p in ("E", "S"):\n'
            "            out.append((*open_at, i + 1))\n"
            "            open_at = None\n"
            "    return out + ([(*open_at, len(tags))] if open_at else [])\n\n"
            "if len(predictions) != len(labels):\n"
            '    raise ValueError("sentences")\n'
            "counts = torch.zeros(len(labels), 3, dtype=torch.long)\n"
            "for i, (p, y) in enumerate(zip(predictions, labels)):\n"
            "    if len(p) != len(y):\n"
            '        raise ValueError("words")\n'
            "    p, y = ends(p), ends(y)\n"
            "    counts[i, 0] = sum(x in y for x in p)\n"
            "    counts[i, 1], counts[i, 2] = len(p), len(y)\n"
            "return counts",
        ),
    ),
    Right(
        "entity_counts",
        "beginnings first",
        function(
            _COUNTS_OF,
            "def entities(tags):\n"
            "    starts = []\n"
            "    for t, tag in enumerate(tags):\n"
            '        last = tags[t - 1] if t else "O"\n'
            '        if tag[0] in "BS" or tag[0] in "IE" and (\n'
            '            last[0] in "OES" or last[2:] != tag[2:]\n'
            "        ):\n"
            "            starts.append(t)\n"
            "    found = set()\n"
            "    for t in starts:\n"
            "        end = t + 1\n"
            '        while end < len(tags) and tags[end] != "O" and end not in starts:\n'
            "            end += 1\n"
            "        found.add((tags[t], t, end)[1:] + (tags[t][2:],))\n"
            "    return found\n\n"
            "if list(map(len, predictions)) != list(map(len, labels)):\n"
            '    raise ValueError("lengths")\n'
            "sets = [(entities(p), entities(y)) for p, y in zip(predictions, labels)]\n"
            "rows = [torch.tensor([len(p & y), len(p), len(y)]) for p, y in sets]\n"
            "return torch.stack(rows) if rows else torch.empty(0, 3, dtype=torch.int64)",
        ),
    ),
]

# ---------------------------------------------------------------- three parts

_PARTS = """
speakers = list(dict.fromkeys(groups))
random.Random(seed).shuffle(speakers)
train, validation, test = [], [], []
for speaker in speakers:
    if len(test) < n_test:
        part = test
    elif len(validation) < n_validation:
        part = validation
    else:
        part = train
    part.extend(i for i, group in enumerate(groups) if group == speaker)
if not train or len(test) < n_test or len(validation) < n_validation:
    raise ValueError("too few speakers")
return train, validation, test
"""
_PARTS_OF = "three_parts(groups, n_validation, n_test, seed)"
_REFUSE = (
    "if not train or len(test) < n_test or len(validation) < n_validation:\n"
    '    raise ValueError("too few speakers")\n'
)


def _split(name: str, says: str, *changes: tuple[str, str]) -> None:
    source = "import random\n\n\n" + function(_PARTS_OF, edit(_PARTS, *changes))
    _add("three_parts", name, source, says)


_add(
    "three_parts",
    "sentences shuffled",
    "import random\n\n\n"
    + function(
        _PARTS_OF,
        "order = list(range(len(groups)))\nrandom.Random(seed).shuffle(order)\n"
        "if n_test + n_validation >= len(order):\n    raise ValueError\n"
        "return order[n_test + n_validation:], order[n_test:n_test + n_validation], order[:n_test]",
    ),
    "shuffle speakers, not sentences",
)
_add(
    "three_parts",
    "slices of the list",
    function(
        _PARTS_OF,
        "order = list(range(len(groups)))\n"
        "return order[n_test + n_validation:], order[n_test:n_test + n_validation], order[:n_test]",
    ),
    "shuffle speakers, not sentences",
)
_split("order of a set", "sort it", ("dict.fromkeys(groups)", "set(groups)"))
_split("not shuffled", "must be shuffled", ("random.Random(seed).shuffle(speakers)\n", ""))
_split(
    "sorted after the shuffle",
    "must be shuffled",
    ("shuffle(speakers)", "shuffle(speakers)\nspeakers.sort()"),
)
_split("global generator", "two calls with the seed", ("random.Random(seed)", "random"))
_split("seed of its own", "150 seeds give 1", ("random.Random(seed)", "random.Random(0)"))
_split(
    "global generator of torch",
    "two calls with the seed",
    (
        "random.Random(seed).shuffle(speakers)",
        "speakers = [speakers[i] for i in torch.randperm(len(speakers)).tolist()]",
    ),
)
_split(
    "speakers counted",
    "sizes count sentences",
    ("    if len(test) < n_test:\n        part = test\n", ""),
    (
        "    elif len(validation) < n_validation:",
        "    k = speakers.index(speaker)\n    if k < n_test:\n        part = test\n"
        "    elif k < n_test + n_validation:",
    ),
)
_split(
    "a speaker too many",
    "a speaker more than it takes",
    ("len(test) < n_test:\n", "len(test) <= n_test:\n"),
)
_split(
    "a validation speaker too many",
    "a speaker more than it takes",
    ("elif len(validation) < n_validation:", "elif len(validation) <= n_validation:"),
)
_split(
    "order of the parts",
    "train, validation, test",
    ("return train, validation, test", "return test, validation, train"),
)
_split(
    "validation and test exchanged",
    "train, validation, test",
    ("return train, validation, test", "return train, test, validation"),
)
_split(
    "speakers instead of sentences",
    "must return sentence numbers",
    (
        "part.extend(i for i, group in enumerate(groups) if group == speaker)",
        "part.extend(g for g in groups if g == speaker)",
    ),
)
_split(
    "one sentence a speaker",
    "must be in one part",
    (
        "part.extend(i for i, group in enumerate(groups) if group == speaker)",
        "part.append(groups.index(speaker))",
    ),
)
_split(
    "too small without a word",
    "must raise a ValueError",
    (_REFUSE, ""),
)
_split(
    "assert",
    "raises AssertionError",
    (_REFUSE, "assert train and len(test) >= n_test and len(validation) >= n_validation\n"),
)
_split(
    "the first speaker always learns",
    "all speakers must be shuffled",
    (
        "random.Random(seed).shuffle(speakers)",
        "rest = speakers[1:]\nrandom.Random(seed).shuffle(rest)\nspeakers = rest + speakers[:1]",
    ),
)
_split(
    "largest speakers first",
    "must be shuffled",
    (
        "random.Random(seed).shuffle(speakers)",
        "speakers.sort(key=lambda s: (-groups.count(s), str(s)))",
    ),
)
_split(
    "test sentences learned as well",
    "in the parts twice",
    ("return train", "train = train + test[:1]\nreturn train"),
)
RIGHT += [
    Right(
        "three_parts",
        "torch's generator, tensors as parts",
        function(
            _PARTS_OF,
            "names = sorted(set(groups), key=str)\n"
            "generator = torch.Generator().manual_seed(seed)\n"
            "order = torch.randperm(len(names), generator=generator)\n"
            "where = torch.tensor([names.index(g) for g in groups])\n"
            "parts, k = [], 0\n"
            "for wanted in (n_test, n_validation):\n"
            "    part = torch.empty(0, dtype=torch.int64)\n"
            "    while len(part) < wanted:\n"
            "        if k == len(names):\n"
            '            raise ValueError("too few")\n'
            "        part = torch.cat([part, (where == order[k]).nonzero()[:, 0]])\n"
            "        k += 1\n"
            "    parts.append(part)\n"
            "if k == len(names):\n"
            '    raise ValueError("nothing left")\n'
            "rest = torch.isin(where, order[k:]).nonzero()[:, 0]\n"
            "return rest, parts[1], parts[0]",
        ),
    ),
    Right(
        "three_parts",
        "validation filled first",
        "import random\n\n\n"
        + function(
            _PARTS_OF,
            edit(
                _PARTS,
                ("    if len(test) < n_test:\n        part = test\n    elif", "    if"),
                ("    else:\n", "    elif len(test) < n_test:\n        part = test\n    else:\n"),
                (
                    "random.Random(seed).shuffle(speakers)",
                    "speakers = random.Random(seed).sample(speakers, len(speakers))",
                ),
            ),
        ),
    ),
]

# ---------------------------------------------------------------- report

_REPORT = """
def ratio(part, whole):
    return torch.where(whole == 0, 0.0, part.double() / whole)


pick = torch.tensor(range(len(confusion)) if classes is None else classes, dtype=torch.int64)
right = confusion.diagonal()[pick]
predicted, true = confusion.sum(0)[pick], confusion.sum(1)[pick]


def scores(right, predicted, true):
    return ratio(right, predicted), ratio(right, true), ratio(2 * right, predicted + true)


per_class = torch.stack(scores(right, predicted, true))
macro = per_class.mean(1)
weighted = ratio((per_class * true).sum(1), true.sum())
micro = torch.stack(scores(right.sum(), predicted.sum(), true.sum()))
return {
    "precision": per_class[0],
    "recall": per_class[1],
    "f1": per_class[2],
    "support": true,
    "macro": macro,
    "weighted": weighted,
    "micro": micro,
}
"""
_REPORT_OF = "class_report(confusion, classes=None)"


def _tell(name: str, says: str, *changes: tuple[str, str], errata: str = "") -> None:
    _add("class_report", name, function(_REPORT_OF, edit(_REPORT, *changes)), says, errata)


_tell(
    "rows and columns exchanged",
    "changed places",
    (
        "confusion.sum(0)[pick], confusion.sum(1)[pick]",
        "confusion.sum(1)[pick], confusion.sum(0)[pick]",
    ),
)
_tell(
    "matrix cut first",
    "is cut to the classes first",
    (
        "right = confusion.diagonal()[pick]",
        "confusion = confusion[pick][:, pick]\npick = torch.arange(len(pick))\n"
        "right = confusion.diagonal()[pick]",
    ),
)
_tell("classes ignored", "has shape", (" if classes is None else classes", ""))
_tell(
    "classes sorted",
    "the classes are sorted",
    ("if classes is None else classes,", "if classes is None else sorted(classes),"),
)
_tell(
    "arithmetic mean",
    "harmonic mean, not the arithmetic",
    (
        "per_class = torch.stack(scores(right, predicted, true))",
        "per_class = torch.stack(scores(right, predicted, true))\n"
        "per_class[2] = per_class[:2].mean(0)",
    ),
)
_tell(
    "macro F1 from the averages",
    "not the F1 of the means",
    (
        "macro = per_class.mean(1)",
        "macro = per_class.mean(1)\nmacro[2] = ratio(2 * macro[0] * macro[1], macro[0] + macro[1])",
    ),
)
_tell(
    "macro over all classes",
    "macro divides by K",
    ("macro = per_class.mean(1)", "macro = per_class.sum(1) / len(confusion)"),
)
_tell(
    "macro without absent classes",
    "counts in macro, with 0",
    (
        "macro = per_class.mean(1)",
        "macro = per_class[:, true > 0].mean(1) if (true > 0).any() else per_class.mean(1)",
    ),
)
_tell(
    "weighted by predictions",
    "weights are the supports",
    (
        "ratio((per_class * true).sum(1), true.sum())",
        "ratio((per_class * predicted).sum(1), predicted.sum())",
    ),
)
_tell(
    "weights of all labels",
    "weights sum to the support",
    ("(per_class * true).sum(1), true.sum()", "(per_class * true).sum(1), confusion.sum()"),
)
_tell(
    "weighted F1 from the averages",
    "weighted F1 is the mean",
    (
        "micro = ",
        "weighted[2] = ratio(2 * weighted[0] * weighted[1], weighted[0] + weighted[1])\nmicro = ",
    ),
)
_tell(
    "micro is the accuracy",
    "only if all classes",
    (
        "micro = torch.stack(scores(right.sum(), predicted.sum(), true.sum()))",
        "micro = ratio(confusion.diagonal().sum(), confusion.sum()).expand(3)",
    ),
)
_tell(
    "micro row is the weighted row",
    "is wrong",
    (
        "micro = torch.stack(scores(right.sum(), predicted.sum(), true.sum()))",
        "micro = weighted",
    ),
    errata="E004-40",
)
_tell(
    "micro F1 is the arithmetic mean",
    "harmonic mean of micro",
    ("return {", "micro[2] = micro[:2].mean()\nreturn {"),
)
_tell(
    "micro from the wrong denominator",
    "micro precision divides by",
    (
        "micro = torch.stack(scores(right.sum(), predicted.sum(), true.sum()))",
        "micro = ratio(right.sum(), true.sum()).expand(3)",
    ),
)
_tell("support of predictions", "not predictions", ('"support": true', '"support": predicted'))
_tell(
    "0/0 is NaN",
    "denominator 0 is 0",
    ("torch.where(whole == 0, 0.0, part.double() / whole)", "part.double() / whole"),
)
_tell(
    "0/0 is 1",
    "is wrong",
    ("torch.where(whole == 0, 0.0,", "torch.where(whole == 0, 1.0,"),
)
_tell(
    "a small number in the denominator",
    "is wrong",
    (
        "torch.where(whole == 0, 0.0, part.double() / whole)",
        "part.double() / (whole + 1e-6)",
    ),
)
_tell("float32", "convert first", ("part.double() / whole", "part / whole"))
_tell("support as float", "must have dtype", ('"support": true', '"support": true.double()'))
_tell(
    "micro left out",
    "lacks the entry",
    ('    "micro": micro,\n', ""),
)
_tell(
    "rounded",
    "is wrong",
    ("micro = torch", "per_class = per_class.round(decimals=3)\nmicro = torch"),
)
_tell(
    "matrix modified",
    "must stay as they are",
    ("return {", "confusion.zero_()\nreturn {"),
)
RIGHT += [
    Right(
        "class_report",
        "loops and Python floats",
        function(
            _REPORT_OF,
            "table = confusion.tolist()\n"
            "chosen = list(range(len(table))) if classes is None else list(classes)\n"
            "right = [table[c][c] for c in chosen]\n"
            "said = [sum(row[c] for row in table) for c in chosen]\n"
            "true = [sum(table[c]) for c in chosen]\n\n"
            "def three(r, p, t):\n"
            "    P = r / p if p else 0.0\n"
            "    R = r / t if t else 0.0\n"
            "    return [P, R, 2 * P * R / (P + R) if P + R else 0.0]\n\n"
            "rows = [three(*x) for x in zip(right, said, true)]\n"
            "columns = list(zip(*rows))\n"
            "total = sum(true)\n\n"
            "def tensor(values):\n"
            "    return torch.tensor(values, dtype=torch.float64)\n\n"
            "weighted = [sum(x * t for x, t in zip(c, true)) / (total or 1) for c in columns]\n"
            'report = {k: tensor(c) for k, c in zip(("precision", "recall", "f1"), columns)}\n'
            'report["support"] = torch.tensor(true)\n'
            'report["macro"] = tensor([sum(c) / len(c) for c in columns])\n'
            'report["weighted"] = tensor(weighted)\n'
            'report["micro"] = tensor(three(sum(right), sum(said), sum(true)))\n'
            "return report",
        ),
    ),
    Right(
        "class_report",
        "nan_to_num, indexing by a list",
        function(
            _REPORT_OF,
            "m = confusion.double()\n"
            "keep = list(range(m.shape[0])) if classes is None else classes\n"
            "tp, pred, true = torch.diagonal(m)[keep], m.sum(dim=0)[keep], m.sum(dim=1)[keep]\n"
            "p, r = (tp / pred).nan_to_num(0), (tp / true).nan_to_num(0)\n"
            "f = (2 * tp / (pred + true)).nan_to_num(0)\n"
            "w = (true / true.sum()).nan_to_num(0)\n"
            "x, y, z = tp.sum(), pred.sum(), true.sum()\n"
            "s = [x / y, x / z, 2 * x / (y + z)]\n"
            "return dict(precision=p, recall=r, f1=f, support=true.long(),\n"
            "            macro=torch.stack([p.mean(), r.mean(), f.mean()]),\n"
            "            weighted=torch.stack([p @ w, r @ w, f @ w]),\n"
            "            micro=torch.stack(s).nan_to_num(0))",
        ),
    ),
]

# ---------------------------------------------------------------- audit

_AUDIT = """
half, slack = 0.5 * 10**-digits, 1e-9
columns = ("precision", "recall", "f1-score")
names = list(rows)
printed = {(name, "f1-score"): rows[name][2] for name in names}
for name, values in averages.items():
    for column, value in zip(columns, values):
        printed[name, column] = value
n = [rows[name][3] for name in names]
total = sum(n)


def cells(P, R):
    F = [2 * p * r / (p + r) for p, r in zip(P, R)]
    right = [r * k for r, k in zip(R, n)]
    predicted = [x / p for x, p in zip(right, P)]
    lines = {
        "macro avg": [sum(x) / len(n) for x in (P, R, F)],
        "weighted avg": [sum(a * k for a, k in zip(x, n)) / total for x in (P, R, F)],
        "micro avg": [
            sum(right) / sum(predicted),
            sum(right) / total,
            2 * sum(right) / (sum(predicted) + total),
        ],
    }
    found = {(name, "f1-score"): f for name, f in zip(names, F)}
    for name, values in lines.items():
        for column, value in zip(columns, values):
            found[name, column] = value
    return found


ends = [(max(p - half, 1e-12), min(p + half, 1.0)) for k in names for p in rows[k][:2]]
low, high = {}, {}
for corner in itertools.product(*ends):
    found = cells(corner[0::2], corner[1::2])
    for cell in printed:
        low[cell] = min(found[cell], low.get(cell, 9.0))
        high[cell] = max(found[cell], high.get(cell, -9.0))
wrong = set()
for cell, value in printed.items():
    if value < low[cell] - half - slack or value > high[cell] + half + slack:
        wrong.add(cell)
for name in names:
    support = rows[name][3]
    if not any(abs(k / support - rows[name][1]) <= half + slack for k in range(support + 1)):
        wrong.add((name, "recall"))
return wrong
"""
_AUDIT_OF = "audit(rows, averages, digits=3)"
_CELL = "    if value < low[cell] - half - slack or value > high[cell] + half + slack:"
_COUNTED = (
    "    if not any(abs(k / support - rows[name][1]) <= half + slack "
    "for k in range(support + 1)):\n"
)


def _accuse(name: str, says: str, *changes: tuple[str, str], errata: str = "") -> None:
    _add("audit", name, function(_AUDIT_OF, edit(_AUDIT, *changes)), says, errata)


_accuse("accuses nothing", "does not find", ("return wrong", "return set()"), errata="E004-40")
_accuse(
    "cells taken as exact",
    "a range, not a point",
    ("max(p - half, 1e-12), min(p + half, 1.0)", "p, p"),
)
_accuse(
    "printed to the point",
    "that is possible",
    (_CELL, "    if value < low[cell] - slack or value > high[cell] + slack:"),
)
_accuse(
    "a whole unit of rounding",
    "does not find",
    ("half, slack = 0.5 * 10**-digits, 1e-9", "half, slack = 10**-digits, 1e-9"),
)
_accuse("digits ignored", "half a unit is .005", ("10**-digits", "10**-3"))
_accuse("no tolerance", "is possible", ("1e-9", "-1e-5"))
_accuse(
    "arithmetic mean",
    "possible",
    ("F = [2 * p * r / (p + r) for", "F = [(p + r) / 2 for"),
)
_accuse(
    "F1 of the classes not checked",
    "F1 is the harmonic mean",
    ('printed = {(name, "f1-score"): rows[name][2] for name in names}', "printed = {}"),
)
_accuse(
    "macro F1 from the averages",
    "macro F1 is the mean",
    (
        "    found = {(name",
        '    p, r, _ = lines["macro avg"]\n'
        '    lines["macro avg"][2] = 2 * p * r / (p + r)\n    found = {(name',
    ),
)
_accuse(
    "weighted F1 from the averages",
    "weighted F1 is the mean",
    (
        "    found = {(name",
        '    p, r, _ = lines["weighted avg"]\n'
        '    lines["weighted avg"][2] = 2 * p * r / (p + r)\n    found = {(name',
    ),
)
_accuse(
    "micro precision is weighted precision",
    "micro precision is sum(right)",
    (
        "            sum(right) / sum(predicted),",
        "            sum(a * k for a, k in zip(P, n)) / total,",
    ),
    errata="E004-40",
)
_accuse(
    "micro is the accuracy",
    "micro precision is sum(right)",
    ("            sum(right) / sum(predicted),", "            sum(right) / total,"),
)
_accuse(
    "micro F1 is micro recall",
    "micro F1 comes from the sums",
    ("            2 * sum(right) / (sum(predicted) + total),", "            sum(right) / total,"),
)
_accuse(
    "predicted times precision",
    "comes from the sums",
    ("predicted = [x / p for", "predicted = [x * p for"),
)
_accuse(
    "macro and weighted exchanged",
    "possible",
    ('"macro avg": [sum(x)', '"weighted avg": [sum(x)'),
    ('"weighted avg": [sum(a * k', '"macro avg": [sum(a * k'),
)
_accuse(
    "micro not checked",
    "micro precision is sum(right)",
    (
        "for name, values in averages.items():\n    for column",
        'for name, values in averages.items():\n    if name == "micro avg":\n        continue\n'
        "    for column",
    ),
)
_accuse(
    "fractions of an answer",
    "a whole number",
    (
        _COUNTED,
        "    if not 0 <= rows[name][1] <= 1:\n",
    ),
)
_accuse(
    "recall by the nearest count, rounded down",
    "possible",
    (
        _COUNTED,
        "    if abs(int(rows[name][1] * support) / support - rows[name][1]) > half + slack:\n",
    ),
)
_accuse(
    "all ends low or all high",
    "try all combinations",
    ("itertools.product(*ends)", "zip(*ends)"),
)
_accuse("ends above 1", "cut the ends there", ("min(p + half, 1.0)", "p + half"))
_accuse(
    "one corner beyond the ends",
    "does not find",
    (
        "for corner in itertools.product(*ends):",
        "for corner in (tuple(a for a, _ in ends), tuple(b for _, b in ends), "
        "tuple(b + 0.02 for _, b in ends)):",
    ),
)
_accuse("one cell only", "does not find", ("return wrong", "return set(sorted(wrong)[:1])"))
_accuse(
    "column names",
    "a cell is a pair",
    ('columns = ("precision", "recall", "f1-score")', 'columns = ("P", "R", "F1")'),
    ('(name, "f1-score")', '(name, "F1")'),
    ('(name, "recall")', '(name, "R")'),
)
_accuse(
    "fails without the averages",
    "does not run",
    ("names = list(rows)", 'names = list(rows)\naverages["macro avg"]'),
)
RIGHT += [
    Right(
        "audit",
        "a list of the cells, recall by rounding",
        function(
            _AUDIT_OF,
            edit(
                _AUDIT,
                (
                    _COUNTED,
                    "    near = [int(rows[name][1] * support) + step for step in (-1, 0, 1, 2)]\n"
                    "    near = [k for k in near if 0 <= k <= support]\n"
                    "    if all(abs(k / support - rows[name][1]) > half + slack for k in near):\n",
                ),
                ("return wrong", "return sorted(wrong)"),
            ),
        ),
    ),
    Right(
        "audit",
        "tensors over all corners at once",
        function(
            _AUDIT_OF,
            "h = 0.5 / 10**digits\n"
            "names = list(rows)\n"
            "table = torch.tensor([rows[k][:2] for k in names], dtype=torch.float64)\n"
            "n = torch.tensor([rows[k][3] for k in names], dtype=torch.float64)\n"
            "signs = torch.tensor(list(itertools.product((-h, h), repeat=2 * len(names))))\n"
            "corners = (table + signs.double().view(-1, len(names), 2)).clamp(1e-9, 1)\n"
            "P, R = corners[..., 0], corners[..., 1]\n"
            "F = 2 * P * R / (P + R)\n"
            "right, said = (R * n).sum(1), (R * n / P).sum(1)\n"
            "share = n / n.sum()\n"
            "values = {\n"
            '    "macro avg": (P.mean(1), R.mean(1), F.mean(1)),\n'
            '    "weighted avg": (P @ share, R @ share, F @ share),\n'
            '    "micro avg": (right / said, right / n.sum(), 2 * right / (said + n.sum())),\n'
            "}\n"
            "bad = set()\n\n"
            "def look(name, column, cell, x):\n"
            "    if not x.min() - h - 1e-9 <= cell <= x.max() + h + 1e-9:\n"
            "        bad.add((name, column))\n\n"
            "for k, name in enumerate(names):\n"
            '    look(name, "f1-score", rows[name][2], F[:, k])\n'
            "    counts = torch.arange(rows[name][3] + 1, dtype=torch.float64) / rows[name][3]\n"
            "    if (counts - rows[name][1]).abs().min() > h + 1e-9:\n"
            '        bad.add((name, "recall"))\n'
            "for name, line in averages.items():\n"
            '    columns = ("precision", "recall", "f1-score")\n'
            "    for column, cell, x in zip(columns, line, values[name]):\n"
            "        look(name, column, cell, x)\n"
            "return bad",
        ),
    ),
]

# ---------------------------------------------------------------- paired interval

_PAIRED = """
def macro_f1(sums):
    f1 = 2 * sums[..., 0].double() / (sums[..., 1] + sums[..., 2]).clamp(min=1)
    return f1.mean(-1)


differences = macro_f1(a[picks].sum(1)) - macro_f1(b[picks].sum(1))
ends = torch.tensor([(1 - level) / 2, (1 + level) / 2], dtype=torch.float64)
low, high = torch.quantile(differences, ends).tolist()
return (macro_f1(a.sum(0)) - macro_f1(b.sum(0))).item(), low, high
"""
_PAIRED_OF = "paired_interval(a, b, picks, level=0.95)"
_F1 = "f1 = 2 * sums[..., 0].double() / (sums[..., 1] + sums[..., 2]).clamp(min=1)"
_DRAWN = "differences = macro_f1(a[picks].sum(1)) - macro_f1(b[picks].sum(1))"
_WHOLE = "(macro_f1(a.sum(0)) - macro_f1(b.sum(0))).item()"


def _pair(name: str, says: str, *changes: tuple[str, str]) -> None:
    _add("paired_interval", name, function(_PAIRED_OF, edit(_PAIRED, *changes)), says)


_pair("b minus a", "b minus a", (_WHOLE, f"-{_WHOLE}"))
_pair(
    "micro F1",
    "that is micro F1",
    ("    f1 = ", "    sums = sums.sum(-2, keepdim=True)\n    f1 = "),
)
_pair(
    "F1 of each sentence",
    "sum the counts first",
    (_DRAWN, "differences = macro_f1(a[picks]).mean(1) - macro_f1(b[picks]).mean(1)"),
    (_WHOLE, "(macro_f1(a).mean() - macro_f1(b).mean()).item()"),
)
_pair(
    "F1 of each sentence in the draws",
    "sum the counts first",
    (_DRAWN, "differences = macro_f1(a[picks]).mean(1) - macro_f1(b[picks]).mean(1)"),
)
_pair(
    "precision", "macro precision", (_F1, "f1 = sums[..., 0].double() / sums[..., 1].clamp(min=1)")
)
_pair("recall", "macro recall", (_F1, "f1 = sums[..., 0].double() / sums[..., 2].clamp(min=1)"))
_pair(
    "absent types left out",
    "it counts as 0",
    (
        "return f1.mean(-1)",
        "there = (sums[..., 1] + sums[..., 2]) > 0\n"
        "    return (f1 * there).sum(-1) / there.sum(-1).clamp(min=1)",
    ),
)
_pair("NaN for absent types", "has 0/0", (".clamp(min=1)", ""))
_pair(
    "float32", "float32", (".double()", ".float()"), ("dtype=torch.float64", "dtype=torch.float32")
)
_pair("not paired", "not paired", ("b[picks].sum(1)", "b[picks.flip(0)].sum(1)"))
_pair(
    "two separate intervals",
    "two separate intervals",
    (
        _DRAWN,
        "x, y = macro_f1(a[picks].sum(1)), macro_f1(b[picks].sum(1))",
    ),
    (
        "low, high = torch.quantile(differences, ends).tolist()",
        "(la, ha), (lb, hb) = x.quantile(ends).tolist(), y.quantile(ends).tolist()\n"
        "low, high = la - hb, ha - lb",
    ),
)
_pair(
    "ends subtracted",
    "subtracted from those",
    (
        "low, high = torch.quantile(differences, ends).tolist()",
        "x, y = macro_f1(a[picks].sum(1)), macro_f1(b[picks].sum(1))\n"
        "low, high = (x.quantile(ends) - y.quantile(ends)).tolist()",
    ),
)
_pair(
    "5 % on each side",
    "leave 2.5 %",
    ("[(1 - level) / 2, (1 + level) / 2]", "[1 - level, level]"),
)
_pair(
    "smallest and largest draw",
    "smallest and the largest",
    (
        "low, high = torch.quantile(differences, ends).tolist()",
        "low, high = differences.min().item(), differences.max().item()",
    ),
)
_pair(
    "normal interval",
    "1.96 deviations",
    (
        "low, high = torch.quantile(differences, ends).tolist()",
        f"middle, s = {_WHOLE}, differences.std().item()\n"
        "low, high = middle - 1.96 * s, middle + 1.96 * s",
    ),
)
_pair("ends exchanged", "ends are exchanged", (".item(), low, high", ".item(), high, low"))
_pair(
    "mean of the draws",
    "the mean of the draws",
    (_WHOLE, "differences.mean().item()"),
)
_pair(
    "median of the draws",
    "the median of the draws",
    (_WHOLE, "differences.median().item()"),
)
_pair("level ignored", "is the argument `level` used", ("level) / 2", "0.95) / 2"))
_pair(
    "a alone",
    "the interval of a alone",
    (" - macro_f1(b[picks].sum(1))", ""),
)
_pair(
    "nearest draw",
    "not interpolated",
    (
        "torch.quantile(differences, ends)",
        'torch.quantile(differences, ends, interpolation="nearest")',
    ),
)
_pair(
    "draws of its own",
    "ends are",
    ("differences =", "picks = torch.randint(len(a), picks.shape)\ndifferences ="),
)
_pair(
    "sentences drawn once each",
    "ends are",
    ("differences =", "picks = torch.arange(len(a)).expand_as(picks)\ndifferences ="),
)
_pair("two numbers", "three numbers", (f"{_WHOLE}, low", "low"))
_pair(
    "counts modified",
    "must stay as they are",
    ("return (macro", "a.zero_()\nreturn (macro"),
    (_WHOLE, "difference"),
    ("low, high =", f"difference = {_WHOLE}\nlow, high ="),
)
RIGHT += [
    Right(
        "paired_interval",
        "a loop over the draws, a tensor as result",
        function(
            _PAIRED_OF,
            "def score(counts):\n"
            "    total = counts.sum(dim=0).tolist()\n"
            "    parts = [2 * r / (p + t) if p + t else 0.0 for r, p, t in total]\n"
            "    return sum(parts) / len(parts)\n\n"
            "found = sorted(score(a[row]) - score(b[row]) for row in picks)\n"
            "found = torch.tensor(found, dtype=torch.float64)\n"
            "cut = (1 - level) / 2\n"
            "low, high = found.quantile(cut), found.quantile(1 - cut)\n"
            "gap = torch.tensor(score(a) - score(b), dtype=torch.float64)\n"
            "return torch.stack([gap, low, high])",
        ),
    ),
    Right(
        "paired_interval",
        "numbers of draws by matrix multiplication",
        "import numpy as np\n\n\n"
        + function(
            _PAIRED_OF,
            "times = np.stack([np.bincount(row, minlength=len(a)) for row in picks.numpy()])\n\n"
            "def scores(counts, weight):\n"
            "    sums = np.einsum('dn,nkc->dkc', weight, counts.numpy())\n"
            "    below = sums[..., 1] + sums[..., 2]\n"
            "    f1 = 2 * sums[..., 0] / np.maximum(below, 1)\n"
            "    return np.where(below > 0, f1, 0.0).mean(-1)\n\n"
            "once = np.ones((1, len(a)), dtype=np.int64)\n"
            "gap = scores(a, times) - scores(b, times)\n"
            "low, high = np.quantile(gap, [(1 - level) / 2, 1 - (1 - level) / 2])\n"
            "return float(scores(a, once)[0] - scores(b, once)[0]), float(low), float(high)",
        ),
    ),
]
