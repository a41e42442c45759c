//! The decision ledger: records, chain, slices and the engines that keep them.
