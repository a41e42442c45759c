//! HTTP: commands, queries, OpenAPI, metrics.
