//! What answers have in common: JSON, and what is said of an answer in its headers.

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, Response, header},
};
use serde::Serialize;

use crate::problem::Problem;

/// What answers in JSON are.
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// Says what to know of an answer; on every answer why no command is decided, while that is so.
pub(crate) const WARNING: HeaderName = HeaderName::from_static("pledger-warning");

/// A document as an answer.
pub(crate) fn json(document: &impl Serialize) -> Result<Response<Body>, Problem> {
    let body = serde_json::to_vec(document).map_err(|error| Problem::internal(&error))?;
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    Ok(response)
}

/// Says in an answer's header what to know of it.
pub(crate) fn warn(response: &mut Response<Body>, said: &[String]) {
    if !said.is_empty() {
        response.headers_mut().insert(WARNING, header_text(&said.join("; ")));
    }
}

/// As much of a text as a header can hold.
pub(crate) fn header_text(text: &str) -> HeaderValue {
    let kept: String = text.chars().map(|c| if c == ' ' || c.is_ascii_graphic() { c } else { '?' }).collect();
    HeaderValue::from_str(&kept).expect("visible ASCII and spaces can stand in a header")
}
