"""Averages the low-rank changes of runs of teach.py and writes `embeddings/adapter.safetensors`.

The mean of two changes has the sum of their ranks; only its main directions are kept (SVD).
"""

import argparse
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from embeddings.adapter import PATH
from embeddings.embedder import Vectors

BASIS = "token_basis"


def mean_of(runs: list[dict[str, Vectors]], rank: int) -> tuple[dict[str, Vectors], list[float]]:
    """The adapter in fp16, and what share of each change's energy was cut off."""
    basis = np.mean([run[BASIS].astype(np.float32) for run in runs], axis=0)
    packed = {BASIS: basis.astype(np.float16)}
    lost = []
    for name in (key.removesuffix(".up") for key in runs[0] if key.endswith(".up")):
        change = np.mean([_change(run, name) for run in runs], axis=0)
        left, sizes, right = np.linalg.svd(change, full_matrices=False)
        lost.append(float(1 - (sizes[:rank] ** 2).sum() / (sizes**2).sum()))
        root = np.sqrt(sizes[:rank])
        packed[f"{name}.up"] = np.ascontiguousarray(left[:, :rank] * root, np.float16)
        packed[f"{name}.down"] = np.ascontiguousarray(root[:, None] * right[:rank], np.float16)
    return packed, lost


def _change(run: dict[str, Vectors], name: str) -> Vectors:
    return run[f"{name}.up"].astype(np.float32) @ run[f"{name}.down"].astype(np.float32)


def main() -> None:
    """Writes the adapter; the model is built anew from it when it is next asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+", help="of teach.py, each of the same weight")
    parser.add_argument("--rank", type=int, default=32)
    parser.add_argument("--out", type=Path, default=PATH)
    args = parser.parse_args()
    packed, lost = mean_of([load_file(run) for run in args.runs], args.rank)
    save_file(packed, args.out)
    print(f"wrote {args.out.name}; energy cut off: mean {np.mean(lost):.4f}, most {max(lost):.4f}")


if __name__ == "__main__":
    main()
