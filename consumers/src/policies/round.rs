//! One look of one policy: what it wants is sent in batches, and what came of each is judged.

use std::{collections::HashSet, sync::Arc};

use pledger_domain::{facts::Channel, values::Timestamp};
use pledger_ledger::{
    commands::{CommandSink, Decided, Undecided},
    edge::{Edge, Incoming},
    slices::Position,
};

use crate::background::Stopping;

use super::{Policy, PolicyStatus, PolicyView, Unread, Wanted};

/// The most commands of one look; what is left is found by the next one, which follows at once.
const MAX_WANTED: usize = 1_000;
/// The most commands that are with the processor at a time.
const MAX_BATCH: usize = 100;

/// What policies work with.
pub(super) struct Desk {
    pub(super) view: Box<dyn PolicyView>,
    pub(super) edge: Edge,
    pub(super) sink: Arc<dyn CommandSink>,
    pub(super) status: Arc<PolicyStatus>,
    pub(super) stopping: Stopping,
}

/// How a look ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// There is nothing more to do for now.
    Settled,
    /// There is more to do at once.
    More,
    /// The read models have to catch up first.
    Behind,
    /// The processor is to be left in peace for a while.
    Later(String),
    /// Something does not work; it is tried again later.
    Trouble(String),
}

/// A policy with what came of its commands.
pub(super) struct Line {
    policy: Box<dyn Policy>,
    /// The keys that were decided for good and are still wanted: the read models do not know yet, or cannot know.
    decided: HashSet<String>,
}

/// What an answer means for its command.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// It is not sent again.
    Done,
    /// The policy wants it again or not, as the read models will say.
    Said,
    Again(Ended),
}

impl Line {
    pub(super) fn new(policy: Box<dyn Policy>) -> Self {
        Self { policy, decided: HashSet::new() }
    }

    /// Looks once.
    pub(super) async fn look(&mut self, desk: &Desk) -> Ended {
        let now = desk.edge.clock.now();
        let most = MAX_WANTED + self.decided.len();
        let wanted = match self.policy.wanted(&*desk.view, now, most) {
            Ok(wanted) => wanted,
            Err(Unread::Behind) => return Ended::Behind,
            Err(unread @ Unread::Ledger(_)) => return Ended::Trouble(unread.to_string()),
        };
        let is_full = wanted.len() == most;
        let keys: HashSet<&str> = wanted.iter().map(|wanted| wanted.key.as_str()).collect();
        self.decided.retain(|key| keys.contains(key.as_str()));
        let due: Vec<Wanted> = wanted.into_iter().filter(|wanted| !self.decided.contains(&wanted.key)).collect();
        match self.send(&due, desk, now).await {
            Ended::Settled if is_full => Ended::More,
            ended => ended,
        }
    }

    /// Sends batch after batch. One of which something is to be sent again is the last for now.
    async fn send(&mut self, due: &[Wanted], desk: &Desk, now: Timestamp) -> Ended {
        for batch in due.chunks(MAX_BATCH) {
            if desk.stopping.is_set() {
                return Ended::Settled;
            }
            let Asked { answers, never, later } = desk.ask(self.policy.sender(), batch, now).await;
            self.decided.extend(never.into_iter().map(|wanted| wanted.key.clone()));
            let mut again = later.map(Ended::Trouble);
            for (wanted, decided) in answers {
                match self.judge(wanted, &decided, desk) {
                    Verdict::Done => drop(self.decided.insert(wanted.key.clone())),
                    Verdict::Said => {}
                    Verdict::Again(why) => again = Some(why),
                }
            }
            if let Some(why) = again {
                return why;
            }
        }
        Ended::Settled
    }

    fn judge(&self, wanted: &Wanted, decided: &Decided, desk: &Desk) -> Verdict {
        let (policy, key) = (self.policy.sender(), wanted.key.as_str());
        match decided {
            Ok(answer) => {
                desk.status.count(answer);
                match &answer.outcome {
                    Ok(_) => Verdict::Done,
                    Err(rejection) if self.policy.expects(rejection) => Verdict::Said,
                    Err(rejection) if rejection.may_pass_later() => Verdict::Again(Ended::Later(rejection.to_string())),
                    Err(rejection) => {
                        tracing::warn!(policy, key, position = %answer.position, %rejection, "a policy's command was refused");
                        Verdict::Done
                    }
                }
            }
            // Decided before a restart, with what was read then.
            Err(Undecided::KeyReused { .. }) => Verdict::Done,
            Err(overloaded @ Undecided::Overloaded) => Verdict::Again(Ended::Later(overloaded.to_string())),
            Err(undecided @ (Undecided::Unavailable(_) | Undecided::Unknown(_))) => Verdict::Again(Ended::Trouble(undecided.to_string())),
        }
    }
}

/// What came of commands that were to be decided.
struct Asked<'w> {
    answers: Vec<(&'w Wanted, Decided)>,
    /// Those that the edge does not take, now or later.
    never: Vec<&'w Wanted>,
    /// Why others were not sent that may be later.
    later: Option<String>,
}

impl Desk {
    /// Has commands decided, and says what came of each.
    async fn ask<'w>(&self, sender: &'static str, batch: &'w [Wanted], now: Timestamp) -> Asked<'w> {
        let incoming = batch.iter().map(|wanted| Incoming {
            key: Some(&wanted.key),
            received_at: Some(now),
            after: self.references(&wanted.as_of),
            cause: Some(&wanted.cause),
            ..Incoming::new(wanted.command, wanted.payload.as_bytes(), Arc::from(sender), Channel::Policy)
        });
        let (mut sent, mut envelopes) = (Vec::with_capacity(batch.len()), Vec::with_capacity(batch.len()));
        let (mut never, mut later) = (Vec::new(), None);
        for (wanted, prepared) in batch.iter().zip(self.edge.prepare_batch(incoming.collect())) {
            match prepared {
                Ok(envelope) => {
                    sent.push(wanted);
                    envelopes.push(envelope);
                }
                Err(refused) if refused.may_pass_later() => later = Some(refused.to_string()),
                Err(refused) => {
                    tracing::error!(policy = sender, key = wanted.key, %refused, "a policy's command cannot be sent");
                    never.push(wanted);
                }
            }
        }
        let mut answers = self.sink.submit(envelopes).await;
        answers.resize(sent.len(), Err(Undecided::Unknown("no answer came".to_owned())));
        Asked { answers: sent.into_iter().zip(answers).collect(), never, later }
    }

    /// Those positions that lie in reference slices: what a decision may be made to wait for.
    fn references(&self, as_of: &[Position]) -> Vec<Position> {
        as_of.iter().copied().filter(|position| position.slice < self.edge.slices.reference).collect()
    }
}

#[cfg(test)]
mod tests {
    use pledger_domain::{
        partner::TierInputs,
        rejection::Rejection,
        values::{Currency, Money, PartnerId},
    };
    use pledger_ledger::{
        edge::{SeededRandomness, SteppedClock},
        keys::MemoryKeyStore,
        slices::Slices,
    };

    use super::*;
    use crate::policies::{
        Retiring, Unevaluated,
        complete_retirement::CompleteRetirements,
        evaluate_tiers::EvaluateTiers,
        scripted::{Answering, Read, answer, at},
    };

    fn partner(n: usize) -> PartnerId {
        PartnerId::parse(&format!("p-{n:04}")).expect("an id")
    }

    fn due(count: usize) -> Read {
        let inputs = TierInputs { revenue: Money::from_minor(0, Currency::USD), active_certifications: 0, net_new_logos: 0 };
        let due = (0..count).map(|n| Unevaluated { partner_id: partner(n), inputs: inputs.clone() });
        Read::default().with_unevaluated("2026-Q3", due.collect())
    }

    fn desk(view: Read, sink: &Answering) -> Desk {
        let edge = Edge {
            slices: Slices::default(),
            keys: Arc::new(MemoryKeyStore::default()),
            directory: Arc::default(),
            clock: Arc::new(SteppedClock::fixed(at("2026-10-01"))),
            randomness: Arc::new(SeededRandomness::new(1)),
        };
        Desk { view: Box::new(view), edge, sink: Arc::new(sink.clone()), status: Arc::default(), stopping: Stopping::default() }
    }

    fn look(line: &mut Line, desk: &Desk) -> Ended {
        tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(line.look(desk))
    }

    fn evaluating() -> Line {
        Line::new(Box::new(EvaluateTiers))
    }

    #[test]
    fn a_command_says_who_sent_it_why_and_what_it_had_seen() {
        let sink = Answering::default();
        assert_eq!(look(&mut evaluating(), &desk(due(1), &sink)), Ended::Settled);
        let sent = sink.take().concat().remove(0);
        assert_eq!(
            (&*sent.sender, sent.channel, sent.cause.as_deref()),
            ("policy:evaluate-tiers", Channel::Policy, Some("period/2026-Q3"))
        );
        assert_eq!((sent.stream.as_str(), sent.received_at, sent.effective_at), ("partner/p-0000", at("2026-10-01"), None));
        // Of what was read, a decision waits for reference slices only.
        assert_eq!(sent.after, [Position { slice: 1, pseq: 9 }]);
    }

    #[test]
    fn many_are_sent_in_bounded_batches_and_the_rest_at_once() {
        let sink = Answering::default();
        let (desk, mut line) = (desk(due(1_050), &sink), evaluating());
        assert_eq!(look(&mut line, &desk), Ended::More);
        assert_eq!(sink.take().iter().map(Vec::len).collect::<Vec<_>>(), [100; 10]);
        // The read models do not know of the first thousand yet.
        assert_eq!(look(&mut line, &desk), Ended::Settled);
        assert_eq!(sink.take().iter().map(Vec::len).collect::<Vec<_>>(), [50]);
        assert_eq!(look(&mut line, &desk), Ended::Settled);
        assert_eq!(sink.take_keys(), [""; 0]);
        assert_eq!(desk.status.accepted(), 1_050);
    }

    #[test]
    fn what_is_not_decided_is_sent_again_and_nothing_else_is() {
        let later = |reason: &str| Ended::Later(reason.to_owned());
        let reused = Undecided::KeyReused { first: Position { slice: 1, pseq: 3 } };
        let evaluated = Rejection::TierEvaluated { period: "2026-Q3".to_owned() };
        let behind = Rejection::FactsBehind {};
        for (answered, ended, again) in [
            (answer(None), Ended::Settled, false),
            (answer(Some(evaluated)), Ended::Settled, false),
            (Err(reused), Ended::Settled, false),
            (answer(Some(behind.clone())), later(&behind.to_string()), true),
            (Err(Undecided::Overloaded), later(&Undecided::Overloaded.to_string()), true),
            (Err(Undecided::Unavailable("closed".into())), Ended::Trouble("the ledger takes no commands: closed".into()), true),
        ] {
            let sink = Answering::with([answer(None), answered.clone()]);
            let (desk, mut line) = (desk(due(3), &sink), evaluating());
            assert_eq!(look(&mut line, &desk), ended, "{answered:?}");
            assert_eq!(sink.take_keys(), ["p-0000/2026-Q3", "p-0001/2026-Q3", "p-0002/2026-Q3"]);
            assert_eq!(look(&mut line, &desk), Ended::Settled, "{answered:?}");
            assert_eq!(sink.take_keys(), vec!["p-0001/2026-Q3"; usize::from(again)], "{answered:?}");
        }
    }

    /// Wants the same, always.
    struct Fixed(Vec<Wanted>);

    impl Policy for Fixed {
        fn sender(&self) -> &'static str {
            "policy:fixed"
        }

        fn wanted(&mut self, _: &dyn PolicyView, _: Timestamp, most: usize) -> Result<Vec<Wanted>, Unread> {
            Ok(self.0.iter().take(most).cloned().collect())
        }

        fn expects(&self, _: &Rejection) -> bool {
            false
        }
    }

    #[test]
    fn what_the_edge_never_takes_is_asked_once_and_what_it_may_take_later_is_trouble() {
        let wanted = |payload: &str, key: &str| Wanted {
            command: "ExpireDeal",
            payload: payload.to_owned(),
            key: key.to_owned(),
            cause: "test".into(),
            as_of: Vec::new(),
        };
        let sink = Answering::default();
        let desk = desk(Read::default(), &sink);
        let mut line = Line::new(Box::new(Fixed(vec![wanted("{}", "never")])));
        assert_eq!(look(&mut line, &desk), Ended::Settled);
        assert!(line.decided.contains("never"), "or it would be told again and again");
        // No deal of that id is known, yet.
        let mut line = Line::new(Box::new(Fixed(vec![wanted(r#"{"deal_id":"d-1"}"#, "later")])));
        assert!(matches!(look(&mut line, &desk), Ended::Trouble(_)));
        assert!(line.decided.is_empty() && sink.take_keys().is_empty());
    }

    #[test]
    fn a_batch_that_is_turned_away_is_the_last_for_now() {
        let sink = Answering::with(vec![Err(Undecided::Overloaded); 100]);
        let (desk, mut line) = (desk(due(250), &sink), evaluating());
        assert_eq!(look(&mut line, &desk), Ended::Later(Undecided::Overloaded.to_string()));
        assert_eq!(sink.take_keys().len(), 100);
        assert_eq!(look(&mut line, &desk), Ended::Settled);
        assert_eq!(sink.take_keys().len(), 250);
    }

    #[test]
    fn what_was_decided_is_forgotten_once_it_is_wanted_no_more() {
        let sink = Answering::default();
        let mut line = evaluating();
        look(&mut line, &desk(due(2), &sink));
        assert_eq!(line.decided.len(), 2);
        look(&mut line, &desk(due(0), &sink));
        assert_eq!(line.decided.len(), 0);
    }

    #[test]
    fn nothing_is_sent_while_the_read_models_are_behind() {
        let sink = Answering::default();
        assert_eq!(look(&mut evaluating(), &desk(Read::behind(), &sink)), Ended::Behind);
        assert!(sink.take().is_empty());
    }

    #[test]
    fn a_blocked_retirement_is_asked_for_as_its_policy_says() {
        let open = vec!["account/acme.com#d-1".to_owned()];
        let started = Position { slice: 1, pseq: 7 };
        let retiring = |blocked_by| Retiring { partner_id: partner(1), started, open: open.clone(), blocked_by };
        let read = |blocked_by| Read::default().with_retiring(vec![retiring(blocked_by)]);
        let blocked = Rejection::RetirementBlocked { partner_id: partner(1), open: open.clone() };
        let sink = Answering::with([answer(Some(blocked))]);
        let mut line = Line::new(Box::new(CompleteRetirements::default()));
        assert_eq!(look(&mut line, &desk(read(None), &sink)), Ended::Settled);
        assert_eq!(sink.take_keys(), [""; 0], "the first look only sees it");
        assert_eq!(look(&mut line, &desk(read(None), &sink)), Ended::Settled);
        assert_eq!(sink.take_keys(), ["retirement-1:7"]);
        assert_eq!(look(&mut line, &desk(read(Some(open.clone())), &sink)), Ended::Settled);
        assert_eq!(sink.take_keys(), [""; 0], "the same is not said twice");
    }

    #[test]
    fn a_policy_that_is_told_to_stop_sends_no_further_batch() {
        let sink = Answering::default();
        let desk = desk(due(5), &sink);
        desk.stopping.set();
        assert_eq!(look(&mut evaluating(), &desk), Ended::Settled);
        assert!(sink.take().is_empty());
    }
}
