"""Errata about encoders that write, autoregression, and autoencoders."""

import itertools
import math

import torch
import torch.nn.functional as F
from torch import nn

from encoderlib import (
    Encoder,
    EncoderConfig,
    EncoderDecoder,
    TokenClassifier,
    causal_mask,
    greedy,
)

SMALL = EncoderConfig(d_model=16, n_heads=2, d_ff=32, n_layers=2, dropout=0.0)


def test_an_encoder_answers_with_its_input_and_a_decoder_is_not_bound_to_it():
    """E000-15: extracting needs a head; free text needs a decoder."""
    source = torch.tensor([[5, 7, 9]])
    head = TokenClassifier(11, 2, SMALL).eval()
    assert head(source).shape == (1, 3, 2)  # a mark for each input token, never a new token
    translator = EncoderDecoder(11, 50, SMALL).eval()
    with torch.no_grad():
        translator.output.bias[translator.end_id] = -20.0  # untrained: it would end anywhere
    written = greedy(translator, source, max_length=8)
    assert written.size(1) > source.size(1)
    assert not set(written.flatten().tolist()) <= set(source.flatten().tolist())


def test_appending_a_token_changes_every_state_unless_attention_is_causal():
    """E001-23: what an encoder computed for a prefix is void once the next token is there."""
    model, x = Encoder(SMALL).eval(), torch.randn(1, 6, 16)
    longer = torch.cat([x, torch.randn(1, 1, 16)], dim=1)
    assert (model(longer)[:, :6] - model(x)).abs().amax(-1).min() > 0.001  # each of the six
    before, after = model(x, causal_mask(6)), model(longer, causal_mask(7))
    torch.testing.assert_close(after[:, :6], before)


def test_autoregression_is_a_factorisation_and_an_autoencoder_copies_its_input():
    """E004-01: any network that reads the past is autoregressive; x goes in and x comes out."""
    recurrent, attention = nn.GRU(16, 16, batch_first=True), Encoder(SMALL).eval()
    start, table, output = torch.zeros(1, 1, 16), torch.randn(2, 16), nn.Linear(16, 2)
    for read in (lambda x: recurrent(x)[0], lambda x: attention(x, causal_mask(x.size(1)))):
        total = 0.0
        for sequence in itertools.product((0, 1), repeat=4):
            x = torch.cat([start, table[list(sequence[:-1])][None]], dim=1)  # (1, 4, D)
            log_p = output(read(x)).log_softmax(-1)[0]  # (4, 2)
            total += log_p[range(4), list(sequence)].sum().exp().item()
        assert math.isclose(total, 1.0, abs_tol=1e-5)  # the product rule, both times

    x = torch.randn(200, 3) @ torch.randn(3, 8)  # eight numbers that three would do for
    encode, decode = nn.Linear(8, 3), nn.Linear(3, 8)
    optimizer = torch.optim.Adam([*encode.parameters(), *decode.parameters()], lr=0.02)
    for _ in range(600):
        optimizer.zero_grad()
        F.mse_loss(decode(encode(x)), x).backward()
        optimizer.step()
    both = torch.stack([x.flatten(), decode(encode(x)).detach().flatten()])
    assert torch.corrcoef(both)[0, 1] > 0.999  # far from "unrelated to the input"


def test_without_a_drawn_code_and_its_penalty_an_autoencoder_generates_nothing():
    """E004-04: a VAE is trained on reconstruction minus KL; attention plays no part in it."""
    mean, deviation, n = 4.0, 1.0, 20_000
    data, prior = mean + deviation * torch.randn(n, 1), torch.randn(n, 1)

    def encode(x):
        return 2 * x + 1

    def decode(code):
        return (code - 1) / 2

    # A perfect autoencoder; but nothing says where its codes lie, so codes drawn from N(0, 1) miss.
    torch.testing.assert_close(decode(encode(data)), data)
    assert (decode(prior).mean() - mean).abs() > 4

    # x = mean + w z + noise, z drawn from N(0, 1); q(z | x) is normal as well.
    noise = 0.6
    w = math.sqrt(deviation**2 - noise**2)
    centre, spread = w * (data - mean) / deviation**2, noise / deviation
    drawn = mean + w * prior + noise * torch.randn(n, 1)
    assert (drawn.mean() - mean).abs() < 0.05
    assert (drawn.std() - deviation).abs() < 0.05
    reconstruction = -0.5 * (
        math.log(2 * math.pi * noise**2)
        + ((data - mean - w * centre) ** 2 + (w * spread) ** 2) / noise**2
    )
    kl = 0.5 * (spread**2 + centre**2 - 1 - math.log(spread**2))
    log_p = torch.distributions.Normal(mean, deviation).log_prob(data)
    assert (kl > 0).all()
    torch.testing.assert_close(reconstruction - kl, log_p, atol=1e-4, rtol=1e-4)
    assert (reconstruction > log_p).all()  # without the penalty it is no bound at all


def test_one_stack_reads_in_both_directions_or_backwards_only():
    """E004-05: an encoder and a decoder differ in what they may see, not in an RNN or a VAE."""
    model = Encoder(SMALL).eval()

    def reads(mask):
        """Which inputs each output depends on, by its gradient."""
        x = torch.randn(1, 5, 16, requires_grad=True)
        out = model(x, mask)[0]
        rows = [torch.autograd.grad(out[t].sum(), x, retain_graph=True)[0][0] for t in range(5)]
        return torch.stack([row.abs().amax(-1) > 0 for row in rows])  # (5, 5)

    # Of a sum over all columns the last norm leaves nothing but rounding: weigh the columns.
    nn.init.normal_(model.norm.weight)
    assert reads(None).all()
    assert torch.equal(reads(causal_mask(5)), torch.ones(5, 5).tril().bool())


def test_the_graph_of_two_models_lets_the_input_reach_nothing():
    """E004-09: in the article's picture no arrow leaves the input."""

    def reach(edges, start):
        found, todo = set(), [start]
        while todo:
            for follower in edges.get(todo.pop(), ()):
                if follower not in found:
                    found.add(follower)
                    todo.append(follower)
        return found

    article = {
        "autoregressive model": ["autoencoder", "input"],
        "autoencoder": ["reconstruction"],
    }
    assert reach(article, "input") == set()
    assert "autoencoder" in reach(article, "autoregressive model")  # one made from the other
    autoencoder = {"input": ["encoder"], "encoder": ["code"], "code": ["decoder"]}
    autoencoder["decoder"] = ["reconstruction"]
    assert "reconstruction" in reach(autoencoder, "input")
    autoregressive = {"tokens so far": ["model"], "model": ["next token"]}
    autoregressive["next token"] = ["tokens so far"]  # appended, then read again
    assert "tokens so far" in reach(autoregressive, "tokens so far")
    assert not reach(autoencoder, "input") & reach(autoregressive, "tokens so far")


def test_choosing_a_template_is_retrieval():
    """E004-43: the best match is one of the stored answers, whatever is asked."""
    templates = {"reset your password": "Use the link.", "track your parcel": "See the page."}
    vocabulary = sorted({word for key in templates for word in key.split()})

    def bag(text):
        return torch.tensor([float(word in text.split()) for word in vocabulary])

    keys = F.normalize(torch.stack([bag(key) for key in templates]), dim=-1)

    def answer(question, threshold=None):
        similarity = keys @ F.normalize(bag(question), dim=0)
        if threshold is not None and similarity.max() < threshold:
            return None  # hand over to a person
        return list(templates.values())[similarity.argmax()]

    questions = ["how to reset a password", "where is my parcel", "will it rain tomorrow"]
    assert answer(questions[0]) == "Use the link."
    assert answer(questions[1]) == "See the page."
    assert {answer(question) for question in questions} <= set(templates.values())  # no new text
    assert answer(questions[2]) in templates.values()  # an answer to what nobody stored
    assert [answer(question, 0.2) is None for question in questions] == [False, False, True]
