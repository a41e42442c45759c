//! End to end scenarios and properties.
