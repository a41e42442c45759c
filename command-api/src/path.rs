//! The variable segments of a request's path.

use axum::{
    extract::{FromRequestParts, Path},
    http::request::Parts,
};
use serde::de::DeserializeOwned;

use crate::problem::Problem;

/// Like `axum::extract::Path`, with a problem document where they cannot be read.
pub(crate) struct Segments<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Segments<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Path::from_request_parts(parts, state).await.map(|Path(segments)| Self(segments)).map_err(|unreadable| {
            Problem::malformed("MalformedPath", unreadable.body_text())
                .accepted("percent-encoded UTF-8, such as /v1/streams/account%2Facme.com")
        })
    }
}
