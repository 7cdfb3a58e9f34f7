"""Modules of the student's are real modules here."""

import textwrap

import pytest
import torch

SOURCE = '''
    import torch
    from torch import nn

    class Attention(nn.Module):
        def __init__(self, width, heads=2):
            super().__init__()
            self.heads = heads
            self.qkv = nn.Linear(width, 3 * width)
            self.out = nn.Linear(width, width, bias=False)

        def forward(self, x, mask=None):
            b, t, d = x.shape
            q, k, v = self.qkv(x).view(b, t, self.heads, -1).transpose(1, 2).chunk(3, -1)
            scores = q @ k.transpose(-2, -1) / q.size(-1) ** 0.5
            if mask is not None:
                scores = scores.masked_fill(~mask, -1e9)
            return self.out((scores.softmax(-1) @ v).transpose(1, 2).reshape(b, t, d))

    class Encoder(nn.Module):
        """An encoder."""
        default = 3

        def __init__(self, width=6, layers=2, p=0.0):
            super().__init__()
            self.width, self.name = width, "encoder"
            self.norm = nn.LayerNorm(width)
            self.layers = nn.ModuleList(Attention(width) for _ in range(layers))
            self.by_name = nn.ModuleDict({"up": nn.Linear(width, 5), "down": nn.Linear(5, width)})
            self.seq = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Dropout(p))
            self.scale = nn.Parameter(torch.ones(1))
            self.register_buffer("steps", torch.zeros(1))
            self.register_buffer("hidden", torch.ones(2), persistent=False)
            self.tied = self.by_name["up"]

        def encode(self, x):
            self.steps += 1
            for layer in self.layers:
                x = x + layer(self.norm(x))
            return x

        def forward(self, x, *, extra=0.0):
            return self.scale * self.seq(self.encode(x)) + extra

        def extra_repr(self):
            return "shown"

    class Lazy(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.LazyLinear(3)

        def forward(self, x):
            if not hasattr(self, "second"):
                self.second = nn.Linear(3, 2)
            return self.second(self.first(x))

    class Norm(nn.LayerNorm):
        def forward(self, x):
            return super().forward(x) * 2

    class Plain:
        def __init__(self):
            self.inner = Attention(4)

    def parameters_of(model):
        return sum(p.numel() for p in model.parameters())

    def total(model):
        return sum(p.sum() for p in model.parameters()).item()

    def freeze(model):
        for p in model.parameters():
            p.requires_grad_(False)
        model.eval()
        return model

    def step(model, x, lr=0.1):
        loss = model(x).pow(2).sum()
        loss.backward()
        with torch.no_grad():
            for p in model.parameters():
                if p.grad is not None:
                    p -= lr * p.grad
                    p.grad = None
        return loss.item()

    shared = Attention(4)

    def use_shared(x):
        return shared(x)
'''
NAMES = "Attention Encoder Lazy Norm Plain parameters_of total freeze step shared use_shared"


@pytest.fixture
def s(student):
    return student(SOURCE, NAMES)


@pytest.fixture
def here():
    namespace = {"__name__": "student_twin"}
    exec(textwrap.dedent(SOURCE), namespace)
    return namespace


@pytest.mark.parametrize("shape", [(1, 1, 6), (2, 5, 6), (7, 3, 6)])
def test_values_and_gradients_equal_those_of_the_same_module_here(s, here, shape):
    mine, twin = s.namespace["Encoder"](6, layers=3), here["Encoder"](6, layers=3)
    twin.load_state_dict(mine.state_dict())
    start = torch.randn(shape)
    outputs, grads = [], []
    for model in (mine, twin):
        x = start.clone().requires_grad_()
        out = model(x, extra=1.0) + model.encode(x).sum()
        model.zero_grad()
        (out * torch.linspace(-1, 1, out.numel()).view(out.shape)).sum().backward()
        outputs.append(out)
        grads.append({"x": x.grad, **{name: p.grad for name, p in model.named_parameters()}})
    torch.testing.assert_close(outputs[0], outputs[1])
    assert grads[0].keys() == grads[1].keys()
    for name, grad in grads[1].items():
        if grad is None:
            assert grads[0][name] is None, name
        else:
            torch.testing.assert_close(grads[0][name], grad, msg=name)


def test_the_tree_is_the_same(s, here):
    mine, twin = s.namespace["Encoder"](), here["Encoder"]()
    assert [n for n, _ in mine.named_parameters()] == [n for n, _ in twin.named_parameters()]
    assert [n for n, _ in mine.named_modules()] == [n for n, _ in twin.named_modules()]
    assert [n for n, _ in mine.named_buffers()] == [n for n, _ in twin.named_buffers()]
    assert list(mine.state_dict()) == list(twin.state_dict())
    assert repr(mine) == repr(twin)
    for one, other in zip(mine.parameters(), twin.parameters(), strict=True):
        assert (one.shape, one.dtype, type(one)) == (other.shape, other.dtype, type(other))


def test_classes_attributes_and_containers(s):
    s.run(
        """
        from torch import nn
        m = Encoder(6, layers=3)
        assert issubclass(Encoder, nn.Module) and isinstance(m, Encoder) and type(m) is Encoder
        assert isinstance(m.norm, nn.LayerNorm) and isinstance(m.layers, nn.ModuleList)
        assert isinstance(m.layers[0], Attention) and isinstance(m.seq[1], nn.ReLU)
        assert not isinstance(m.norm, nn.Linear) and not isinstance(m, Attention)
        assert isinstance(Norm(3), nn.LayerNorm) and Norm(3).eps == 1e-5
        assert m.width == 6 and m.name == "encoder" and m.default == Encoder.default == 3
        assert Encoder.__doc__ == "An encoder." and m.norm.normalized_shape == (6,)
        assert len(m.layers) == 3 and [l.heads for l in m.layers] == [2, 2, 2]
        assert m.layers[-1] is m.layers[2] and len(m.layers[:2]) == 2 and "up" in m.by_name
        assert m.tied is m.by_name["up"] and m.tied.weight is m.by_name["up"].weight
        assert sum(isinstance(one, nn.Linear) for one in m.modules()) == 9, m
        m.name = "other"
        assert m.name == "other" and not hasattr(m, "missing")
        m.p = 5
        assert m.p == 5
        del m.p
        assert not hasattr(m, "p")
        p = Plain()
        assert isinstance(p.inner, Attention) and p.inner is p.inner
        assert parameters_of(p.inner) == sum(q.numel() for q in p.inner.parameters())
        """
    )


def test_what_is_done_to_parameters_here_holds_there(s):
    s.run(
        """
        import torch
        from torch import nn
        m = Attention(4)

        def agree():
            mine = sum(p.sum() for p in m.parameters()).item()
            assert abs(total(m) - mine) < 1e-4, (total(m), mine)

        agree()
        with torch.no_grad():
            m.out.weight.fill_(1.5)
        agree()
        m.out.weight.data.fill_(2.5)
        agree()
        m.qkv.bias.data = torch.full((12,), 3.0)
        agree()
        nn.init.constant_(m.qkv.weight, 0.25)
        agree()
        m.apply(lambda one: nn.init.ones_(one.weight) if isinstance(one, nn.Linear) else None)
        agree()
        m.load_state_dict({name: torch.randn_like(p) for name, p in m.state_dict().items()})
        agree()
        m.out.weight = nn.Parameter(torch.full((4, 4), 7.0))
        agree()
        m.out = nn.Linear(4, 4)
        agree()
        m.qkv.reset_parameters()
        agree()
        m.more = nn.Linear(2, 2)
        agree()
        m.double()
        agree()
        assert m(torch.randn(2, 3, 4).double()).dtype == torch.float64
        count = sum(p.numel() for p in m.parameters())
        nn.utils.vector_to_parameters(torch.arange(count).double(), m.parameters())
        agree()
        """
    )


def test_training_with_an_optimizer_here(s, here):
    mine, twin = s.namespace["Attention"](4), here["Attention"](4)
    twin.load_state_dict(mine.state_dict())
    data = torch.randn(3, 5, 4)
    losses = []
    for model in (mine, twin):
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
        for _ in range(6):
            loss = (model(data) - data).pow(2).mean()
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_what_the_student_does_to_a_module_is_seen_here(s):
    s.run(
        """
        import torch
        m = Encoder()
        x = torch.randn(2, 3, 6)
        m(x)
        m.encode(x)
        assert m.steps.item() == 2
        before = [p.clone() for p in m.parameters()]
        step(m, x)
        assert any(not torch.equal(p, q) for p, q in zip(m.parameters(), before))
        assert freeze(m) is m
        assert not any(p.requires_grad for p in m.parameters()) and not m.layers[0].training
        m.train()
        m.scale.requires_grad_(True)
        m(x).sum().backward()
        assert m.scale.grad is not None and m.norm.weight.grad is None
        lazy = Lazy()
        assert lazy(torch.randn(4, 7)).shape == (4, 2)
        assert lazy.first.weight.shape == (3, 7) and len(list(lazy.parameters())) == 4
        assert isinstance(lazy.second, torch.nn.Linear)
        """
    )


def test_train_and_eval_and_dropout(s):
    s.run(
        """
        import torch
        m = Encoder(p=0.5)
        x = torch.randn(2, 3, 6)
        m.eval()
        assert torch.equal(m(x), m(x)) and not m.seq[2].training
        m.train()
        assert not torch.equal(m(x), m(x))
        torch.manual_seed(3)
        a = m(x)
        torch.manual_seed(3)
        assert torch.equal(a, m(x))
        m.seq[2].eval()
        assert torch.equal(m(x), m(x))
        """
    )


def test_hooks_and_copies(s):
    s.run(
        """
        import copy
        import torch
        m = Attention(4)
        seen = []
        m.register_forward_hook(lambda module, args, out: seen.append(out.shape))
        m.register_forward_pre_hook(lambda module, args: (args[0] * 0,))
        assert m(torch.randn(1, 2, 4)).shape == (1, 2, 4) and seen == [(1, 2, 4)]
        c = copy.deepcopy(m)
        with torch.no_grad():
            c.out.weight.zero_()
        assert m.out.weight.abs().sum() > 0 and type(c) is Attention
        try:
            class Sub(Attention):
                pass
        except TypeError as error:
            assert "derived" in str(error)
        else:
            raise AssertionError("a subclass")
        """
    )


def test_a_module_behind_a_function_gets_its_gradients(s):
    s.run(
        """
        import torch
        use_shared(torch.randn(1, 2, 4)).sum().backward()
        assert shared.out.weight.grad is not None
        """
    )


def test_a_mirror_is_let_go(s):
    s.run(
        """
        import gc
        for _ in range(3):
            Encoder()
        gc.collect()
        """
    )
    s.run("Attention(4)")
    mirrors = s.border.torch_side().mirrors
    assert len(mirrors._modules) < 15
