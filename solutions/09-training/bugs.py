"""Named wrong answers to assignment 09: the hidden tests fail on each, the visible check names it.

Instructor's edition only. Some come from defects of published articles (column ``errata``);
the others are the classic slips of students.
"""

from grading.bugs import Bug, Right, edit, function

BUGS: list[Bug] = []
RIGHT: list[Right] = []


def _add(task: str, name: str, source: str, says: str, *more: str) -> None:
    errata, note = (*more, "", "")[:2]
    BUGS.append(Bug(task, name, source, says, errata, note))


# ---------------------------------------------------------------- costs

_COSTS = {
    "linear maps, one token": 128,
    "attention, 6 tokens": 288,
    "forward, padded": 6336,
    "forward, packed": 3968,
    "step, packed": 11904,
    "residuals": 0,
    "forward, 6 layers": 19008,
    "bytes": 4800,
    "steps": 20,
    "five sigmoids": 1024,
}
for _name, _key, _value, _says, *_more in (
    ("no feed-forward network", "linear maps, one token", 64, "one part is missing"),
    ("three projections", "linear maps, one token", 112, "the output is one of them"),
    ("FLOPs", "linear maps, one token", 256, "these are FLOPs"),
    ("one product", "attention, 6 tokens", 144, "there are two products"),
    ("no width", "attention, 6 tokens", 72, "takes D multiplications"),
    ("linear attention", "attention, 6 tokens", 48, "the length counts twice"),
    ("one layer", "forward, padded", 3168, "there are N = 2 layers"),
    ("one sequence", "forward, padded", 2112, "there are B = 3"),
    ("packed for padded", "forward, padded", 3968, "this is the packed batch"),
    ("linear packing", "forward, packed", 4224, "grows with the square"),
    ("one long sequence", "forward, packed", 5376, "do not attend to each other"),
    ("padded attention", "forward, packed", 4800, "only the linear maps were packed"),
    ("no forward pass", "step, packed", 7936, "which counts as well"),
    ("forward alone", "step, packed", 3968, "this is the forward pass alone"),
    ("residuals save", "residuals", 3168, "saved is nothing", "E000-22"),
    ("additions", "residuals", 288, "no multiplication", "E000-22"),
    ("depth is free", "forward, 6 layers", 6336, "in proportion to the layers", "E000-22"),
    ("six times", "forward, 6 layers", 38016, "not six times"),
    ("weights alone", "bytes", 1200, "weights alone"),
    ("no gradient", "bytes", 3600, "three besides the weight"),
    ("last batch dropped", "steps", 15, "is a step, too"),
    ("epochs", "steps", 5, "these are epochs", "E004-30"),
    ("rounded at the end", "steps", 16, "steps are whole"),
    ("slopes added", "five sigmoids", 20, "multiplied, not added"),
    ("one sigmoid", "five sigmoids", 4, "and there are five"),
    ("six sigmoids", "five sigmoids", 4096, "not six"),
    ("slope of one half", "five sigmoids", 32, "at most 1/4, not 1/2"),
    ("slope of one", "five sigmoids", 1, "that of ReLU", "E000-21"),
    ("an entry left out", "steps", None, "lacks the entry"),
):
    _case = {k: v for k, v in (_COSTS | {_key: _value}).items() if v is not None}
    _add("costs", _name, function("costs()", f"return {_case!r}"), _says, *_more)
RIGHT.append(
    Right("costs", "floats", function("costs()", f"return {dict(_COSTS, bytes=4800.0)!r}"))
)
RIGHT.append(
    Right(
        "costs",
        "tensors of one number",
        function("costs()", f"return {{key: torch.tensor(x) for key, x in {_COSTS!r}.items()}}"),
    )
)

# ---------------------------------------------------------------- the mean of an epoch

_EPOCH = """
model.train()
total, count = 0.0, 0
for x, y in batches:
    n = int((y != -100).sum())
    if n == 0:
        continue
    loss = F.cross_entropy(model(x).flatten(0, -2), y.flatten(), ignore_index=-100)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    total, count = total + loss.item() * n, count + n
if count == 0:
    raise ValueError("no label counts")
return total / count
"""
_SIGN = "train_epoch(model, batches, optimizer)"
_SUM = "total, count = total + loss.item() * n, count + n"


def _epoch(name: str, says: str, *changes: tuple[str, str], errata: str = "") -> None:
    _add("train_epoch", name, function(_SIGN, edit(_EPOCH, *changes)), says, errata)


_epoch(
    "last batch",
    "this is the last batch",
    ("return total / count", "return loss.item()"),
    errata="E004-29",
)
_epoch(
    "mean of means",
    "a small batch weighs as much",
    (_SUM, "total, count = total + loss.item(), count + 1"),
)
_epoch(
    "weighed by all labels",
    "weighed by all labels",
    (_SUM, "total, count = total + loss.item() * y.numel(), count + y.numel()"),
)
_epoch(
    "weighed by sequences",
    "weighed by the sequences",
    (_SUM, "total, count = total + loss.item() * len(y), count + len(y)"),
)
_epoch(
    "divided by all labels",
    "divided by all labels",
    (_SUM, "total, count = total + loss.item() * n, count + y.numel()"),
)
_epoch("sum", "this is a sum", ("return total / count", "return total"))
_epoch(
    "sum of means",
    "this is a sum of means",
    (_SUM, "total, count = total + loss.item(), count + n"),
    ("return total / count", "return total"),
)
_epoch("no train()", "not in training mode", ("model.train()\n", ""), errata="E000-08")
_epoch("eval()", "not in training mode", ("model.train()\n", "model.eval()\n"))
_epoch("no zero_grad", "Where is zero_grad?", ("    optimizer.zero_grad()\n", ""))
_epoch(
    "zero_grad at the beginning only",
    "Where is zero_grad?",
    ("    optimizer.zero_grad()\n", ""),
    ("model.train()\n", "model.train()\noptimizer.zero_grad()\n"),
)
_epoch(
    "zero_grad after the step only",
    "Where is zero_grad?",
    ("    optimizer.zero_grad()\n", ""),
    ("    optimizer.step()\n", "    optimizer.step()\n    optimizer.zero_grad()\n"),
)
_epoch(
    "zero_grad after backward",
    "after backward() and before",
    (
        "    optimizer.zero_grad()\n    loss.backward()\n",
        "    loss.backward()\n    [p.grad.zero_() for p in model.parameters()]\n",
    ),
)
_epoch(
    "step before backward",
    "after backward() and before",
    ("    loss.backward()\n    optimizer.step()\n", "    optimizer.step()\n    loss.backward()\n"),
)
_epoch("no step", "changes no weight", ("    optimizer.step()\n", ""))
_epoch(
    "one step for the epoch",
    "Where is zero_grad?",
    (
        "    optimizer.zero_grad()\n    loss.backward()\n    optimizer.step()\n",
        "    loss.backward()\n",
    ),
    ("model.train()\n", "model.train()\noptimizer.zero_grad()\n"),
    ("return total", "optimizer.step()\nreturn total"),
)
_epoch(
    "a step for nothing",
    "gives NaN",
    ("    if n == 0:\n        continue\n", ""),
)
_epoch(
    "summed loss",
    "the gradient of a sum",
    ("ignore_index=-100)", "ignore_index=-100, reduction='sum')"),
    ("loss.item() * n", "loss.item()"),
)
_epoch(
    "no ValueError",
    "must raise a ValueError",
    ("raise ValueError('no label counts')".replace("'", '"'), "return 0.0"),
)
_epoch(
    "ZeroDivisionError",
    "make it a ValueError",
    ('    raise ValueError("no label counts")', "    pass"),
)
_epoch(
    "a tensor",
    "must return a float",
    ("return total / count", "return torch.tensor(total / count)"),
)
_epoch(
    "len of batches",
    "without a length",
    ("model.train()\n", "model.train()\nsteps = len(batches)\n"),
)

for _name, *_changes in (
    (
        "zero_grad at the top, the sum by hand",
        ("    optimizer.zero_grad()\n", ""),
        ("    n = int", "    optimizer.zero_grad()\n    n = int"),
        ("loss.item() * n", "float(loss.detach()) * n"),
    ),
    (
        "only labels that count are given",
        (
            "model(x).flatten(0, -2), y.flatten(), ignore_index=-100",
            "model(x)[y != -100], y[y != -100]",
        ),
    ),
    (
        "a sum, divided for the gradient",
        (
            "loss = F.cross_entropy(model(x).flatten(0, -2), y.flatten(), ignore_index=-100)",
            "loss = F.cross_entropy(model(x).flatten(0, -2), y.flatten(), "
            "ignore_index=-100, reduction='sum') / n",
        ),
    ),
    ("ends in eval()", ("return total / count", "model.eval()\nreturn total / count")),
    ("a list of batches first", ("for x, y in batches", "for x, y in list(batches)")),
):
    RIGHT.append(Right("train_epoch", _name, function(_SIGN, edit(_EPOCH, *_changes))))

# ---------------------------------------------------------------- evaluate

_EVAL = """
was_training = model.training
model.eval()
loss = right = count = 0
try:
    with torch.no_grad():
        for x, y in batches:
            logits, y = model(x).flatten(0, -2), y.flatten()
            total = F.cross_entropy(logits, y, ignore_index=-100, reduction="sum")
            loss += total.item()
            right += int((logits.argmax(dim=-1) == y).sum())
            count += int((y != -100).sum())
finally:
    model.train(was_training)
if count == 0:
    raise ValueError("no label counts")
return {"loss": loss / count, "accuracy": right / count}
"""
_FINALLY = "finally:\n    model.train(was_training)\n"
_MEAN = ('ignore_index=-100, reduction="sum")', "ignore_index=-100)")
_EMPTY = (
    "            total = F",
    "            if not (y != -100).any():\n                continue\n            total = F",
)


def _evaluate(name: str, says: str, *changes: tuple[str, str], errata: str = "") -> None:
    source = function("evaluate(model, batches)", edit(_EVAL, *changes))
    _add("evaluate", name, source, says, errata)


_evaluate("no eval()", "in training mode, with dropout", ("model.eval()\n", ""), errata="E000-08")
_evaluate("no no_grad", "torch.no_grad", ("with torch.no_grad():", "if True:"), errata="E004-35")
_evaluate("mode not restored", "the mode has changed", ("model.train(was_training)", "pass"))
_evaluate(
    "always train() afterwards",
    "the mode has changed",
    ("model.train(was_training)", "model.train()"),
)
_evaluate(
    "no finally",
    "put it back in a `finally`",
    ("try:\n    with", "if True:\n    with"),
    (_FINALLY, "model.train(was_training)\n"),
)
_evaluate(
    "data read before the try",
    "after an error of the data",
    ("try:\n", "batches = list(batches)\ntry:\n"),
)
_evaluate(
    "restored after the ValueError only when there are labels",
    "mode has changed",
    (_FINALLY, "except KeyError:\n    model.train(was_training)\n    raise\n"),
    ("return {", "model.train(was_training)\nreturn {"),
)
_evaluate(
    "mean of means",
    "a small batch weighs as much",
    _MEAN,
    _EMPTY,
    ("loss += total.item()", "loss += total.item()\n            batches_seen += 1"),
    ("loss = right = count = 0", "loss = right = count = batches_seen = 0"),
    ("loss / count", "loss / batches_seen"),
    errata="E004-29",
)
_evaluate(
    "NaN of an empty batch",
    "'loss' is NaN",
    _MEAN,
    ("loss += total.item()", "loss += total.item() * int((y != -100).sum())"),
)
_evaluate(
    "last batch",
    "this is the last batch",
    _EMPTY,
    ("loss += total.item()", "loss = total.item() / int((y != -100).sum())"),
    ("loss / count", "loss"),
    errata="E004-29",
)
_evaluate("sum", "this is a sum", ("loss / count", "loss"))
_evaluate(
    "padding in the denominator",
    "divided by all labels",
    (
        "count += int((y != -100).sum())",
        "count += int((y != -100).sum())\n            places += y.numel()",
    ),
    ("count = 0", "count = places = 0"),
    ("loss / count", "loss / places"),
)
_evaluate(
    "padding in the accuracy",
    "-100 count in the denominator",
    (
        "count += int((y != -100).sum())",
        "count += int((y != -100).sum())\n            places += y.numel()",
    ),
    ("loss = right = count = 0", "loss = right = count = places = 0"),
    ("right / count", "right / places"),
    errata="E004-33",
)
_evaluate(
    "padding counts as right",
    "-100 count as right",
    ("(logits.argmax(dim=-1) == y).sum()", "((logits.argmax(dim=-1) == y) | (y == -100)).sum()"),
    (
        "count += int((y != -100).sum())",
        "count += int((y != -100).sum())\n            places += y.numel()",
    ),
    ("loss = right = count = 0", "loss = right = count = places = 0"),
    ("right / count", "right / places"),
)
_evaluate(
    "mean of accuracies",
    "the mean of the accuracies",
    _EMPTY,
    (
        "right += int((logits.argmax(dim=-1) == y).sum())",
        "right += float((logits.argmax(dim=-1) == y).sum() / (y != -100).sum())\n"
        "            seen += 1",
    ),
    ("count = 0", "count = seen = 0"),
    ("right / count", "right / seen"),
)
_evaluate("number of right answers", "number of right answers", ("right / count", "float(right)"))
_evaluate("per cent", "this is a percentage", ("right / count", "100 * right / count"))
_evaluate("a tensor", "must be a float", ("loss += total.item()", "loss = loss + total"))
_evaluate(
    "a pair",
    "must return a dictionary",
    ('{"loss": loss / count, "accuracy": right / count}', "loss / count, right / count"),
)
_evaluate(
    "gradients cleared",
    "touches the gradients",
    ("model.eval()\n", "model.eval()\nmodel.zero_grad()\n"),
)
_evaluate(
    "no ValueError",
    "must raise a ValueError",
    ('raise ValueError("no label counts")', 'return {"loss": 0.0, "accuracy": 0.0}'),
)
_evaluate(
    "ZeroDivisionError",
    "make it a ValueError",
    ('    raise ValueError("no label counts")', "    pass"),
)

for _name, *_changes in (
    (
        "a list of batches in the try",
        ("try:\n", "try:\n    batches = list(batches)\n"),
    ),
    ("inference mode", ("torch.no_grad()", "torch.inference_mode()")),
    ("mean times count", _MEAN, _EMPTY, ("total.item()", "total.item() * int((y != -100).sum())")),
    (
        "only labels that count",
        (
            "logits, y = model(x).flatten(0, -2), y.flatten()",
            "logits, y = model(x)[y != -100], y[y != -100]",
        ),
    ),
    ("set_grad_enabled", ("torch.no_grad()", "torch.set_grad_enabled(False)")),
    (
        "the mode by an if",
        (
            "    model.train(was_training)",
            "    if was_training:\n        model.train()\n    else:\n        model.eval()",
        ),
    ),
):
    RIGHT.append(
        Right("evaluate", _name, function("evaluate(model, batches)", edit(_EVAL, *_changes)))
    )

# ---------------------------------------------------------------- early stopping

_STOP = """
class EarlyStopping:
    def __init__(self, patience, min_delta=0.0, mode="min"):
        self.patience, self.min_delta = patience, min_delta
        self.sign = 1.0 if mode == "min" else -1.0
        self.best, self.weights, self.bad = None, None, 0

    def step(self, value, model):
        if self.best is None:
            better = not math.isnan(value)
        else:
            better = self.sign * value < self.sign * self.best - self.min_delta
        if better:
            self.best, self.bad = value, 0
            self.weights = {name: x.detach().clone() for name, x in model.state_dict().items()}
        else:
            self.bad += 1
        return self.bad >= self.patience

    def restore(self, model):
        if self.weights is not None:
            model.load_state_dict(self.weights)
""".lstrip()
_COPY = "{name: x.detach().clone() for name, x in model.state_dict().items()}"
_BETTER = "better = self.sign * value < self.sign * self.best - self.min_delta"


def _stop(name: str, says: str, *changes: tuple[str, str], errata: str = "") -> None:
    _add("early_stopping", name, edit(_STOP, *changes), says, errata)


_stop("weights not copied", "copy them", (_COPY, "model.state_dict()"))
_stop("shallow copy", "copy them", (_COPY, "dict(model.state_dict())"))
_stop(
    "parameters only",
    "buffers are weights, too",
    (_COPY, "{name: x.detach().clone() for name, x in model.named_parameters()}"),
    ("model.load_state_dict(self.weights)", "model.load_state_dict(self.weights, strict=False)"),
)
_stop(
    "weights of the last epoch",
    "those of the last epoch",
    ("        return self.bad", "        self.weights = " + _COPY + "\n        return self.bad"),
)
_stop(
    "restore does nothing",
    "copy them",
    ("model.load_state_dict(self.weights)", "pass"),
    errata="E000-24",
)
_stop(
    "more than patience",
    "stops after epoch",
    ("self.bad >= self.patience", "self.bad > self.patience"),
)
_stop(
    "one too early",
    "stops after epoch",
    ("self.bad >= self.patience", "self.bad >= self.patience - 1"),
)
_stop(
    "count not set back",
    "sets the count back",
    ("self.best, self.bad = value, 0", "self.best = value"),
)
_stop(
    "True only once",
    "go on saying True",
    ("self.bad >= self.patience", "self.bad == self.patience"),
)
_stop("equal is better", "stops after epoch", (_BETTER, _BETTER.replace(" < ", " <= ")))
_stop(
    "min_delta ignored",
    "an improvement by min_delta or less",
    (" - self.min_delta", ""),
)
_stop(
    "min_delta the wrong way round",
    "by min_delta or less",
    (" - self.min_delta", " + self.min_delta"),
)
_stop(
    "min_delta as a share",
    "by min_delta or less",
    (
        _BETTER,
        "better = self.sign * value < self.sign * self.best * (1 - self.min_delta * self.sign)",
    ),
)
_stop("mode ignored", "more is better", ('1.0 if mode == "min" else -1.0', "1.0"))
_stop(
    "min_delta wrong with max",
    "by more than min_delta",
    (_BETTER, "better = self.sign * (value - self.best + self.min_delta) < 0"),
)
_stop(
    "best is the smallest, whatever min_delta",
    "by min_delta or less",
    (
        "            self.bad += 1",
        "            self.bad += 1\n"
        "            if self.sign * value < self.sign * self.best:\n"
        "                self.best = value",
    ),
)
_stop(
    "against the epoch before",
    "best is 8.0",
    ("            self.bad += 1", "            self.bad += 1\n        self.last = value"),
    ("self.sign * self.best - ", "self.sign * self.last - "),
    ("self.best, self.bad = value, 0", "self.best, self.bad, self.last = value, 0, value"),
)
_stop("NaN first", "NaN", ("better = not math.isnan(value)", "better = True"))
_stop(
    "NaN is better",
    "NaN is not better",
    (_BETTER, "better = not self.sign * value >= self.sign * self.best - self.min_delta"),
)
_stop(
    "0 counts as nothing",
    "a value may be 0",
    ("if self.best is None:", "if not self.best:"),
)
_stop(
    "best starts at infinity",
    "must be None",
    ("self.best, self.weights, self.bad = None", "self.best, self.weights, self.bad = math.inf"),
)
_stop(
    "best starts at infinity, also for max",
    "must be None",
    (
        "self.best, self.weights, self.bad = None",
        "self.best, self.weights, self.bad = float('inf')",
    ),
    ("if self.best is None:", "if False:"),
)
_stop(
    "returns nothing",
    "must return True or False",
    ("        return self.bad >= self.patience\n", ""),
)
_stop(
    "returns the count",
    "must return True or False",
    ("return self.bad >= self.patience", "return self.bad"),
)
_stop("the other default", "the defaults are", ('mode="min"', 'mode="max"'))

for _name, *_changes in (
    (
        "True for ever",
        (
            "self.best, self.weights, self.bad = None, None, 0",
            "self.best, self.weights, self.bad = None, None, 0\n        self.stop = False",
        ),
        (
            "return self.bad >= self.patience",
            "self.stop = self.stop or self.bad >= self.patience\n        return self.stop",
        ),
    ),
    (
        "deepcopy",
        (_COPY, "copy.deepcopy(model.state_dict())"),
        ("class EarlyStopping", "import copy\n\n\nclass EarlyStopping"),
    ),
    (
        "the gain, by cases",
        (
            _BETTER,
            "gain = self.best - value if self.sign > 0 else value - self.best\n"
            "            better = gain > self.min_delta",
        ),
    ),
    (
        "a copy of the whole model",
        (_COPY, "copy.deepcopy(model)"),
        ("load_state_dict(self.weights)", "load_state_dict(self.weights.state_dict())"),
        ("class EarlyStopping", "import copy\n\n\nclass EarlyStopping"),
    ),
    (
        "copied into, by hand",
        (
            "model.load_state_dict(self.weights)",
            "for name, x in model.state_dict().items():\n"
            "                x.copy_(self.weights[name])",
        ),
    ),
):
    RIGHT.append(Right("early_stopping", _name, edit(_STOP, *_changes)))

# ---------------------------------------------------------------- dropout

_DROP = """
class Dropout(nn.Module):
    def __init__(self, p, shared=False):
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError("p")
        self.p, self.shared = p, shared

    def forward(self, x):
        if not self.training or self.p == 0:
            return x
        size = list(x.shape)
        if self.shared:
            size[-2] = 1
        keep = torch.rand(size, device=x.device) >= self.p
        return x * keep / (1 - self.p)
""".lstrip()
_OUT = "return x * keep / (1 - self.p)"
_KEEP = "keep = torch.rand(size, device=x.device) >= self.p"


def _drop(name: str, says: str, *changes: tuple[str, str], errata: str = "") -> None:
    _add("dropout", name, edit(_DROP, *changes), says, errata)


_drop("never off", "after eval()", ("not self.training or ", ""), errata="E002-15")
_drop("off in training", "no dropout in training", ("not self.training", "self.training"))
_drop("not divided", "as large as before", (_OUT, "return x * keep"))
_drop("multiplied", "multiplied by 1 - p", (_OUT, "return x * keep * (1 - self.p)"))
_drop("divided by p", "is divided by p", (_OUT, "return x * keep / self.p"))
_drop("p is the share that stays", "not of staying", (">= self.p", "< self.p"))
_drop(
    "scaled at test time",
    "nothing to scale",
    ("            return x\n", "            return x * (1 - self.p)\n"),
)
_drop("shared ignored", "dropped at all", ("if self.shared:", "if False:"))
_drop("always shared", "each token must have a mask of its own", ("if self.shared:", "if True:"))
_drop(
    "shared by the batch",
    "one mask for the whole batch",
    ("size[-2] = 1", "size[:-1] = [1] * (len(size) - 1)"),
)
_drop("shared by the columns", "drops whole tokens", ("size[-2] = 1", "size[-1] = 1"))
_drop(
    "first axis only",
    "all axes before the last two",
    ("size[-2] = 1", "size[1:-1] = [1] * (len(size) - 2)"),
)
_drop(
    "axis 1 is the tokens",
    "all axes before",
    (
        "size[-2] = 1",
        "size = [size[-4] if len(size) > 3 else 1] * (len(size) > 3) + ([1] if len(size) > "
        "3 else []) + size[-3 + (len(size) > 3) * 1 :]\n"
        "            size[-2] = 1",
    ),
)
_drop(
    "one mask for ever",
    "the same mask at each call",
    (_KEEP, "keep = torch.rand(size, generator=torch.Generator().manual_seed(0)) >= self.p"),
)
_drop(
    "the number that is kept is fixed at p = 1/2",
    "instead of 25%",
    (_KEEP, _KEEP.replace("self.p", "self.p * 2")),
)
_drop(
    "as many in each token",
    "drops equally many entries",
    (
        _KEEP,
        "keep = torch.rand(size).argsort(-1) >= int(self.p * size[-1])",
    ),
)
_drop("dtype of the mask", "must have dtype", (_OUT, "return x * (keep.float() / (1 - self.p))"))
_drop("detached", "loses the gradient", (_OUT, "return x.detach() * keep / (1 - self.p)"))
_drop(
    "input modified",
    "changes its input",
    (
        _OUT,
        "return x.mul_(keep).div_(1 - self.p) if not x.requires_grad else x * keep / (1 - self.p)",
    ),
)
_drop(
    "p not checked",
    "must raise a ValueError",
    ('            raise ValueError("p")', "            pass"),
)
_drop("p = 1 is accepted", "must raise a ValueError", ("0 <= p < 1", "0 <= p <= 1"))
_drop(
    "assert",
    "make it a ValueError",
    ('if not 0 <= p < 1:\n            raise ValueError("p")', "assert 0 <= p < 1"),
)
_drop(
    "one draw for each sentence",
    "drops whole tokens",
    ("size = list(x.shape)", "size = [*x.shape[:-2], 1, 1]"),
)

for _name, *_changes in (
    ("bernoulli", (_KEEP, "keep = torch.bernoulli(torch.full(size, 1.0 - self.p)).bool()")),
    ("where", (_OUT, "return torch.where(keep, x / (1 - self.p), torch.zeros_like(x))")),
    ("masked_fill", (_OUT, "return x.masked_fill(~keep, 0.0) / (1 - self.p)")),
    ("mask in the dtype of x", (_OUT, "return x * (keep.to(x.dtype) / (1 - self.p)).to(x.dtype)")),
    (
        "a new axis",
        (
            _KEEP,
            "keep = torch.rand([*x.shape[:-2], x.shape[-1]]).unsqueeze(-2) >= self.p if "
            "self.shared else torch.rand(x.shape) >= self.p",
        ),
    ),
):
    RIGHT.append(Right("dropout", _name, edit(_DROP, *_changes)))

# ---------------------------------------------------------------- Noam and clipping

_STEP = """
def noam(step, d_model, warmup):
    if step < 1 or warmup < 1:
        raise ValueError("from 1")
    return d_model**-0.5 * min(step**-0.5, step * warmup**-1.5)


def clip(gradients, max_norm):
    there = [g for g in gradients if g is not None]
    length = math.sqrt(sum(g.double().square().sum().item() for g in there))
    if not math.isfinite(length):
        raise FloatingPointError("length")
    if length > max_norm:
        for g in there:
            g.mul_(max_norm / length)
    return length
""".lstrip()
_LENGTH = "length = math.sqrt(sum(g.double().square().sum().item() for g in there))"
_RATE = "d_model**-0.5 * min(step**-0.5, step * warmup**-1.5)"


def _clip(name: str, says: str, *changes: tuple[str, str], errata: str = "") -> None:
    _add("noam_and_clip", name, edit(_STEP, *changes), says, errata)


_clip("no width", "the factor with D is missing", ("d_model**-0.5 * ", ""))
_clip("width to 1/2", "not 1/2", ("d_model**-0.5", "d_model**0.5"))
_clip("width to -1", "not -1", ("d_model**-0.5", "d_model**-1"))
_clip("larger term", "the larger of the two", ("min(step", "max(step"))
_clip(
    "only warm-up",
    "rises for ever",
    (_RATE, "d_model**-0.5 * step * warmup**-1.5"),
    errata="E004-37",
)
_clip("no warm-up", "there is no warm-up", (_RATE, "(d_model * step) ** -0.5"), errata="E004-37")
_clip(
    "counted from 0",
    "counted from 1",
    (_RATE, "d_model**-0.5 * min((step + 1) ** -0.5, (step + 1) * warmup**-1.5)"),
)
_clip("exponent of the warm-up", "exponent -1.5", ("warmup**-1.5", "warmup**-0.5"))
_clip("peak of 1", "the peak is 1", (_RATE, "min(step / warmup, (warmup / step) ** 0.5)"))
_clip("step 0", "make it a ValueError", ("step < 1 or", "step < 0 or"))
_clip("step not checked", "make it a ValueError", ("if step < 1 or warmup < 1:", "if False:"))
_clip(
    "each by itself",
    "each gradient by itself",
    (
        "    if length > max_norm:\n        for g in there:\n            g.mul_(max_norm / length)",
        "    for g in there:\n"
        "        if g.norm() > max_norm:\n"
        "            g.mul_(max_norm / g.norm())",
    ),
)
_clip(
    "each entry",
    "cuts each entry",
    (
        "    if length > max_norm:\n        for g in there:\n            g.mul_(max_norm / length)",
        "    for g in there:\n        g.clamp_(-max_norm, max_norm)",
    ),
)
_clip(
    "no root",
    "the square of the length",
    (
        "math.sqrt(sum(g.double().square().sum().item() for g in there))",
        "float(sum(g.double().square().sum().item() for g in there))",
    ),
)
_clip(
    "sum of the lengths",
    "the sum of the absolute values, or of the lengths",
    (_LENGTH, "length = float(sum(g.double().norm().item() for g in there))"),
)
_clip(
    "largest entry",
    "the largest entry",
    (_LENGTH, "length = max((g.abs().max().item() for g in there), default=0.0)"),
)
_clip(
    "first gradient",
    "the first gradient alone",
    (_LENGTH, "length = there[0].double().norm().item() if there else 0.0"),
)
_clip("not in place", "in place", ("g.mul_(max_norm / length)", "g = g * (max_norm / length)"))
_clip(
    "length after",
    "the length after clipping",
    ("return length", "return min(length, float(max_norm))"),
)
_clip("lengthens as well", "never lengthens", ("if length > max_norm:", "if length > 0:"))
_clip("something added", "is something added", ("max_norm / length", "max_norm / (length + 1e-6)"))
_clip(
    "None not left out",
    "leave it out",
    ("[g for g in gradients if g is not None]", "list(gradients)"),
)
_clip("squares in float16", "does not fit into float16", ("g.double().square()", "g.square()"))
_clip(
    "not finite is ignored",
    "must raise a FloatingPointError",
    ('        raise FloatingPointError("length")', "        return length"),
)
_clip(
    "ValueError",
    "make it a FloatingPointError",
    ('FloatingPointError("length")', 'ValueError("length")'),
)
_clip(
    "clipped before the error",
    "change before",
    ('    if not math.isfinite(length):\n        raise FloatingPointError("length")\n', ""),
    (
        "    return length",
        "    if not math.isfinite(length):\n"
        "        for g in there:\n"
        "            g.mul_(0)\n"
        '        raise FloatingPointError("length")\n'
        "    return length",
    ),
)
_clip("a tensor", "as a float", ("return length", "return torch.tensor(length)"))

for _name, *_changes in (
    (
        "float32 and stack",
        (
            _LENGTH,
            "length = torch.stack([torch.zeros(()), *[g.float().norm() for g in "
            "there]]).norm().item()",
        ),
    ),
    (
        "squares in float64, one by one",
        (
            _LENGTH,
            "length = 0.0\n"
            "    for g in there:\n"
            "        length += float((g.double() ** 2).sum())\n"
            "    length = length**0.5",
        ),
    ),
    ("assigned into", ("g.mul_(max_norm / length)", "g[...] = g * (max_norm / length)")),
    (
        "by cases",
        (
            _RATE,
            "step / math.sqrt(d_model * warmup**3) if step < warmup else 1 / "
            "math.sqrt(d_model * step)",
        ),
    ),
    (
        "multiplied by min(1, ...)",
        ("if length > max_norm:", "if length > 0:"),
        ("g.mul_(max_norm / length)", "g *= min(1.0, max_norm / length)"),
    ),
):
    RIGHT.append(Right("noam_and_clip", _name, edit(_STEP, *_changes)))

# ---------------------------------------------------------------- AdamW

_ADAM = """
def adamw_step(
    weights, gradients, state, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01
):
    beta1, beta2 = betas
    with torch.no_grad():
        for i, (w, g) in enumerate(zip(weights, gradients, strict=True)):
            if g is None:
                continue
            s, m, v = state.get(i, (0, torch.zeros_like(w), torch.zeros_like(w)))
            s, m, v = s + 1, beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
            state[i] = s, m, v
            if w.dim() >= 2:
                w.mul_(1 - lr * weight_decay)
            m_hat, v_hat = m / (1 - beta1**s), v / (1 - beta2**s)
            w.sub_(lr * m_hat / (v_hat.sqrt() + eps))
""".lstrip()
_HATS = "m_hat, v_hat = m / (1 - beta1**s), v / (1 - beta2**s)"
_DECAY = "            if w.dim() >= 2:\n                w.mul_(1 - lr * weight_decay)\n"
_MOVE = "            w.sub_(lr * m_hat / (v_hat.sqrt() + eps))\n"
_NONE = "            if g is None:\n                continue\n"


def _adam(name: str, says: str, *changes: tuple[str, str], errata: str = "") -> None:
    _add("adamw_step", name, edit(_ADAM, *changes), says, errata)


_adam(
    "everything decays", "with one axis decay", ("if w.dim() >= 2:", "if True:"), errata="E004-37"
)
_adam("no decay", "no weight decays", (_DECAY, ""))
_adam(
    "L2",
    "Adam with L2",
    (_DECAY, ""),
    (_NONE, _NONE + "            if w.dim() >= 2:\n                g = g + weight_decay * w\n"),
)
_adam(
    "decay without the rate",
    "not multiplied by the rate",
    ("1 - lr * weight_decay", "1 - weight_decay"),
)
_adam("decay after the step", "comes after the step", (_DECAY, ""), (_MOVE, _MOVE + _DECAY))
_adam("not corrected", "not divided by 1 - beta^s", (_HATS, "m_hat, v_hat = m, v"))
_adam("only m corrected", "only m is divided", ("v / (1 - beta2**s)", "v"))
_adam(
    "first correction for ever",
    "that of the first step",
    ("beta1**s", "beta1"),
    ("beta2**s", "beta2"),
)
_adam("not squared", "is not squared", ("(1 - beta2) * g * g", "(1 - beta2) * g"))
_adam("eps under the root", "under the root", ("v_hat.sqrt() + eps", "(v_hat + eps).sqrt()"))
_adam("no root", "the root of v is missing", ("v_hat.sqrt() + eps", "v_hat + eps"))
_adam("betas exchanged", "changed places", ("beta1, beta2 = betas", "beta2, beta1 = betas"))
_adam("upwards", "the step goes up", ("w.sub_(", "w.add_("))
_adam("betas ignored", "betas is not used", ("beta1, beta2 = betas", "beta1, beta2 = 0.9, 0.999"))
_adam("eps ignored", "eps is not used", ("v_hat.sqrt() + eps", "v_hat.sqrt() + 1e-8"))
_adam(
    "one counter for all",
    "one counter serves all",
    (
        "    with torch.no_grad():\n",
        '    with torch.no_grad():\n        state["s"] = state.get("s", 0) + 1\n',
    ),
    ("s, m, v = s + 1, beta1", 's, m, v = state["s"], beta1'),
)
_adam(
    "decay without a gradient",
    "without a gradient decays",
    (
        _NONE,
        _NONE.replace(
            "                continue\n",
            "                if w.dim() >= 2:\n"
            "                    w.mul_(1 - lr * weight_decay)\n"
            "                continue\n",
        ),
    ),
)
_adam(
    "None is zero",
    "without a gradient must stay",
    (_NONE, "            if g is None:\n                g = torch.zeros_like(w)\n"),
)
_adam("None not handled", "None stands for", (_NONE, ""))
_adam("no no_grad", "under torch.no_grad()", ("with torch.no_grad():", "if True:"))
_adam(
    "not in place",
    "changes no weight",
    ("w.sub_(lr * m_hat / (v_hat.sqrt() + eps))", "w = w - lr * m_hat / (v_hat.sqrt() + eps)"),
    (_DECAY, "            if w.dim() >= 2:\n                w = w * (1 - lr * weight_decay)\n"),
)
_adam(
    "list replaced",
    "replaces the tensors",
    (
        "w.sub_(lr * m_hat / (v_hat.sqrt() + eps))",
        "weights[i] = (w - lr * m_hat / (v_hat.sqrt() + eps)).requires_grad_()",
    ),
)
_adam("no state", "leaves the state empty", ("state[i] = s, m, v", "pass"))
_adam(
    "global state",
    "leaves the state empty",
    ("def adamw_step", "KEPT = {}\n\n\ndef adamw_step"),
    ("state.get(i,", "KEPT.get(i,"),
    ("state[i] = s, m, v", "KEPT[i] = s, m, v"),
)
_adam(
    "state by id",
    "by its place in the list",
    ("state.get(i,", "state.get(id(w),"),
    ("state[i] =", "state[id(w)] ="),
)
_adam(
    "state by tensor",
    "by its place in the list",
    ("state.get(i,", "state.get(w,"),
    ("state[i] =", "state[w] ="),
)
_adam(
    "gradients decayed in place",
    "changes a gradient",
    (_NONE, _NONE + "            g.mul_(1.0000001)\n"),
)
_adam("only v corrected", "only v is divided", ("m / (1 - beta1**s)", "m"))
_adam("three axes or more", "three axes or more", ("w.dim() >= 2", "w.dim() > 2"))
_adam(
    "decay put into m",
    "the decay is put into m",
    (
        _DECAY,
        "            m_hat, v_hat = m / (1 - beta1**s), v / (1 - beta2**s)\n"
        "            if w.dim() >= 2:\n"
        "                m_hat = m_hat + weight_decay * w\n",
    ),
    ("            " + _HATS + "\n" + _MOVE, _MOVE),
)
_adam("only matrices", "exactly two axes", ("w.dim() >= 2", "w.dim() == 2"))
_adam("returns the weights", "returns nothing", (_MOVE, _MOVE + "    return weights\n"))

for _name, *_changes in (
    (
        "states by name, updated in place",
        (
            "            s, m, v = state.get(i, (0, torch.zeros_like(w), torch.zeros_like(w)))\n"
            "            s, m, v = s + 1, beta1 * m + (1 - beta1) * g, beta2 * v + (1 - "
            "beta2) * g * g\n"
            "            state[i] = s, m, v\n",
            "            one = state.setdefault(f'w{i}', {'s': 0, 'm': "
            "torch.zeros_like(w), 'v': torch.zeros_like(w)})\n"
            "            one['s'] += 1\n"
            "            s, m, v = one['s'], one['m'], one['v']\n"
            "            m.mul_(beta1).add_(g, alpha=1 - beta1)\n"
            "            v.mul_(beta2).addcmul_(g, g, value=1 - beta2)\n",
        ),
    ),
    (
        "through .data",
        ("with torch.no_grad():", "if True:"),
        ("w.mul_(", "w.data.mul_("),
        ("w.sub_(", "w.data.sub_("),
        ("torch.zeros_like(w), torch.zeros_like(w)", "torch.zeros_like(g), torch.zeros_like(g)"),
    ),
    (
        "one dictionary for each mean",
        (
            "s, m, v = state.get(i, (0, torch.zeros_like(w), torch.zeros_like(w)))",
            "s, m, v = (state.setdefault(part, {}).get(i, 0) for part in 'smv')",
        ),
        ("state[i] = s, m, v", "state['s'][i], state['m'][i], state['v'][i] = s, m, v"),
    ),
    (
        "assigned into",
        (
            "w.sub_(lr * m_hat / (v_hat.sqrt() + eps))",
            "w[...] = w - lr * m_hat / (v_hat.sqrt() + eps)",
        ),
    ),
):
    RIGHT.append(Right("adamw_step", _name, edit(_ADAM, *_changes)))
