//! Tests of the whole system live in `tests/`.
