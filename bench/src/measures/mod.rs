//! The measurements, one a file.

pub(crate) mod as_of;
pub(crate) mod batches;
pub(crate) mod explain;
pub(crate) mod one_a_request;
pub(crate) mod processor;
pub(crate) mod questions;
pub(crate) mod rebuild;
pub(crate) mod replay;
pub(crate) mod simulate;
pub(crate) mod start_up;
