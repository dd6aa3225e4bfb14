"""The sparse layer's kernels against torch's dense and CSR products: one input layer of 256 units, a batch of 256.

    python benchmarks/kernels.py [--quick]

Prints a table and writes ``benchmarks/results/kernels.json``. Times are medians in milliseconds, of forward and of weight
gradient, for a feature-major batch; a row-major batch costs the transposition on top.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from measure import interleaved, parser, write_results
from siftrl.sparse import SparseLinear, kernels
from siftrl.sparse.linear import BLAS_DENSITY

UNITS, BATCH = 256, 256
SHAPES = [
    (34_800, 0.01), (34_800, 0.05), (34_800, 0.2),
    (1_700, 0.01), (1_700, 0.05), (1_700, 0.2),
    (170, 0.1), (170, 0.2), (256, 0.1), (256, 0.2), (256, 0.3),
]  # fmt: skip


def compare(n_features: int, density: float, repeats: int) -> dict[str, Any]:
    """One row of the table."""
    torch.manual_seed(0)
    layer = SparseLinear(n_features, UNITS, density)
    bias, weight = torch.zeros(UNITS), layer.weight.detach()
    dense = layer.to_dense().detach().contiguous()
    csr = dense.to_sparse_csr()
    batch_t = torch.randn(n_features, BATCH)
    batch = batch_t.t().contiguous()
    grad = torch.randn(BATCH, UNITS)
    grad_t = grad.t().contiguous()
    out_t, grad_weight = torch.empty(UNITS, BATCH), torch.empty(layer.n_links)
    product = layer.links.product(weight, bias, out_t)
    gradient = layer.links.weight_gradient(grad_t, grad_weight)

    rivals = {
        "sparse_forward": lambda: kernels.product(batch_t.numpy(), [product]),
        "dense_forward": lambda: torch.nn.functional.linear(batch, dense),
        "csr_forward": lambda: csr @ batch_t,
        "sparse_gradient": lambda: kernels.weight_gradient(batch_t.numpy(), [gradient]),
        "dense_gradient": lambda: grad_t @ batch,
        "csr_gradient": lambda: torch.sparse.sampled_addmm(csr, grad_t, batch, beta=0.0),
        "transposition": lambda: batch.t().contiguous(),
    }
    times = interleaved(rivals, repeats)
    row: dict[str, Any] = {"features": n_features, "density": density, "links": layer.n_links}
    for name, values in times.items():
        row[name] = round(float(np.median(values)), 4)
        row[f"{name}_range"] = [round(float(values.min()), 4), round(float(values.max()), 4)]
    return row


def main() -> None:
    """Measure, print and write."""
    arguments = parser(__doc__, "5 rounds instead of 21").parse_args()
    warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
    print(f"{UNITS} units, batch {BATCH}; ms, forward / weight gradient; dense products are used above {BLAS_DENSITY:.0%}")
    print(f"{'features':>9} {'density':>8} {'dense':>17} {'torch CSR':>17} {'SiftRL':>17} {'dense / SiftRL':>15}")
    rows = []
    for n_features, density in SHAPES:
        row = compare(n_features, density, repeats=5 if arguments.quick else 21)
        rows.append(row)
        cells = [f"{row[f'{kind}_forward']:8.3f} /{row[f'{kind}_gradient']:7.3f}" for kind in ("dense", "csr", "sparse")]
        ratio = (row["dense_forward"] + row["dense_gradient"]) / (row["sparse_forward"] + row["sparse_gradient"])
        print(f"{n_features:9,} {density:8.0%} {cells[0]} {cells[1]} {cells[2]} {ratio:14.1f}x")
    write_results(arguments.results, "kernels", rows)


if __name__ == "__main__":
    main()
