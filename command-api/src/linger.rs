//! Reading what a client still sends after its request was refused. A connection that is closed before that is reset,
//! and many clients never see why.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::Request,
    http::header,
};
use http_body_util::{BodyExt, Limited};
use hyper::body::{Frame, SizeHint};

/// Shorter bodies have mostly arrived before anybody looks at them.
const LONG_BYTES: u64 = 64 * 1024;
/// How much is read to no purpose, at most.
const MAX_READ_BYTES: usize = 64 * 1024 * 1024;
/// How long that may take.
const MAX_READ_TIME: Duration = Duration::from_secs(10);

/// Lets the body of a request be read to its end, whoever loses interest in it.
pub(crate) fn to_the_end(request: Request) -> Request {
    let declared = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let is_long = declared.map_or_else(|| request.headers().contains_key(header::TRANSFER_ENCODING), |length| length > LONG_BYTES);
    if is_long { request.map(|body| Body::new(Lingering(Some(body)))) } else { request }
}

/// A body that is read on when it is dropped early.
struct Lingering(Option<Body>);

impl HttpBody for Lingering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match &mut self.0 {
            Some(body) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map(HttpBody::size_hint).unwrap_or_default()
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        let Some(body) = self.0.take().filter(|body| !body.is_end_stream()) else { return };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(tokio::time::timeout(MAX_READ_TIME, read_on(body)));
        }
    }
}

async fn read_on(body: Body) {
    let mut body = Limited::new(body, MAX_READ_BYTES);
    while let Some(Ok(_)) = body.frame().await {}
}
