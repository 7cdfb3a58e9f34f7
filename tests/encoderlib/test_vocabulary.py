"""encoderlib.vocabulary: what is learnt, against trainers in plain Python; what is read."""

import itertools
import json
import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tokenizers import pre_tokenizers
from transformers.models.bert.tokenization_bert_legacy import BasicTokenizer

from encoderlib.tokenization import Tokenizer
from encoderlib.vocabulary import KINDS, SPECIAL, learn_vocabulary, read_vocabulary

TEXTS = [
    "The low tide was lower still; the newest and the widest rivers ran low.",
    "Das Café liegt am Ufer, nicht weit vom Fluß. El niño nadó allí.",
    "这部电影很好看，演员也很好。 It is 3.14 times better!",
    "low low low lowest 很好 👍 don't\tstop\nnow",
]
PIECES = "low ##er Low é \u2028 很 好 很好 ##好 a l caf ##e ##é"
BERT = [*SPECIAL, *PIECES.split(" ")]
# Not stored anywhere, the same examples in every run.
quick = settings(max_examples=60, deadline=None, derandomize=True, database=None)
kinds = pytest.mark.parametrize("kind", KINDS)


def vocabulary_of(backend):
    """Tokens in the order of their ids, which must have no gap."""
    vocabulary = backend.get_vocab(with_added_tokens=True)
    assert sorted(vocabulary.values()) == list(range(len(vocabulary)))
    return sorted(vocabulary, key=vocabulary.get)


def learn_merges(words, tokens, size, least=1, prefix=""):
    """Byte-pair merges by the book: count all pairs anew in each round."""
    words = {(w[0], *(prefix + c for c in w[1:])): n for w, n in words.items()}
    tokens, merges = list(tokens), []
    while len(tokens) < size:
        pairs = Counter()
        for word, n in words.items():
            for pair in itertools.pairwise(word):
                pairs[pair] += n
        rank = {pair: (-n, *map(tokens.index, pair)) for pair, n in pairs.items() if n >= least}
        if not rank:
            break
        a, b = min(rank, key=rank.get)
        merges.append((a, b))
        if a + b.removeprefix(prefix) not in tokens:
            tokens.append(a + b.removeprefix(prefix))
        words = {tuple(merged(word, a, b, prefix)): n for word, n in words.items()}
    return tokens, merges


def merged(word, a, b, prefix=""):
    """A word's pieces after one merge, from left to right."""
    out, i = [], 0
    while i < len(word):
        here = tuple(word[i : i + 2]) == (a, b)
        out.append(a + b.removeprefix(prefix) if here else word[i])
        i += 2 if here else 1
    return out


def merges_of(backend):
    return [tuple(merge) for merge in json.loads(backend.to_str())["model"]["merges"]]


@kinds
def test_special_tokens_have_the_first_ids(kind):
    backend = learn_vocabulary(TEXTS, kind, 400)
    assert list(SPECIAL) == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    assert vocabulary_of(backend)[:5] == list(SPECIAL)
    assert backend.encode("").ids == [2, 3]
    assert backend.encode("[MASK] [PAD]", add_special_tokens=False).ids[0] == 4


def test_words_are_the_most_frequent_ones():
    counts = Counter(
        w for text in TEXTS for w in BasicTokenizer(do_lower_case=False).tokenize(text)
    )
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    assert vocabulary_of(learn_vocabulary(TEXTS, "word"))[5:] == ranked
    assert vocabulary_of(learn_vocabulary(TEXTS, "word", 17))[5:] == ranked[:12]
    often = [word for word in ranked if counts[word] >= 3]
    assert 0 < len(often) < len(ranked)
    assert vocabulary_of(learn_vocabulary(TEXTS, "word", min_frequency=3))[5:] == often


def test_characters_are_all_characters_spaces_too():
    counts = Counter("".join(TEXTS))
    ranked = sorted(counts, key=lambda letter: (-counts[letter], letter))
    assert {" ", "\t", "\n", "👍", "好"} < counts.keys()
    assert vocabulary_of(learn_vocabulary(["a\n\n\u2028\r\na"], "character"))[5:7] == ["\n", "a"]
    assert vocabulary_of(learn_vocabulary(TEXTS, "character"))[5:] == ranked
    assert vocabulary_of(learn_vocabulary(TEXTS, "character", 11))[5:] == ranked[:6]


def test_bpe_finds_the_merges_of_sennrich_and_others():
    """Their figure: `e s`, `es t`, `l o`, `lo w` (their end-of-word mark apart)."""
    texts = ["low"] * 5 + ["lower"] * 2 + ["newest"] * 6 + ["widest"] * 3
    backend = learn_vocabulary(texts, "bpe", 5 + 256 + 4)
    assert merges_of(backend) == [("e", "s"), ("es", "t"), ("l", "o"), ("lo", "w")]
    assert vocabulary_of(backend)[-4:] == ["es", "est", "lo", "low"]
    assert backend.encode("lowest", add_special_tokens=False).tokens == ["low", "est"]


corpora = st.lists(st.text("abcd", min_size=1, max_size=9), min_size=1, max_size=12)


@quick
@given(corpora, st.integers(0, 30), st.integers(1, 3))
def test_bpe_learns_and_applies_merges_by_the_book(words, n_merges, least):
    backend = learn_vocabulary([" ".join(words)], "bpe", 261 + n_merges, least)
    units = [*SPECIAL, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    assert len(units) == 261
    marked = [words[0], *("Ġ" + word for word in words[1:])]
    tokens, merges = learn_merges(Counter(marked), units, 261 + n_merges, least)
    assert merges_of(backend) == merges
    assert vocabulary_of(backend) == tokens
    for word in {*words, "abcdabcd"}:
        pieces = list(word)
        for a, b in merges:
            pieces = merged(pieces, a, b)
        assert backend.encode(word, add_special_tokens=False).tokens == pieces


@quick
@given(corpora, st.integers(0, 30), st.integers(1, 3))
def test_wordpiece_learns_the_same_merges(words, n_merges, least):
    inner = sorted({f"##{c}" for word in words for c in word[1:]})
    units = [*SPECIAL, *inner, *sorted(set("".join(words)))]
    size = len(units) + n_merges
    backend = learn_vocabulary(words, "wordpiece", size, least)
    assert vocabulary_of(backend) == learn_merges(Counter(words), units, size, least, "##")[0]


@kinds
def test_training_gives_the_same_ids_each_time(kind):
    """Hugging Face's WordPiece trainer by itself gave 50 vocabularies in 50 runs."""
    texts = ["Wel come to the 🤗 Tok en izers libr ary.", *TEXTS]
    found = {learn_vocabulary(texts, kind, 330).to_str() for _ in range(12)}
    assert len(found) == 1


def test_another_process_with_other_threads_gives_the_same_ids():
    code = (
        "import sys, json; from encoderlib.vocabulary import learn_vocabulary, KINDS\n"
        "texts = json.loads(sys.argv[1])\n"
        "print(json.dumps([learn_vocabulary(texts, k, 330).to_str() for k in KINDS]))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code, json.dumps(TEXTS)],
        capture_output=True,
        text=True,
        check=True,
        env={"RAYON_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PATH": ""},
    )
    here = [learn_vocabulary(TEXTS, kind, 330).to_str() for kind in KINDS]
    assert json.loads(answer.stdout) == here


anything = st.text(max_size=40)
TRAINED = {kind: Tokenizer.train(TEXTS, kind, 400) for kind in KINDS}


@quick
@given(anything)
def test_bytes_give_back_any_text(text):
    assume(not any(name in text for name in SPECIAL))
    ids = TRAINED["bpe"].encode(text)
    assert TRAINED["bpe"].unknown_id not in ids
    assert TRAINED["bpe"].decode(ids) == text


def test_characters_give_back_what_is_made_of_known_ones():
    tokenizer = Tokenizer.train(TEXTS, "character")

    @quick
    @given(st.text(sorted(set("".join(TEXTS))), max_size=40))
    def check(text):
        assert len(tokenizer.encode(text, special=False)) == len(text)
        assert tokenizer.decode(tokenizer.encode(text)) == text

    check()
    assert tokenizer.decode(tokenizer.encode("low Ω")) == "low "
    assert tokenizer.decode(tokenizer.encode("Ω"), skip_special=False) == "[CLS][UNK][SEP]"


@pytest.mark.parametrize("kind", ["word", "wordpiece"])
def test_words_give_back_a_text_with_the_same_ids(kind):
    tokenizer = Tokenizer.train(TEXTS, kind, 400)
    words = sorted({w for t in TEXTS for w in BasicTokenizer(do_lower_case=False).tokenize(t)})

    @quick
    @given(st.lists(st.sampled_from(words)))
    def check(chosen):
        ids = tokenizer.encode(" ".join(chosen))
        if tokenizer.unknown_id not in ids:
            assert tokenizer.encode(tokenizer.decode(ids)) == ids

    check()
    assert tokenizer.decode(tokenizer.encode("the  low rivers , 很好")) == "the low rivers, 很 好"


@kinds
@pytest.mark.parametrize(
    ("options", "known"),
    [({}, "É"), ({"lowercase": True}, "e"), ({"lowercase": True, "strip_accents": False}, "é"),
     ({"strip_accents": True}, "E")],
)  # fmt: skip
def test_case_and_accents_are_kept_unless_told(kind, options, known):
    backend = learn_vocabulary(["É É"], kind, 300, **options)
    tokenizer = Tokenizer(backend)
    assert tokenizer.decode(tokenizer.encode("É É")) == f"{known} {known}"
    assert tokenizer.unknown_id not in tokenizer.encode("É É")


def test_text_is_cleaned_as_in_bert_for_words_only():
    text = "a\x00b\tc很d\u200be"
    for kind, expected in [("word", ["ab", "c", "很", "de"]), ("character", list(text))]:
        backend = learn_vocabulary([text], kind)
        assert backend.encode(text, add_special_tokens=False).tokens == expected


@kinds
@quick
@given(text=st.text(max_size=30) | st.text("ab \x00\u0301\ufffd\U0010ffff很[PAD]", max_size=30))
def test_no_text_raises(kind, text):
    tokenizer = TRAINED[kind]
    ids = tokenizer.encode(text, text)
    assert max(ids) < tokenizer.vocab_size
    tokenizer.decode(ids, skip_special=False)


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match=r"kind='unigram' must be one of \('bpe', 'character', "):
        learn_vocabulary(TEXTS, "unigram")


@kinds
@pytest.mark.parametrize(("texts", "number"), [([], 0), (["", ""], 2), (iter([]), 0)])
def test_texts_without_a_word_are_refused(kind, texts, number):
    with pytest.raises(ValueError, match=f"to learn from, got {number} without a word"):
        learn_vocabulary(texts, kind)


def test_white_space_is_no_word_but_has_characters():
    with pytest.raises(ValueError, match="got 1 without a word"):
        learn_vocabulary([" \n\t"], "word")
    assert vocabulary_of(learn_vocabulary([" \n"], "character"))[5:] == ["\n", " "]


@kinds
def test_one_string_is_not_taken_for_many_texts(kind):
    with pytest.raises(TypeError, match=r"expected several texts, got one string; give a list"):
        learn_vocabulary("low lower", kind)


@pytest.mark.parametrize(
    ("kind", "least"), [("bpe", 261), ("wordpiece", 5 + 5 + 4), ("word", 6), ("character", 6)]
)
def test_a_vocabulary_smaller_than_its_alphabet_is_refused(kind, least):
    texts = ["low lower"]  # for WordPiece l o w e r, and ##o ##w ##e ##r
    with pytest.raises(ValueError, match=f"={least - 1} must be at least {least} .* {least - 5} m"):
        learn_vocabulary(texts, kind, least - 1)
    assert len(vocabulary_of(learn_vocabulary(texts, kind, least))) == least


def test_any_iterable_of_texts_will_do():
    expected = learn_vocabulary(TEXTS, "wordpiece", 400).to_str()
    assert learn_vocabulary(iter(TEXTS), "wordpiece", 400).to_str() == expected


def test_the_defaults_are_wordpiece_8000_and_every_word():
    backend = learn_vocabulary(TEXTS)
    model = json.loads(backend.to_str())["model"]
    assert model["type"] == "WordPiece"
    assert backend.token_to_id("👍") is not None
    many = [f"w{i:05d}x" for i in range(9000)]
    assert backend.encode("niño", add_special_tokens=False).tokens == ["niño"]
    assert len(vocabulary_of(learn_vocabulary(many, "word"))) == 8000


def write_vocabulary(folder, tokens=BERT, **config):
    (folder / "vocab.txt").write_text("\n".join(tokens) + "\n", encoding="utf-8")
    if config:
        (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder / "vocab.txt"


def test_a_bert_vocabulary_has_its_lines_as_ids(tmp_path):
    for end in ("\n", ""):
        path = write_vocabulary(tmp_path)
        path.write_text(path.read_text(encoding="utf-8").removesuffix("\n") + end, encoding="utf-8")
        assert vocabulary_of(read_vocabulary(path)) == BERT  # with U+2028, which is no line's end
    assert vocabulary_of(read_vocabulary(str(tmp_path))) == BERT


@pytest.mark.parametrize(
    ("config", "lowercase", "expected"),
    [
        ({}, None, ["low", "##er", "caf", "##e", "很", "好"]),
        ({}, False, ["[UNK]", "caf", "##é", "很", "好"]),
        ({"do_lower_case": False}, None, ["[UNK]", "caf", "##é", "很", "好"]),
        ({"do_lower_case": False}, True, ["low", "##er", "caf", "##e", "很", "好"]),
        ({"strip_accents": False}, None, ["low", "##er", "caf", "##é", "很", "好"]),
        ({"tokenize_chinese_chars": False}, None, ["low", "##er", "caf", "##e", "很好"]),
    ],
)
def test_the_configuration_beside_a_vocabulary_counts(tmp_path, config, lowercase, expected):
    backend = read_vocabulary(write_vocabulary(tmp_path, **config), lowercase)
    assert backend.encode("LOWer café 很好", add_special_tokens=False).tokens == expected


def test_a_folder_with_both_gives_the_json(tmp_path):
    write_vocabulary(tmp_path)
    learn_vocabulary(TEXTS, "word").save(str(tmp_path / "tokenizer.json"))
    assert read_vocabulary(tmp_path).token_to_id("tide") is not None


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"expected one of .*r\.json'.*vocab\.txt'\], got n"
    ):
        read_vocabulary(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"gone\.json"):
        read_vocabulary(tmp_path / "gone.json")


@pytest.mark.parametrize("text", ["", "{}", "[1, 2]", "no json", '{"version": "1.0"}'])
def test_a_json_that_is_no_tokenizer_is_refused(tmp_path, text):
    (tmp_path / "tokenizer.json").write_text(text)
    with pytest.raises(ValueError, match=r"tokenizer\.json is no tokenizer\.json: \w+"):
        read_vocabulary(tmp_path)


def test_a_text_that_is_no_vocabulary_is_refused(tmp_path):
    path = write_vocabulary(tmp_path, ["[PAD]", "[CLS]", "low"])
    expected = r"vocab\.txt is no BERT vocabulary: expected the lines \['\[UNK\]', '\[SEP\]'\]"
    with pytest.raises(ValueError, match=expected):
        read_vocabulary(path)
    assert read_vocabulary(write_vocabulary(tmp_path, BERT[:4])).get_vocab_size() == 4


def test_lowercase_does_not_go_with_a_json(tmp_path):
    path = tmp_path / "tokenizer.json"
    learn_vocabulary(TEXTS, "word").save(str(path))
    with pytest.raises(ValueError, match=r"has its own normalisation; leave lowercase out"):
        read_vocabulary(path, lowercase=False)
