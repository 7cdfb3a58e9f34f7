"""Text to padded batches of token ids, and back (chapter 02); labels of pieces (chapter 13).

`Tokenizer` wraps a tokenizer of Hugging Face's `tokenizers`, whose Rust code does the work;
`collate` and `align_labels` need only torch.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from encoderlib.vocabulary import learn_vocabulary, read_vocabulary

__all__ = ["Batch", "Tokenizer", "align_labels", "collate"]


class Batch(NamedTuple):
    """Tokenized texts, padded at the end to the longest.

    Args:
        ids: ``(B, T)``, int64, the padding id where there is no token.
        tokens: ``(B, T)``, True = real token, False = padding.
        segments: ``(B, T)``, int64, 1 for the second text of a pair and its [SEP], else 0.
        words: ``(B, T)``, int64, which word of the *first* text the piece belongs to: of the
            words that were given, or else of those that the tokenizer split off. -1 for special
            tokens, padding and the second text.
        offsets: ``(B, T, 2)``, int64, start and end of the piece in its text, as for a slice.
            Where words were given, the text is these joined by single spaces.
    """

    ids: Int[Tensor, "B T"]
    tokens: Bool[Tensor, "B T"]
    segments: Int[Tensor, "B T"]
    words: Int[Tensor, "B T"]
    offsets: Int[Tensor, "B T 2"]


class Tokenizer:
    """A vocabulary and the way to it and back; make one with `train` or `load`.

    Differs from ``transformers.PreTrainedTokenizerFast``: a call pads always and cuts only at a
    ``max_length`` that it is given; ``tokens`` is boolean where ``attention_mask`` is 1/0.

    Args:
        backend: a ``tokenizers.Tokenizer``, kept as the attribute ``backend``. Its own padding
            and truncation are switched off.

    Attributes: ``padding_id``, ``unknown_id``, ``cls_id``, ``sep_id``, ``mask_id``, None where
    there is no such token (RoBERTa's ``<s>`` and ``</s>`` are its cls and sep), and
    ``vocab_size``, V, one more than the largest id.

    Raises:
        ValueError: if there is no padding token ``[PAD]`` or ``<pad>``.
    """

    def __init__(self, backend: Any):
        vocabulary = backend.get_vocab(with_added_tokens=True)

        def find(*names: str) -> int | None:
            return next((vocabulary[name] for name in names if name in vocabulary), None)

        self.padding_id = find("[PAD]", "<pad>")
        if self.padding_id is None:
            raise ValueError(
                f"expected a padding token [PAD] or <pad>, got none among {len(vocabulary)} "
                "tokens; add it with tokenizers' add_special_tokens(['[PAD]'])"
            )
        self.unknown_id, self.mask_id = find("[UNK]", "<unk>"), find("[MASK]", "<mask>")
        self.cls_id, self.sep_id = find("[CLS]", "<s>"), find("[SEP]", "</s>")
        self.vocab_size = max(vocabulary.values()) + 1
        backend.no_padding()
        backend.no_truncation()
        self.backend = backend

    @classmethod
    def train(
        cls, texts: Iterable[str], kind: str = "wordpiece", vocab_size: int = 8000, **options: Any
    ) -> "Tokenizer":
        """Learn a vocabulary; all arguments and errors are those of `learn_vocabulary`."""
        return cls(learn_vocabulary(texts, kind, vocab_size, **options))

    @classmethod
    def load(cls, path: str | Path, lowercase: bool | None = None) -> "Tokenizer":
        """Read a file or folder; the arguments and errors are those of `read_vocabulary`."""
        return cls(read_vocabulary(path, lowercase))

    def save(self, path: str | Path) -> None:
        """Write a ``tokenizer.json``, which Hugging Face's libraries read too."""
        Path(path).write_text(self.backend.to_str(pretty=True), encoding="utf-8")

    def encode(self, text: str, pair: str | None = None, special: bool = True) -> list[int]:
        """Ids of ``[CLS] text [SEP]``, or of ``[CLS] text [SEP] pair [SEP]``.

        ``special=False`` leaves [CLS] and [SEP] out. The name of a special token within a text
        becomes that token, as with Hugging Face.
        """
        return self.backend.encode(text, pair, add_special_tokens=special).ids

    def decode(self, ids: Sequence[int] | Int[Tensor, " T"], skip_special: bool = True) -> str:
        """Text of ids; `learn_vocabulary` says when it is the text that was encoded.

        ``skip_special`` leaves special tokens out, [UNK] too.

        Raises:
            ValueError: for an id that is not in the vocabulary.
        """
        self.pieces(ids)  # the backend would leave such an id out without a word
        return self.backend.decode([int(i) for i in ids], skip_special_tokens=skip_special)

    def pieces(self, ids: Sequence[int] | Int[Tensor, " T"]) -> list[str]:
        """The vocabulary's entry for each id, such as ``["low", "##er"]``.

        Raises:
            ValueError: for an id that is not in the vocabulary.
        """
        ids = [int(i) for i in ids]
        pieces = [self.backend.id_to_token(i) if i >= 0 else None for i in ids]
        if None in pieces:
            wrong = ids[pieces.index(None)]
            raise ValueError(f"id {wrong} is not in the vocabulary of size {self.vocab_size}")
        return pieces

    def __call__(
        self,
        texts: Sequence[str] | Sequence[Sequence[str]],
        pairs: Sequence[str] | None = None,
        max_length: int | None = None,
        special: bool = True,
    ) -> Batch:
        """A padded `Batch` of texts, of pairs of texts, or of lists of words.

        Args:
            texts: strings, or lists of words, which are joined by spaces.
            pairs: a second text for each.
            max_length: largest T, special tokens included; of a pair, the longer text is cut
                first. None = never cut.
            special: add [CLS] and [SEP].

        Raises:
            TypeError: if ``texts`` is one string.
            ValueError: for unequal numbers of texts and pairs, or a ``max_length`` without room
                beside the special tokens.
        """
        if isinstance(texts, str):
            raise TypeError("expected several texts, got one string; give a list: [text]")
        joined = [text if isinstance(text, str) else " ".join(text) for text in texts]
        if pairs is not None and len(pairs) != len(joined):
            raise ValueError(f"expected {len(joined)} pairs, one for each text, got {len(pairs)}")
        n_special = self.backend.num_special_tokens_to_add(pairs is not None) if special else 0
        if max_length is not None and max_length <= n_special:
            raise ValueError(
                f"max_length={max_length} must be more than the {n_special} special tokens"
            )
        inputs = joined if pairs is None else list(zip(joined, pairs, strict=True))
        if max_length is not None:
            self.backend.enable_truncation(max_length)
        try:
            encodings = self.backend.encode_batch(inputs, add_special_tokens=special)
        finally:
            self.backend.no_truncation()

        flat = collate([[i for span in e.offsets for i in span] for e in encodings])  # (B, 2 T)
        return Batch(
            ids=collate([e.ids for e in encodings], self.padding_id),
            tokens=collate([e.attention_mask for e in encodings]).bool(),
            segments=collate([e.type_ids for e in encodings]),
            words=collate([_words(e, t) for e, t in zip(encodings, texts, strict=True)], -1),
            offsets=flat.reshape(len(flat), flat.size(1) // 2, 2),  # (B, T, 2)
        )


def collate(sequences: Sequence[Sequence[int]], padding_id: int = 0) -> Int[Tensor, "B T"]:
    """Pad lists of ids at the end to the longest: int64 ``(B, T)``.

    ``torch.nn.utils.rnn.pad_sequence`` does the same for tensors.
    """
    size = max(map(len, sequences), default=0)
    ids = torch.full((len(sequences), size), padding_id, dtype=torch.int64)  # (B, T)
    for row, sequence in zip(ids.numpy(), sequences, strict=True):  # NumPy writes into `ids`
        row[: len(sequence)] = sequence
    return ids


def align_labels(
    word_labels: Sequence[Sequence[int]], words: Int[Tensor, "B T"], ignore: int = -100
) -> Int[Tensor, "B T"]:
    """Labels of words to labels of pieces: the first piece of a word has the word's label.

    All else gets ``ignore``, which ``F.cross_entropy`` leaves out: other pieces, special tokens
    and padding. A label whose word was cut off is dropped.

    Args:
        word_labels: for each sequence a label for each of its words.
        words: `Batch.words` of a call with lists of words: -1 = no word.
        ignore: the label that does not count.

    Raises:
        ValueError: if the numbers of sequences differ, or a piece's word has no label.
    """
    if len(word_labels) != len(words):
        raise ValueError(f"expected labels for {len(words)} sequences, got {len(word_labels)}")
    aligned = torch.full_like(words, ignore)  # (B, T)
    for b, (labels, row) in enumerate(zip(word_labels, words.tolist(), strict=True)):
        if row and max(row) >= len(labels):
            raise ValueError(
                f"sequence {b} has pieces of {max(row) + 1} words, got {len(labels)} labels; "
                "give the tokenizer the list of words, and a label for each"
            )
        for t, word in enumerate(row):
            if word >= 0 and word not in row[:t]:
                aligned[b, t] = labels[word]
    return aligned


def _words(encoding: Any, text: str | Sequence[str]) -> list[int]:
    """The number of the word of each piece; -1 if it is in none, or in the second text."""
    if isinstance(text, str):
        numbers = [-1 if word is None else word for word in encoding.word_ids]
    else:
        owner = [o for i, word in enumerate(text) for o in [i] * len(word) + [-1]]  # of a letter
        numbers = [owner[end - 1] if end > start else -1 for start, end in encoding.offsets]
    return [i if s == 0 else -1 for i, s in zip(numbers, encoding.sequence_ids, strict=True)]
