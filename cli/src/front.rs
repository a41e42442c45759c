//! The address that is listened on.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result};
use tokio::{net::TcpListener, runtime::Runtime};

/// How long what is still asked may take once nothing more is served.
const TO_END: Duration = Duration::from_secs(1);

/// What shells say of a process that SIGINT ended.
const INTERRUPTED: i32 = 130;

/// An address that is listened on, and what serves there.
pub(crate) struct Front {
    runtime: Runtime,
    /// The system's own, since several may serve on it, one after the other.
    listener: std::net::TcpListener,
    /// Where it is.
    pub(crate) url: String,
}

impl Front {
    /// Listens; nobody is answered yet.
    pub(crate) fn bind(listen: SocketAddr) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let listener = runtime
            .block_on(TcpListener::bind(listen))
            .with_context(|| format!("{listen} cannot be listened on; choose another with --listen"))?;
        let url = format!("http://{}", listener.local_addr()?);
        Ok(Self { runtime, listener: listener.into_std()?, url })
    }

    /// Serves to the end.
    pub(crate) fn serve(self, serve: impl AsyncFnOnce(TcpListener) -> Result<()>) -> Result<()> {
        let Self { runtime, listener, .. } = self;
        let outcome = runtime.block_on(async { serve(TcpListener::from_std(listener)?).await });
        // Requests that outlived the drain hold on to what they ask; they end with the runtime.
        runtime.shutdown_timeout(TO_END);
        outcome
    }

    /// Does something beside, with a listener of its own on the same address.
    #[cfg(feature = "kafka")]
    pub(crate) fn beside<F: Future<Output: Send> + Send + 'static>(
        &self,
        work: impl FnOnce(TcpListener) -> F,
    ) -> Result<tokio::task::JoinHandle<F::Output>> {
        let _entered = self.runtime.enter();
        let listener = TcpListener::from_std(self.listener.try_clone()?)?;
        Ok(self.runtime.spawn(work(listener)))
    }

    /// Waits for what was begun beside.
    #[cfg(feature = "kafka")]
    pub(crate) fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }
}

/// Ends at Ctrl-C or SIGTERM. Another Ctrl-C ends the process at once: what is acknowledged is in the ledger all the same.
pub(crate) async fn signalled() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        drop(tokio::signal::ctrl_c().await);
        return;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
    tokio::spawn(async {
        if tokio::signal::ctrl_c().await.is_ok() {
            std::process::exit(INTERRUPTED);
        }
    });
}
