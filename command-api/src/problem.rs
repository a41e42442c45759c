//! Problem documents (RFC 9457): what every answer that is not a success looks like.

use std::{borrow::Cow, fmt::Write as _};

use axum::{
    body::Body,
    http::{HeaderValue, Response, StatusCode, header},
    response::IntoResponse,
};
use pledger_ledger::log::LogError;
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::Value;

/// The media type of a problem document.
pub(crate) const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// After how many seconds to try again where the log cannot be read.
const RETRY_S: u32 = 5;

/// A problem: a stable code for programs, a sentence for people, and what else is known.
///
/// JSON: `{type, title, status, code, detail, field?, accepted?, ...}`; `type` is `/problems/<code>`.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem(Box<Parts>);

#[derive(Clone, Debug, PartialEq)]
struct Parts {
    status: StatusCode,
    code: Cow<'static, str>,
    detail: String,
    field: Option<String>,
    accepted: Option<Value>,
    retry_after_s: Option<u32>,
    more: Vec<(&'static str, Value)>,
}

impl Problem {
    /// A problem of this status and code. `detail` says in a sentence what is wrong this time.
    pub fn new(status: StatusCode, code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        let (code, detail) = (code.into(), detail.into());
        Self(Box::new(Parts { status, code, detail, field: None, accepted: None, retry_after_s: None, more: Vec::new() }))
    }

    /// 400: the request cannot be read.
    pub fn malformed(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// 404: there is nothing here.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", detail)
    }

    /// 500: a fault of ours. What it was is logged, not told.
    pub fn internal(error: &dyn std::error::Error) -> Self {
        tracing::error!(%error, "a request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", "the request failed inside pledger; its log says why")
    }

    /// 503: the log cannot be read.
    pub(crate) fn of_log(error: &LogError) -> Self {
        tracing::warn!(%error, "the ledger cannot be read");
        let code = match error {
            LogError::Damaged { .. } => "LedgerDamaged",
            LogError::Store(_) | LogError::Locked(_) | LogError::ReadOnly(_) | LogError::Unfit(_) | LogError::Absent(_) => {
                "LedgerUnavailable"
            }
        };
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, error.to_string()).retry_after(RETRY_S)
    }

    /// Names the offending field: a path in the body, a header or a query parameter.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.0.field = Some(field.into());
        self
    }

    /// Says what would be accepted: a sentence, or the list of choices.
    #[must_use]
    pub fn accepted(mut self, accepted: impl Into<Value>) -> Self {
        self.0.accepted = Some(accepted.into());
        self
    }

    /// Says after how many seconds to try again.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.0.retry_after_s = Some(seconds);
        self
    }

    /// Adds a member of its own.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.0.more.push((name, value.into()));
        self
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.0.code
    }
}

/// `AccountProtected` as `Account protected`.
fn title(code: &str) -> String {
    let mut title = String::with_capacity(code.len() + 8);
    for (at, letter) in code.char_indices() {
        if at > 0 && letter.is_ascii_uppercase() {
            title.push(' ');
            title.push(letter.to_ascii_lowercase());
        } else {
            title.push(letter);
        }
    }
    title
}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut kind = String::with_capacity(10 + self.0.code.len());
        // Writing to a string does not fail.
        let _ = write!(kind, "/problems/{}", self.0.code);
        let mut map = s.serialize_map(None)?;
        map.serialize_entry("type", &kind)?;
        map.serialize_entry("title", &title(&self.0.code))?;
        map.serialize_entry("status", &self.0.status.as_u16())?;
        map.serialize_entry("code", &self.0.code)?;
        map.serialize_entry("detail", &self.0.detail)?;
        if let Some(field) = &self.0.field {
            map.serialize_entry("field", field)?;
        }
        if let Some(accepted) = &self.0.accepted {
            map.serialize_entry("accepted", accepted)?;
        }
        if let Some(seconds) = self.0.retry_after_s {
            map.serialize_entry("retry_after", &seconds)?;
        }
        for (name, value) in &self.0.more {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response<Body> {
        let body = serde_json::to_vec(&self).expect("a problem is plain data, which JSON can hold");
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.0.status;
        response.headers_mut().insert(header::CONTENT_TYPE, PROBLEM_JSON);
        if let Some(seconds) = self.0.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_says_what_where_and_what_would_do() {
        let problem = Problem::malformed("MalformedHeader", "not a time").field("Effective-At").accepted("RFC 3339").with("n", 3);
        assert_eq!(
            serde_json::to_string(&problem).expect("written"),
            r#"{"type":"/problems/MalformedHeader","title":"Malformed header","status":400,"code":"MalformedHeader","detail":"not a time","field":"Effective-At","accepted":"RFC 3339","n":3}"#
        );
    }

    #[test]
    fn retry_after_is_a_header_too() {
        let response = Problem::new(StatusCode::TOO_MANY_REQUESTS, "Overloaded", "wait").retry_after(2).into_response();
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()["retry-after"], "2");
        assert_eq!(response.headers()["content-type"], "application/problem+json");
    }
}
