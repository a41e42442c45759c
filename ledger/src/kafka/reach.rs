//! Why brokers do not let a client in: a wrong password, a certificate of nobody known; or that they are away. A question only
//! fails.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::{
    ClientContext, Statistics,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer as _, ConsumerContext},
    error::{KafkaError, RDKafkaErrorCode},
};

use super::{client::complain, options::KafkaOptions};
use crate::reach::Unreached;

/// How long a client listens for the reason.
const TO_SAY: Duration = Duration::from_secs(3);
/// How long it asks and listens in turn.
const TURN: Duration = Duration::from_millis(100);

/// What the brokers, or their absence, were heard to say.
#[derive(Default)]
struct Heard {
    /// The first reason that no waiting mends.
    refused: Mutex<Option<String>>,
    /// The first of any other kind.
    away: Mutex<Option<String>>,
}

impl ClientContext for Heard {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        // The reason is told by whoever asked.
        tracing::debug!(target: "kafka", facility, "{message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        complain(&error, reason);
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SSL) => {
                self.refused.lock().get_or_insert_with(|| reason.to_owned());
            }
            // It only counts the others.
            Some(RDKafkaErrorCode::AllBrokersDown) => {}
            Some(_) | None => {
                self.away.lock().get_or_insert_with(|| reason.to_owned());
            }
        }
    }

    fn stats(&self, _: Statistics) {}
}

impl ConsumerContext for Heard {}

impl KafkaOptions {
    /// Asks whether a broker answers. It blocks, for three seconds at most.
    ///
    /// # Errors
    /// `Unreached`: a wrong password, trouble with certificates and properties that the ledger cannot stand on are refusals.
    pub fn reach(&self) -> Result<(), Unreached> {
        self.check().map_err(|error| Unreached::Refused(error.to_string()))?;
        let created = self.consumer().create_with_context(Heard::default());
        let client: BaseConsumer<Heard> = created.map_err(|error| Unreached::Refused(self.store("connecting", &error).to_string()))?;
        let until = Instant::now() + TO_SAY;
        while Instant::now() < until {
            // Asked so that it connects; the reason comes to whoever polls.
            if client.fetch_metadata(None, TURN).is_ok() {
                return Ok(());
            }
            drop(client.poll(TURN));
            let refused = client.context().refused.lock().take();
            if let Some(reason) = refused {
                return Err(Unreached::Refused(format!("it does not let pledger in: {reason}")));
            }
        }
        let reason = client.context().away.lock().take().unwrap_or_else(|| "no broker answers".to_owned());
        Err(Unreached::Away(reason))
    }
}
