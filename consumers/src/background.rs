//! A thread that works until it is told to stop, and is waited for.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

/// Whether a thread has been told to stop.
#[derive(Clone, Debug, Default)]
pub struct Stopping(Arc<AtomicBool>);

/// The thread. Dropped, it is told to stop and waited for.
#[derive(Debug)]
pub struct Background {
    stopping: Stopping,
    thread: Option<JoinHandle<()>>,
}

impl Stopping {
    /// Whether it is to stop.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Release);
    }
}

impl Background {
    /// Starts a thread of this name. Whoever parks in `work` is woken when it is to stop.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub fn start(name: &str, work: impl FnOnce(Stopping) + Send + 'static) -> io::Result<Self> {
        let stopping = Stopping::default();
        let told = stopping.clone();
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || work(told))?;
        Ok(Self { stopping, thread: Some(thread) })
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.stopping.set();
        let Some(thread) = self.thread.take() else { return };
        thread.thread().unpark();
        let name = thread.thread().name().unwrap_or_default().to_owned();
        if thread.join().is_err() {
            tracing::error!(name, "a thread panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn it_is_woken_and_waited_for() {
        let (tell, told) = mpsc::channel();
        let background = Background::start("test", move |stopping| {
            while !stopping.is_set() {
                thread::park();
            }
            tell.send(()).expect("somebody listens");
        })
        .expect("a thread");
        assert!(told.try_recv().is_err());
        drop(background);
        told.try_recv().expect("it ended before");
    }

    #[test]
    fn a_panic_of_it_is_not_one_of_whoever_drops_it() {
        drop(Background::start("test", |_| panic!("on purpose")).expect("a thread"));
    }
}
