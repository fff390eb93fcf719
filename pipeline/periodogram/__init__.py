"""Search kernels: grids, binning and filtering, the shift-add fold, and the two-pass BLS.

``grid`` says where to look, ``binned`` makes the filtered series, ``reference`` is the fold as specification,
``numba_kernel`` and ``jax_kernel`` are the same fold made fast, ``spectrum`` runs a fold over all durations and
templates, ``refine`` measures a peak on unbinned data, ``two_pass_bls`` is the older search kept by name.
"""
