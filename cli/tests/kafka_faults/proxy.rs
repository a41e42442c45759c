//! A network between brokers and those who come to them through it: it can be cut, and it can lose what brokers answer.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

/// How often a cut line is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// A line to every broker.
pub(crate) struct Network {
    listeners: Vec<TcpListener>,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// Nothing arrives any more, and nobody is told so.
    is_cut: AtomicBool,
    /// What brokers say does not arrive.
    loses_answers: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

impl Network {
    /// Listens for those who want to go to so many brokers.
    pub(crate) fn new(brokers: u8) -> Self {
        let listeners = (0..brokers).map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port")).collect();
        Self { listeners, state: Arc::default() }
    }

    fn all(&self, write: impl Fn(u16) -> String) -> String {
        let port = |listener: &TcpListener| write(listener.local_addr().expect("bound").port());
        self.listeners.iter().map(port).collect::<Vec<_>>().join(",")
    }

    /// The ports, which brokers have to send their clients to.
    pub(crate) fn ports(&self) -> String {
        self.all(|port| port.to_string())
    }

    /// The way to the brokers.
    pub(crate) fn brokers(&self) -> String {
        self.all(|port| format!("127.0.0.1:{port}"))
    }

    /// Connects everybody with these brokers from now on, as long as the process lives.
    pub(crate) fn open(&self, brokers: &str) {
        for (listener, broker) in self.listeners.iter().zip(brokers.split(',')) {
            let (listener, broker, state) = (listener.try_clone().expect("a listener"), broker.to_owned(), Arc::clone(&self.state));
            thread::spawn(move || {
                for client in listener.incoming() {
                    state.connect(client.expect("a client"), &broker);
                }
            });
        }
    }

    /// What is on its way stays where it is, and so does everything that comes later, until the network is mended.
    pub(crate) fn cut(&self) {
        self.state.is_cut.store(true, Ordering::SeqCst);
    }

    /// What brokers answer is lost from now on.
    pub(crate) fn lose_answers(&self) {
        self.state.loses_answers.store(true, Ordering::SeqCst);
    }

    /// Everything arrives again, what was held up included. Connections that lost something end.
    pub(crate) fn mend(&self) {
        if self.state.loses_answers.load(Ordering::SeqCst) {
            for stream in self.state.open.lock().expect("no panic").drain(..) {
                // Ended already, perhaps.
                drop(stream.shutdown(Shutdown::Both));
            }
        }
        self.state.loses_answers.store(false, Ordering::SeqCst);
        self.state.is_cut.store(false, Ordering::SeqCst);
    }
}

impl State {
    fn connect(self: &Arc<Self>, client: TcpStream, broker: &str) {
        // A broker that was killed refuses, and so does its end here.
        let Ok(server) = TcpStream::connect(broker) else { return };
        for stream in [&client, &server] {
            stream.set_nodelay(true).expect("a socket");
        }
        let clone = |stream: &TcpStream| stream.try_clone().expect("a socket");
        self.open.lock().expect("no panic").extend([clone(&client), clone(&server)]);
        let (asking, answering) = (Arc::clone(self), Arc::clone(self));
        let (from, to) = (clone(&client), clone(&server));
        thread::spawn(move || asking.carry(from, to, |_| false));
        thread::spawn(move || answering.carry(server, client, |state| state.loses_answers.load(Ordering::SeqCst)));
    }

    /// Carries bytes until one of the ends is closed.
    fn carry(&self, mut from: TcpStream, mut to: TcpStream, is_lost: impl Fn(&Self) -> bool) {
        let mut bytes = vec![0; 64 << 10];
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            while self.is_cut.load(Ordering::SeqCst) {
                thread::sleep(LOOK);
            }
            if !is_lost(self) && to.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        for end in [from, to] {
            drop(end.shutdown(Shutdown::Both));
        }
    }
}
