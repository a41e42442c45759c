//! Why brokers do not let a client in: a wrong password, a certificate of nobody known. A question only fails.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::{
    ClientContext, Statistics,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer as _, ConsumerContext},
    error::{KafkaError, RDKafkaErrorCode},
};

use super::{
    client::{complain, say},
    options::KafkaOptions,
};

/// How long a client listens for the reason.
const TO_SAY: Duration = Duration::from_secs(3);
/// How long it asks and listens in turn.
const TURN: Duration = Duration::from_millis(100);

/// Keeps the first reason that no waiting mends.
#[derive(Default)]
struct Heard(Mutex<Option<String>>);

impl ClientContext for Heard {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        say(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        complain(&error, reason);
        if matches!(error.rdkafka_error_code(), Some(RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SSL)) {
            self.0.lock().get_or_insert_with(|| reason.to_owned());
        }
    }

    fn stats(&self, _: Statistics) {}
}

impl ConsumerContext for Heard {}

/// What the brokers have against us; none where they say nothing of the kind, be it that nobody answers.
pub(super) fn refusal(options: &KafkaOptions) -> Option<String> {
    let client: BaseConsumer<Heard> = options.consumer().create_with_context(Heard::default()).ok()?;
    let until = Instant::now() + TO_SAY;
    while Instant::now() < until {
        // Asked so that it connects; the reason comes to whoever polls.
        if client.fetch_metadata(None, TURN).is_ok() {
            return None;
        }
        drop(client.poll(TURN));
        let heard = client.context().0.lock().take();
        if heard.is_some() {
            return heard;
        }
    }
    None
}
