//! What the client library says goes into our own log.

use std::{
    panic::{self, AssertUnwindSafe},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientContext, Statistics,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, ConsumerContext},
    error::{KafkaError, RDKafkaErrorCode},
};

use super::options::TO_ANSWER;

/// How often brokers that are not ready are asked.
const ASK_EVERY: Duration = Duration::from_millis(50);

/// The context of consumers and questions.
#[derive(Debug)]
pub(super) struct Quiet;

pub(super) type Consumer = BaseConsumer<Quiet>;

impl ClientContext for Quiet {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        say(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        complain(&error, reason);
    }

    fn stats(&self, _: Statistics) {}
}

impl ConsumerContext for Quiet {}

/// One line of the library's own log.
pub(super) fn say(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning => {
            tracing::warn!(target: "kafka", facility, "{message}");
        }
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => tracing::debug!(target: "kafka", facility, "{message}"),
    }
}

/// A broker that is away and the like. The library goes on trying; what comes of it is said where it matters.
pub(super) fn complain(error: &KafkaError, reason: &str) {
    tracing::debug!(target: "kafka", %error, "{reason}");
}

/// Whether the library goes on by itself after this error of a consumer.
pub(super) fn passes_by_itself(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::AllBrokersDown
            | Code::DestroyBroker
            | Code::BrokerTransportFailure
            | Code::CoordinatorLoadInProgress
            | Code::CoordinatorNotAvailable
            | Code::LeaderNotAvailable
            | Code::NetworkException
            | Code::NotCoordinator
            | Code::NotLeaderForPartition
            | Code::OperationTimedOut
            | Code::PollExceeded
            | Code::RequestTimedOut
            | Code::Resolve
            | Code::UnknownPartition
    )
}

/// What `read` makes of headers; none where one of them has a name that is not UTF-8, at which the library panics.
pub(super) fn guarded<T>(read: impl FnOnce() -> T) -> Option<T> {
    panic::catch_unwind(AssertUnwindSafe(read)).ok()
}

/// Asks again as long as brokers only say that they are not ready: leaders are chosen anew when a broker is lost.
///
/// # Errors
/// The last one, after `TO_ANSWER`.
pub(super) fn insist<T>(ask: impl Fn() -> Result<T, KafkaError>) -> Result<T, KafkaError> {
    let until = Instant::now() + TO_ANSWER;
    loop {
        let answer = ask();
        let passes = answer.as_ref().is_err_and(|error| error.rdkafka_error_code().is_some_and(passes_by_itself));
        if !passes || Instant::now() > until {
            return answer;
        }
        std::thread::sleep(ASK_EVERY);
    }
}
