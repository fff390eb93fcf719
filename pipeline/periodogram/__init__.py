"""Search kernels: grids, binning and filtering, the shared fold, false alarms, and the two-pass BLS.

``grid`` says where to look, ``binned`` makes the filtered series, ``tree`` plans which periods share which sums,
``reference`` is the fold as specification, ``numba_kernel`` and ``jax_kernel`` are the same made fast. ``spectrum``
runs a fold over all durations and templates, ``noise`` and ``nulls`` say how high noise alone rises, ``refine``
measures a peak on unbinned data, and ``two_pass_bls`` is the older search kept by name.
"""
