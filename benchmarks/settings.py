"""What encoder.py measures with: sizes, lengths, repeats."""

import dataclasses

from peers import PEERS


@dataclasses.dataclass(frozen=True)
class Size:
    """A batch and a model."""

    batch: int
    length: int
    d_model: int
    heads: int
    layers: int

    def __str__(self) -> str:
        return f"B={self.batch}, T={self.length}, D={self.d_model}, H={self.heads}, N={self.layers}"


SIZES = {
    "tiny": Size(32, 32, 64, 4, 2),
    "small": Size(16, 128, 256, 8, 4),
    "small, T=512": Size(4, 512, 256, 8, 4),
    "base": Size(8, 128, 768, 12, 2),
}


@dataclasses.dataclass(frozen=True)
class Settings:
    """How much is measured: the sizes, and for each row at least and at most so many rounds."""

    quick: bool = False
    threads: int = 1
    sizes: tuple[str, ...] = ("tiny", "small", "base")
    sizes_bf16: tuple[str, ...] = ("tiny", "small", "small, T=512", "base")
    lengths: tuple[int, ...] = (512, 1024, 2048, 4096, 8192)
    steps: tuple[int, ...] = (32, 128)
    slow_settings: tuple[str, ...] = tuple(PEERS)  # whom to try in fp32 against the fast settings
    budget: float = 12.0  # seconds a row
    least: int = 7
    most: int = 41
    long: int = 3  # rounds of what takes many seconds


QUICK = Settings(
    quick=True,
    sizes=("tiny", "small"),
    sizes_bf16=("tiny", "small"),
    lengths=(512, 2048),
    steps=(32,),
    slow_settings=("torch.nn",),
    budget=1.0,
    least=3,
    most=9,
    long=1,
)
