//! The fold engine and the read models.
