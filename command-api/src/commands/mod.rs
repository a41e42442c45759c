//! Commands over HTTP: one a request, many a request, as CloudEvents; and the catalogue of them.

pub(crate) mod batch;
pub(crate) mod catalogue;
pub(crate) mod cloud_events;
pub(crate) mod personal;
pub(crate) mod single;
pub(crate) mod submit;
