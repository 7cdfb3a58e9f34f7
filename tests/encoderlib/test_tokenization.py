"""encoderlib.tokenization: the same ids as Hugging Face's, padded batches, aligned labels."""

import json
import pickle
import random

import pytest
import tokenizers
import torch
import torch.nn.functional as F
import transformers
from transformers.models.bert.tokenization_bert_legacy import BertTokenizerLegacy

from encoderlib.tokenization import Tokenizer, align_labels, collate
from encoderlib.vocabulary import KINDS, SPECIAL, learn_vocabulary

TEXTS = [
    "The low tide was lower still; the newest and the widest rivers ran low.",
    "Das Café liegt am Ufer, nicht weit vom Fluß. El niño nadó allí.",
    "这部电影很好看，演员也很好。 It is 3.14 times better!",
    "low low low lowest 很好 👍 don't stop",
]
HARD = [
    *TEXTS,
    "",
    "   ",
    "UPPER lower MiXeD naïve Ångström İstanbul ẞ ǆ",
    "cafe\u0301 n\u0303",  # letter and combining accent
    "很low好er中间のかな 한국어",
    "👍🏽👨‍👩‍👧 🤗",
    "a\x00b\x07c\u200bd\ufeffe\ufffdf\tg\r\nh\xa0i\u3000j\u2028k",
    "x" * 99 + " " + "x" * 100 + " " + "x" * 101 + " " + "很" * 120,
    "don't stop-it; $5.00 (a+b)=c^2 #tag @you `x` ~y~ |z| <w>",
    "Ω ≈ ∑ 𝔘𝔫𝔦 ½ ①",
    "[CLS] low [MASK] er [SEP] [pad]",
]
kinds = pytest.mark.parametrize("kind", KINDS)
TRAINED = {kind: Tokenizer.train(TEXTS, kind, 400) for kind in KINDS}
SENTENCE = ["The", "lowest", "很好", "don't", "café!", "New York"]


@pytest.fixture
def bert_vocabulary(tmp_path):
    """A vocabulary file with cased and small letters, and pieces for most texts above."""
    small = learn_vocabulary([t.lower() for t in HARD[:7]], "wordpiece", 600)
    large = learn_vocabulary(HARD, "wordpiece", 900)
    tokens = dict.fromkeys([*SPECIAL, *sorted(small.get_vocab()), *sorted(large.get_vocab())])
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join(tokens), encoding="utf-8")
    return path


@pytest.mark.parametrize("lowercase", [True, False])
def test_ids_are_those_of_bert(bert_vocabulary, lowercase):
    ours = Tokenizer.load(bert_vocabulary, lowercase)
    theirs = transformers.BertTokenizer(vocab=str(bert_vocabulary), do_lower_case=lowercase)
    slow = BertTokenizerLegacy(str(bert_vocabulary), do_lower_case=lowercase)
    for text in HARD:
        ids = ours.encode(text)
        assert ids == theirs(text)["input_ids"], text
        if "\u0301" not in text or lowercase:  # the slow one composes accents, BERT did not
            assert ids == slow.encode(text), text
        assert ours.encode(text, special=False) == ids[1:-1]
    used = {i for text in HARD for i in ours.encode(text)}
    assert len(used) > 100
    assert ours.unknown_id in used


def test_batches_are_those_of_bert(bert_vocabulary):
    ours = Tokenizer.load(bert_vocabulary)
    theirs = transformers.BertTokenizer(vocab=str(bert_vocabulary))
    others = random.Random(3).sample(HARD, len(HARD))
    for pairs in (None, others):
        for longest in (None, 4, 5, 8, 13, 1000):
            got = ours(HARD, pairs, max_length=longest)
            options = {"padding": True, "return_tensors": "pt", "return_offsets_mapping": True}
            expected = theirs(
                HARD, pairs, truncation=longest is not None, max_length=longest, **options
            )
            assert torch.equal(got.ids, expected["input_ids"])
            assert torch.equal(got.tokens, expected["attention_mask"].bool())
            assert torch.equal(got.segments, expected["token_type_ids"])
            assert torch.equal(got.offsets, expected["offset_mapping"])
            size = got.ids.size(1)
            for b in range(len(HARD)):
                numbers = zip(expected.word_ids(b), expected.sequence_ids(b), strict=True)
                numbers = [w if s == 0 else -1 for w, s in numbers]
                assert got.words[b].tolist() == numbers
            assert (got.segments.max() == 1) == (pairs is not None)
            assert size <= (longest or size)


def test_words_of_a_sentence_are_those_of_bert(bert_vocabulary):
    ours = Tokenizer.load(bert_vocabulary)
    theirs = transformers.BertTokenizer(vocab=str(bert_vocabulary))
    sentences = [SENTENCE, ["low"], ["3.14", "", "\x00", "times"], []]
    got = ours(sentences, max_length=9)
    expected = theirs(
        sentences, is_split_into_words=True, padding=True, truncation=True, max_length=9
    )
    assert got.ids.tolist() == expected["input_ids"]
    for b in range(len(sentences)):
        numbers = [-1 if word is None else word for word in expected.word_ids(b)]
        assert got.words[b].tolist() == numbers


@kinds
def test_dtypes_and_shapes(kind):
    got = TRAINED[kind](["low lower", ""], ["a", "b c"])
    size = got.ids.size(1)
    for name, value in got._asdict().items():
        assert value.shape == ((2, size, 2) if name == "offsets" else (2, size))
        assert value.dtype == (torch.bool if name == "tokens" else torch.int64)
    for name, value in TRAINED[kind]([])._asdict().items():
        assert value.shape == ((0, 0, 2) if name == "offsets" else (0, 0))


@kinds
def test_a_batch_is_its_texts_padded_with_the_padding_id(kind):
    tokenizer = TRAINED[kind]
    got = tokenizer(HARD)
    for text, ids, tokens in zip(HARD, got.ids, got.tokens, strict=True):
        expected = tokenizer.encode(text)
        n = len(expected)
        assert ids[:n].tolist() == expected
        assert tokens.tolist() == [True] * n + [False] * (len(ids) - n)
        assert (ids[n:] == tokenizer.padding_id).all()
    assert got.ids.size(1) == max(len(tokenizer.encode(text)) for text in HARD)
    assert tokenizer(HARD[:1], special=False).ids[0].tolist() == tokenizer.encode(HARD[0])[1:-1]


@kinds
def test_words_are_joined_by_spaces_and_own_their_pieces(kind):
    tokenizer, text = TRAINED[kind], " ".join(SENTENCE)
    got = tokenizer([SENTENCE])
    assert got.ids[0].tolist() == tokenizer.encode(text)
    starts = [len(" ".join([*SENTENCE[:i], ""])) for i in range(len(SENTENCE))]
    seen = set()
    for word, (start, end) in zip(got.words[0].tolist(), got.offsets[0].tolist(), strict=True):
        inside = [
            i
            for i, (first, name) in enumerate(zip(starts, SENTENCE, strict=True))
            if first <= start < end <= first + len(name)
        ]
        assert [word] == (inside or [-1])
        seen.add(word)
    assert seen == {-1, 0, 1, 2, 3, 4, 5}
    assert tokenizer([tuple(SENTENCE)]).ids.tolist() == got.ids.tolist()


def test_a_piece_that_begins_with_the_space_belongs_to_the_word_after_it():
    """So it is in byte-level files whose offsets are not trimmed."""
    backend = learn_vocabulary(["low lower low lower"], "bpe", 400)
    expected = Tokenizer(backend)([["low", "lower"]], special=False)
    backend.post_processor = tokenizers.processors.ByteLevel(trim_offsets=False)
    got = Tokenizer(backend)([["low", "lower"]])
    assert torch.equal(got.ids, expected.ids)
    assert got.offsets.tolist() == [[[0, 3], [3, 9]]]
    assert got.words.tolist() == expected.words.tolist() == [[0, 1]]


@kinds
def test_offsets_cut_the_piece_out_of_its_text(kind):
    text = "low tide, lower " if kind == "bpe" else "low tide, lower 很好 low"
    got = TRAINED[kind]([text])
    cut = [text[start:end] for start, end in got.offsets[0].tolist()]
    bare = [p.removeprefix("##").removeprefix("Ġ") for p in TRAINED[kind].pieces(got.ids[0])]
    assert cut == ["", *bare[1:-1], ""]


def test_bytes_of_one_letter_have_its_offsets():
    got = TRAINED["bpe"](["low 𝔘"])
    assert got.offsets[0].tolist() == [[0, 0], [0, 3], [4, 4], *[[4, 5]] * 4, [0, 0]]
    assert got.words[0].tolist() == [-1, 0, *[1] * 5, -1]
    given = TRAINED["bpe"]([["low", "𝔘"]])
    assert given.words[0].tolist() == [-1, 0, -1, *[1] * 4, -1]  # the space is in no word


@kinds
def test_only_the_first_text_of_a_pair_has_words(kind):
    tokenizer = TRAINED[kind]
    for texts in (["low lower"], [["low", "lower"]]):
        got = tokenizer(texts, ["tide low"])
        first = tokenizer(texts).words[0]
        n = len(first)
        assert torch.equal(got.words[0, :n], first)
        assert (got.words[0, n:] == -1).all()
        assert got.segments[0].tolist() == [0] * n + [1] * (got.ids.size(1) - n)
    assert got.ids[0].tolist() == tokenizer.encode("low lower", "tide low")


@kinds
def test_a_cut_keeps_cls_and_sep_and_is_forgotten_afterwards(kind):
    tokenizer = TRAINED[kind]
    whole = tokenizer.encode(TEXTS[0])
    cut = tokenizer([TEXTS[0], "low"], max_length=7).ids
    assert cut.size(1) == 7
    assert cut[0].tolist() == [*whole[:6], whole[-1]]
    assert tokenizer([TEXTS[0]], max_length=7, special=False).ids[0].tolist() == whole[1:8]
    assert tokenizer.encode(TEXTS[0]) == whole
    assert tokenizer([TEXTS[0]]).ids[0].tolist() == whole
    with pytest.raises(TypeError):
        tokenizer(["low"], [None], max_length=7)
    assert tokenizer.encode(TEXTS[0]) == whole


def test_a_length_without_room_is_refused():
    """The library would ignore it, and give more tokens than were asked for."""
    tokenizer = TRAINED["word"]
    for length, pairs, n_special in [(2, None, 2), (0, None, 2), (3, ["low"], 3)]:
        with pytest.raises(ValueError, match=f"={length} must be more than the {n_special} spec"):
            tokenizer(["low low"], pairs, max_length=length)
    assert tokenizer(["low low"], max_length=3).ids.shape == (1, 3)
    assert tokenizer(["low low"], ["low"], max_length=4).ids.shape == (1, 4)
    assert tokenizer(["low low"], max_length=1, special=False).ids.shape == (1, 1)
    with pytest.raises(ValueError, match="max_length=0 must be more than the 0 special tokens"):
        tokenizer(["low low"], max_length=0, special=False)


def test_texts_and_pairs_must_match():
    tokenizer = TRAINED["word"]
    with pytest.raises(ValueError, match="expected 2 pairs, one for each text, got 1"):
        tokenizer(["low", "low"], ["low"])
    with pytest.raises(TypeError, match=r"expected several texts, got one string; give a list"):
        tokenizer("low")


@kinds
def test_saved_and_loaded_again_it_is_the_same(kind, tmp_path):
    path = tmp_path / "tokenizer.json"
    tokenizer = TRAINED[kind]
    tokenizer.save(path)
    theirs = transformers.PreTrainedTokenizerFast(tokenizer_file=str(path))
    again = [
        Tokenizer.load(path),
        Tokenizer.load(str(tmp_path)),
        pickle.loads(pickle.dumps(tokenizer)),
    ]
    for text in HARD:
        ids = tokenizer.encode(text, "low")
        assert theirs(text, "low")["input_ids"] == ids
        for other in again:
            assert other.encode(text, "low") == ids
            assert other.decode(ids) == tokenizer.decode(ids)
    assert {other.vocab_size for other in again} == {tokenizer.vocab_size}


def test_bert_special_tokens_are_found_by_name(bert_vocabulary):
    tokens = bert_vocabulary.read_text(encoding="utf-8").split("\n")
    names = ["[MASK]", "low", "[SEP]", "[UNK]", "[CLS]", "[PAD]", "x"]
    bert_vocabulary.write_text(
        "\n".join([*names, *(t for t in tokens if t not in names)]), encoding="utf-8"
    )
    got = Tokenizer.load(bert_vocabulary)
    found = (got.mask_id, got.sep_id, got.unknown_id, got.cls_id, got.padding_id)
    assert found == (0, 2, 3, 4, 5)
    assert got(["low", "low x"]).ids.tolist() == [[4, 1, 2, 5], [4, 1, 6, 2]]


def test_a_tokenizer_of_roberta_keeps_its_own_special_tokens(tmp_path):
    names = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    vocabulary = {name: i for i, name in enumerate(names)}
    trained = TRAINED["bpe"].backend.get_vocab(with_added_tokens=True)
    vocabulary |= {token: i for token, i in trained.items() if token not in SPECIAL}
    merges = json.loads(TRAINED["bpe"].backend.to_str())["model"]["merges"]
    theirs = transformers.RobertaTokenizer(vocab=vocabulary, merges=[tuple(m) for m in merges])
    theirs.save_pretrained(tmp_path)
    ours = Tokenizer.load(tmp_path)
    found = (ours.cls_id, ours.padding_id, ours.sep_id, ours.unknown_id, ours.mask_id)
    assert found == (0, 1, 2, 3, 4)
    expected = theirs(HARD, padding=True, return_tensors="pt")
    got = ours(HARD)
    assert torch.equal(got.ids, expected["input_ids"])
    assert torch.equal(got.tokens, expected["attention_mask"].bool())


def test_a_loaded_tokenizer_neither_cuts_nor_pads_by_itself():
    backend = learn_vocabulary(TEXTS, "word")
    backend.enable_truncation(3)
    backend.enable_padding(length=11, pad_id=4)
    assert Tokenizer(backend).encode("low low low") == TRAINED["word"].encode("low low low")


def test_without_a_padding_token_it_is_refused():
    model = tokenizers.models.WordLevel({"low": 0, "[UNK]": 1}, unk_token="[UNK]")
    with pytest.raises(
        ValueError, match=r"expected a padding token \[PAD\] or <pad>, got none amo"
    ):
        Tokenizer(tokenizers.Tokenizer(model))
    backend = tokenizers.Tokenizer(model)
    backend.add_special_tokens(["[PAD]"])
    got = Tokenizer(backend)
    assert (got.padding_id, got.vocab_size) == (2, 3)
    assert got.cls_id is got.sep_id is got.mask_id is None
    assert got(["low", "[PAD]low"]).ids.tolist() == [[0, 2], [2, 0]]


def test_the_vocabulary_size_is_that_of_an_embedding():
    """Ids may have gaps: a table needs a row up to the largest."""
    model = tokenizers.models.WordLevel({"[PAD]": 0, "low": 41}, unk_token="[PAD]")
    assert Tokenizer(tokenizers.Tokenizer(model)).vocab_size == 42


def test_training_takes_the_options_of_a_vocabulary():
    got = Tokenizer.train(iter(TEXTS), "word", 30, min_frequency=2, lowercase=True)
    expected = learn_vocabulary(TEXTS, "word", 30, min_frequency=2, lowercase=True)
    assert got.backend.to_str() == expected.to_str()
    assert Tokenizer.train(TEXTS).backend.to_str() == learn_vocabulary(TEXTS).to_str()


def test_decoding_drops_special_tokens_unless_told():
    tokenizer = TRAINED["wordpiece"]
    ids = [2, *tokenizer.encode("the lowest", special=False), 1, 3, 0, 0]
    assert tokenizer.decode(ids) == "the lowest"
    assert tokenizer.decode(torch.tensor(ids)) == "the lowest"
    kept = tokenizer.decode(ids, skip_special=False)
    assert kept == "[CLS] the lowest [UNK] [SEP] [PAD] [PAD]"
    assert tokenizer.pieces(torch.tensor(ids))[:2] == ["[CLS]", "the"]
    assert tokenizer.decode([]) == ""


@pytest.mark.parametrize("wrong", [-1, 10**6])
def test_ids_outside_of_the_vocabulary_are_refused(wrong):
    tokenizer = TRAINED["word"]
    for method in (tokenizer.decode, tokenizer.pieces):
        with pytest.raises(ValueError, match=f"id {wrong} is not in the vocabulary of size "):
            method([5, wrong])
        with pytest.raises(ValueError, match=f"of size {tokenizer.vocab_size}"):
            method([tokenizer.vocab_size])
        method([tokenizer.vocab_size - 1])


def test_collate_pads_at_the_end():
    rows = [[3, 1], [], [5, 6, 7], torch.tensor([9])]
    got = collate(rows, padding_id=4)
    assert got.dtype == torch.int64
    assert got.tolist() == [[3, 1, 4], [4, 4, 4], [5, 6, 7], [9, 4, 4]]
    assert collate([[1], [2, 3]]).tolist() == [[1, 0], [2, 3]]
    assert collate([]).shape == (0, 0)
    assert collate([[], []]).shape == (2, 0)
    assert collate([[2**40]]).item() == 2**40
    expected = torch.nn.utils.rnn.pad_sequence([torch.tensor([1, 2]), torch.tensor([3])], True)
    assert torch.equal(collate([[1, 2], [3]]), expected)


def test_the_first_piece_of_a_word_has_its_label():
    """Errata E004-31 and E004-33: [CLS] w0 w1 w2 ##w2 w3 [SEP] [PAD]."""
    words = torch.tensor([[-1, 0, 1, 2, 2, 3, -1, -1]])
    expected = [[-100, 1, 0, 2, -100, 0, -100, -100]]
    assert align_labels([[1, 0, 2, 0]], words).tolist() == expected
    assert align_labels([[1, 0, 2, 0]], words, ignore=7)[0, [0, 4, 6, 7]].tolist() == [7] * 4


def test_labels_beyond_a_cut_are_dropped_and_batches_stack():
    """Erratum E004-32: 30 words in 16 tokens, beside two words."""
    labels = [list(range(30)), [1, 2]]
    got = align_labels(labels, TRAINED["word"]([["low"] * 30, ["low"] * 2], max_length=16).words)
    assert got.shape == (2, 16)
    assert got[0].tolist() == [-100, *range(14), -100]
    assert got[1].tolist() == [-100, 1, 2, *[-100] * 13]
    assert got.dtype == torch.int64


def test_a_word_has_one_label_even_if_something_stands_within_it():
    words = torch.tensor([[0, -1, 0, 1, 0]])
    assert align_labels([[3, 4]], words).tolist() == [[3, -100, -100, 4, -100]]


@kinds
def test_each_word_with_a_piece_has_its_label_once(kind):
    labels = [[11, 12, 13, 14, 15, 16], [17]]
    words = TRAINED[kind]([SENTENCE, ["low"]]).words
    got = align_labels(labels, words)
    assert [row[row != -100].tolist() for row in got] == labels
    assert (got[words < 0] == -100).all()


def test_padding_does_not_change_the_loss():
    """Erratum E004-33: padding with the label O counts as right answers."""
    tokenizer = TRAINED["wordpiece"]
    labels = [[1, 2, 0], [2]]
    batch = tokenizer([["low", "lowest", "tide"], ["rivers"]])
    got = align_labels(labels, batch.words)
    logits = torch.randn(*got.shape, 3)
    loss = F.cross_entropy(logits.flatten(0, 1), got.flatten())
    real = [(b, t) for b in range(2) for t in range(got.size(1)) if got[b, t] >= 0]
    assert len(real) == 4
    expected = torch.stack([F.cross_entropy(logits[i], got[i]) for i in real]).mean()
    torch.testing.assert_close(loss, expected)


def test_wrong_numbers_of_labels_are_refused():
    words = torch.tensor([[0, 1, -1], [0, 1, 2]])
    with pytest.raises(ValueError, match="expected labels for 2 sequences, got 1"):
        align_labels([[1, 2]], words)
    with pytest.raises(
        ValueError, match="sequence 1 has pieces of 3 words, got 2 labels; give the"
    ):
        align_labels([[1, 2], [1, 2]], words)
    assert align_labels([], torch.zeros(0, 0, dtype=torch.int64)).shape == (0, 0)
    assert align_labels([[], []], torch.zeros(2, 0, dtype=torch.int64)).shape == (2, 0)
