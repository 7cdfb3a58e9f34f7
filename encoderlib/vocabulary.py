"""Vocabularies for `tokenization`: learnt from texts, or read from files (chapter 02).

Both give a ``tokenizers.Tokenizer`` of Hugging Face, imported when it is needed.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

__all__ = ["KINDS", "SPECIAL", "learn_vocabulary", "read_vocabulary"]

KINDS = ("bpe", "character", "word", "wordpiece")
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def learn_vocabulary(
    texts: Iterable[str],
    kind: str = "wordpiece",
    vocab_size: int = 8000,
    min_frequency: int = 1,
    lowercase: bool = False,
    strip_accents: bool | None = None,
) -> Any:
    """Learn a vocabulary; the same texts give the same ids in every process.

    =============  =======================================  ====================================
    kind           a text is cut into                       ``decode(encode(x))``
    =============  =======================================  ====================================
    ``word``       words and punctuation marks              a text that gives the same ids
    ``wordpiece``  those, then the longest known pieces     as ``word``
    ``character``  Unicode characters                       ``x``, if all were in ``texts``
    ``bpe``        bytes, merged within words               ``x``, always
    =============  =======================================  ====================================

    The first two normalise and split as BERT does (Devlin et al. 2019): control characters go,
    each Chinese character is a word. The last two keep every character, spaces too, unless
    ``lowercase`` or ``strip_accents`` is set. A text that holds the name of a special token,
    or an unknown word, does not come back whole.

    BPE merges the most frequent pair of neighbours again and again (Sennrich et al. 2016,
    section 3.2). The unit here is the byte (Radford et al. 2019), not the character, because
    256 units spell any text and nothing is ever unknown. The space before a word is part of it,
    where Sennrich et al. mark the end of a word. WordPiece learns by the same merges, as in
    Hugging Face's library; Schuster, Nakajima 2012 choose pairs by likelihood.

    Args:
        texts: the training texts.
        kind: one of `KINDS`.
        vocab_size: largest V; the five of `SPECIAL` count, and have the ids 0 to 4.
        min_frequency: rarer words or characters are left out, rarer pairs are not merged.
        lowercase: make all letters small.
        strip_accents: drop accents; None means as ``lowercase``, as in BERT.

    Returns:
        A ``tokenizers.Tokenizer``.

    Raises:
        TypeError: if ``texts`` is one string.
        ValueError: for another kind, texts without a word, or a ``vocab_size`` too small for
            the special tokens and the alphabet.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    if kind not in KINDS:
        raise ValueError(f"kind={kind!r} must be one of {KINDS}")
    if isinstance(texts, str):
        raise TypeError("expected several texts, got one string; give a list: [text]")
    texts = list(texts)
    style = (kind, lowercase, strip_accents)

    def train(model: Any, trainer: Any) -> Any:
        backend = _with_style(Tokenizer(model), *style)
        backend.train_from_iterator(texts, trainer)
        return backend

    counter = trainers.WordLevelTrainer(vocab_size=2**62, show_progress=False)
    words = train(models.WordLevel(), counter).get_vocab()
    if not words:
        raise ValueError(f"expected texts to learn from, got {len(texts)} without a word")

    # The letters within words, `##x`, are told to the trainer in order. It would number them in
    # the order of a hash map, which changes from run to run and decides ties between pairs.
    inner = sorted({f"##{letter}" for word in words for letter in word[1:]})
    letters = {
        "bpe": pre_tokenizers.ByteLevel.alphabet(),
        "wordpiece": [*inner, *{letter for word in words for letter in word}],
    }.get(kind, [])
    least = len(SPECIAL) + max(1, len(letters))
    if vocab_size < least:
        raise ValueError(
            f"vocab_size={vocab_size} must be at least {least} for these texts: "
            f"{len(SPECIAL)} special tokens and {least - len(SPECIAL)} more"
        )
    options = {
        "vocab_size": vocab_size,
        "min_frequency": min_frequency,
        "special_tokens": [*SPECIAL, *(inner if kind == "wordpiece" else [])],
        "show_progress": False,
    }
    if kind == "bpe":
        trained = train(models.BPE(), trainers.BpeTrainer(initial_alphabet=letters, **options))
    elif kind == "wordpiece":
        model = models.WordPiece(unk_token="[UNK]")
        trained = train(model, trainers.WordPieceTrainer(**options))
    else:
        model = models.WordLevel(unk_token="[UNK]")
        trained = train(model, trainers.WordLevelTrainer(**options))
    # A new one, because in the trained one the letters `##x` are special tokens.
    return _with_style(Tokenizer(trained.model), *style)


def read_vocabulary(path: str | Path, lowercase: bool | None = None) -> Any:
    """Read a ``tokenizer.json``, a BERT ``vocab.txt``, or a folder that holds one of them.

    Args:
        path: a file or folder of Hugging Face, or what `Tokenizer.save` wrote.
        lowercase: for a ``vocab.txt``, which does not say it; None reads
            ``tokenizer_config.json`` beside it, and without that is True, as in BERT.

    Returns:
        A ``tokenizers.Tokenizer``.

    Raises:
        FileNotFoundError: if there is no such file, or none in the folder.
        ValueError: if the file is no tokenizer, or if ``lowercase`` is given for a
            ``tokenizer.json``, which has its own.
    """
    from tokenizers import Tokenizer, models

    path = Path(path)
    if path.is_dir():
        files = [path / "tokenizer.json", path / "vocab.txt"]
        path = next((file for file in files if file.exists()), None)
        if path is None:
            raise FileNotFoundError(f"expected one of {[str(file) for file in files]}, got none")
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".txt":
        if lowercase is not None:
            raise ValueError(f"{path} has its own normalisation; leave lowercase out")
        try:
            return Tokenizer.from_str(text)
        except Exception as error:  # the library raises no narrower class
            raise ValueError(f"{path} is no tokenizer.json: {error}") from error
    # Not splitlines(): BERT's vocabularies hold separators such as U+2028 as tokens.
    vocabulary = {token: i for i, token in enumerate(text.removesuffix("\n").split("\n"))}
    missing = [token for token in SPECIAL[:4] if token not in vocabulary]
    if missing:
        raise ValueError(f"{path} is no BERT vocabulary: expected the lines {missing}, got none")
    beside = path.with_name("tokenizer_config.json")
    config = json.loads(beside.read_text(encoding="utf-8")) if beside.exists() else {}
    return _with_style(
        Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]")),
        "wordpiece",
        config.get("do_lower_case", True) if lowercase is None else lowercase,
        config.get("strip_accents"),
        config.get("tokenize_chinese_chars", True),
    )


def _with_style(
    backend: Any, kind: str, lowercase: bool, strip_accents: bool | None, chinese: bool = True
) -> Any:
    """Set how a tokenizer normalises, splits, puts together again, and adds special tokens."""
    from tokenizers import Regex, decoders, normalizers, pre_tokenizers, processors

    bert = kind in ("word", "wordpiece")
    backend.normalizer = normalizers.BertNormalizer(
        clean_text=bert,
        handle_chinese_chars=bert and chinese,
        strip_accents=strip_accents,
        lowercase=lowercase,
    )
    if bert:
        backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        backend.decoder = decoders.WordPiece(prefix="##")
    elif kind == "bpe":
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        backend.decoder = decoders.ByteLevel()
    else:
        backend.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
        backend.decoder = decoders.Fuse()
    special = [(token, backend.token_to_id(token)) for token in SPECIAL]
    special = [(token, i) for token, i in special if i is not None]
    if special:  # the vocabulary is known
        backend.add_special_tokens([token for token, _ in special])
        template = processors.TemplateProcessing(
            single="[CLS] $A [SEP]",
            pair="[CLS] $A [SEP] $B:1 [SEP]:1",
            special_tokens=special,
        )
        # A byte-level piece holds the space before its word; its offsets shall not.
        trim = [processors.ByteLevel(trim_offsets=True)] if kind == "bpe" else []
        backend.post_processor = processors.Sequence([*trim, template])
    return backend
