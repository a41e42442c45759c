//! The address that is listened on, and the signals to stop.

use std::{io, net::SocketAddr, thread, time::Duration};

use anyhow::{Context as _, Result};
use tokio::{
    net::TcpListener,
    runtime::Runtime,
    signal::unix::{SignalKind, signal},
    sync::watch,
};

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
    pub(crate) signalled: Signalled,
}

impl Front {
    /// Listens; nobody is answered yet.
    pub(crate) fn bind(listen: SocketAddr) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let listener = runtime
            .block_on(TcpListener::bind(listen))
            .with_context(|| format!("{listen} cannot be listened on; choose another with --listen"))?;
        let url = format!("http://{}", listener.local_addr()?);
        let signalled = Signalled::from_now_on().context("signals cannot be waited for")?;
        Ok(Self { runtime, listener: listener.into_std()?, url, signalled })
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

/// Whether the process was told to stop, by Ctrl-C or SIGTERM. Whoever waits for it later hears of it all the same: a signal that
/// comes while nobody waits is not lost.
#[derive(Clone)]
pub(crate) struct Signalled(watch::Receiver<bool>);

impl Signalled {
    /// Signals no longer end the process. Another Ctrl-C after the first signal does, whatever it is at: what is acknowledged is in the
    /// ledger all the same.
    fn from_now_on() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let entered = runtime.enter();
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        drop(entered);
        let (tell, told) = watch::channel(false);
        let listening = async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            tell.send_replace(true);
            if interrupt.recv().await.is_some() {
                std::process::exit(INTERRUPTED);
            }
        };
        thread::Builder::new().name("signals".into()).spawn(move || runtime.block_on(listening))?;
        Ok(Self(told))
    }

    /// Ends when it is told to stop, or was.
    pub(crate) async fn told(mut self) {
        drop(self.0.wait_for(|told| *told).await);
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_signal_that_came_while_nobody_waited_is_heard_of() {
        let signalled = Signalled::from_now_on().expect("signals");
        assert!(!*signalled.0.borrow());
        let sent = Command::new("kill").args(["-TERM", &std::process::id().to_string()]).status().expect("kill");
        assert!(sent.success());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        for waits in [signalled.clone(), signalled] {
            runtime.block_on(async { tokio::time::timeout(Duration::from_secs(60), waits.told()).await }).expect("it is told");
        }
    }
}
