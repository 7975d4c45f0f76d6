//! A call planted wherever the grammar takes an expression must be found.
