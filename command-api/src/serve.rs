//! Accepting connections until told to stop.

use std::{future::Future, io, pin::pin, sync::Arc, time::Duration};

use axum::{Router, routing::get};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};

use crate::{
    ApiState, Operations, Probe,
    health::{healthz, probed, readiness},
    router,
};

/// The most connections at a time; further ones wait to be accepted.
const MAX_CONNECTIONS: usize = 4_096;
/// How long a client may take to send the head of a request, and how long an idle connection is kept.
const HEADER_TIMEOUT: Duration = Duration::from_secs(60);
/// How long requests in progress may take to end after the signal to stop.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(15);
/// How long to wait where no connection can be accepted: too many files are open.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves `api` on `listener` until `shutdown` ends; then takes no more connections and lets requests in progress end.
///
/// # Errors
/// None for now: a connection that fails ends alone.
pub async fn serve(listener: TcpListener, api: ApiState, shutdown: impl Future<Output = ()>) -> io::Result<()> {
    let routes = router(Arc::clone(&api));
    serve_routes(listener, routes, shutdown, || api.changes.close()).await
}

/// Serves what a process without an API is watched by.
///
/// # Errors
/// None for now.
pub async fn serve_operations(listener: TcpListener, operations: Operations, shutdown: impl Future<Output = ()>) -> io::Result<()> {
    serve_routes(listener, operations.router(), shutdown, || ()).await
}

/// Says of everything but `/healthz` that this process is not ready, and why: it waits for what the probe is of.
///
/// # Errors
/// None for now.
pub async fn serve_waiting(listener: TcpListener, probe: Probe, shutdown: impl Future<Output = ()>) -> io::Result<()> {
    let waits = move || async move { readiness(probed(&[probe])) };
    let routes = Router::new().route("/healthz", get(|| async { healthz() })).fallback(waits);
    serve_routes(listener, routes, shutdown, || ()).await
}

async fn serve_routes(listener: TcpListener, routes: Router, shutdown: impl Future<Output = ()>, closing: impl FnOnce()) -> io::Result<()> {
    let service = TowerToHyperService::new(routes);
    let mut http = http1::Builder::new();
    // Not `pipeline_flush`: with it hyper keeps to itself what it says to a head that cannot be read.
    http.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut shutdown = pin!(shutdown);
    loop {
        let (stream, place) = tokio::select! {
            next = next_connection(&listener, &places) => next,
            () = &mut shutdown => break,
        };
        let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), service.clone()));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection failed");
            }
            drop(place);
        });
    }
    drop(listener);
    closing();
    if tokio::time::timeout(DRAIN_TIMEOUT, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests were still in progress after {} s; they are cut off", DRAIN_TIMEOUT.as_secs());
    }
    Ok(())
}

async fn next_connection(listener: &TcpListener, places: &Arc<Semaphore>) -> (TcpStream, tokio::sync::OwnedSemaphorePermit) {
    let place = Arc::clone(places).acquire_owned().await.expect("the semaphore is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "a connection keeps delaying small answers");
                }
                return (stream, place);
            }
            Err(error) => {
                tracing::warn!(%error, "no connection could be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
