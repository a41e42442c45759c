//! `pipeline`: figures of deals by their dimensions.
//!
//! The figures are made from the deals' rows in memory. A cube of sums by all dimensions would have nearly as many rows
//! as there are deals (partner x product x month x registered month alone are more than a million), so it would save
//! nothing: docs/decisions/0002-read-models-in-memory.md has the measurement.

mod figures;
mod view;

pub use view::VIEW;
