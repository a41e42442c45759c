//! The partner program's rules: pure decisions over streams of events.
