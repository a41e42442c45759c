//! `pipeline`: figures of deals by their dimensions.
//!
//! The figures are made from the deals' rows in memory. A cube of sums by all dimensions would have nearly as many rows
//! as there are deals (partner x product x month x registered month alone are more than a million), so it would save
//! nothing: see docs/decisions for the measurement.

mod figures;
mod view;

pub use view::VIEW;
