//! What only a cluster has: topics, several processors, and senders who do not decide. What it answers is in `scenarios`.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use pledger_consumers::cluster::SinkLimits;
use pledger_domain::rejection::Rejection;
use pledger_ledger::{
    commands::{CommandSink as _, Decided, Undecided},
    commands_topic::encode,
    record::Body,
    slices::Position,
};
use serde_json::json;

use crate::{
    processes::{Stallable, api_beside, api_of, fixed, next_commands, numbered, of_all, valid},
    running::{Kept, publish, until},
    topics::Topics,
};

/// A scenario, by its name.
pub(crate) type Case = (&'static str, fn(&dyn Topics));

pub(crate) const CASES: &[Case] = &[
    ("a_repeated_key_sends_no_message", a_repeated_key_sends_no_message),
    ("those_who_ask_the_same_at_once_get_one_decision", those_who_ask_the_same_at_once_get_one_decision),
    ("slices_are_shared_out_and_facts_are_followed", slices_are_shared_out_and_facts_are_followed),
    ("a_successor_goes_on_where_the_ledger_says", a_successor_goes_on_where_the_ledger_says),
    ("two_that_think_every_slice_theirs_decide_each_command_once", two_that_think_every_slice_theirs_decide_each_command_once),
    ("what_is_no_command_is_passed_over", what_is_no_command_is_passed_over),
    ("commands_that_leave_no_record_are_recorded_as_progress", commands_that_leave_no_record_are_recorded_as_progress),
    ("who_waits_too_long_or_with_too_many_is_told", who_waits_too_long_or_with_too_many_is_told),
];

fn a_repeated_key_sends_no_message(topics: &dyn Topics) {
    let (_processor, api) = (of_all(topics), api_of(topics));
    api.with_partners();
    let first = api.accept("RegisterDeal", numbered(1), "same");
    let taken = next_commands(&*topics.log(), first.position.slice);
    assert!(api.accept("RegisterDeal", numbered(1), "same").replayed);
    let mut other = numbered(1);
    other["amount"]["amount"] = json!("7.00");
    assert_eq!(api.one("RegisterDeal", other, "same").expect_err("another input"), Undecided::KeyReused { first: first.position });
    // The next message is the next.
    let mut next = numbered(1);
    next["deal_id"] = json!("d-2");
    let next = api.one("RegisterDeal", next, "next").expect("decided");
    let after = next_commands(&*topics.log(), next.position.slice);
    assert_eq!(after.last().copied(), taken.last().map(|offset| offset + 1));
}

fn those_who_ask_the_same_at_once_get_one_decision(topics: &dyn Topics) {
    let (_processor, api, elsewhere) = (of_all(topics), api_of(topics), api_of(topics));
    api.with_partners();
    until("the other one sees the partner", || elsewhere.sink.reference_positions() == api.sink.reference_positions());
    let ask = || vec![api.prepared(("RegisterDeal", numbered(1), "same")); 5];
    let mut other = numbered(1);
    other["amount"]["amount"] = json!("7.00");
    let mut all = ask();
    all.push(api.prepared(("RegisterDeal", other, "same")));
    let (here, there): (Vec<Decided>, Vec<Decided>) = std::thread::scope(|scope| {
        let there = scope.spawn(|| elsewhere.submit(ask()));
        (api.submit(all), there.join().expect("no panic"))
    });
    let mut positions: HashMap<Position, usize> = HashMap::new();
    let mut reused = 0;
    for decided in here.into_iter().chain(there) {
        match decided {
            Ok(answer) => *positions.entry(answer.position).or_default() += 1,
            Err(Undecided::KeyReused { first }) => {
                reused += 1;
                positions.entry(first).or_default();
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(positions.len(), 1, "one decision");
    // Which of the inputs came first is for the topic to say.
    assert!([(10, 1), (1, 10)].contains(&(positions.into_values().sum::<usize>(), reused)));
}

fn slices_are_shared_out_and_facts_are_followed(topics: &dyn Topics) {
    let slices = topics.log().slices();
    let _references = fixed(topics, slices.references());
    let odd = |parity| slices.all().filter(move |slice| *slice >= slices.reference && slice % 2 == parity);
    let (_even, _odd) = (fixed(topics, odd(0)), fixed(topics, odd(1)));
    let api = api_of(topics);
    api.with_partners();
    for number in 0..20 {
        api.accept("RegisterDeal", numbered(number), &format!("r{number}"));
    }
    let suspended = api.accept("SuspendPartner", json!({"partner_id": "p-1", "reason": "unpaid"}), "s");
    // Whoever has seen the suspension is decided on it, wherever.
    for number in 20..30 {
        let refused = api.one("RegisterDeal", numbered(number), &format!("r{number}")).expect("decided");
        assert!(matches!(refused.outcome, Err(Rejection::PartnerNotActive { .. })), "{suspended:?} {:?}", refused.outcome);
    }
}

fn a_successor_goes_on_where_the_ledger_says(topics: &dyn Topics) {
    let api = api_of(topics);
    let first = of_all(topics);
    api.with_partners();
    let won = api.accept("RegisterDeal", numbered(1), "r");
    first.stop();
    // What is sent meanwhile waits in the topic.
    let sent = api.submission(vec![api.prepared(("ApproveDeal", json!({"deal_id": "d-1"}), "a"))]);
    let _second = of_all(topics);
    let approved = api.wait(sent).remove(0).expect("decided");
    assert_eq!(approved.version, won.version + 1);
    let next = next_commands(&*topics.log(), won.position.slice);
    assert!(next.is_sorted(), "{next:?}");
    let commands = decisions_of(topics).values().filter(|keys| keys.len() > 1).count();
    assert_eq!(commands, 0, "each command is decided once");
}

/// The positions of the decisions under each key.
fn decisions_of(topics: &dyn Topics) -> BTreeMap<String, Vec<Position>> {
    let mut keys: BTreeMap<String, Vec<Position>> = BTreeMap::new();
    for record in valid(&*topics.log()) {
        if let Body::Decision(decision) = Body::decode(&record.body).expect("readable") {
            keys.entry(decision.command.id.into_owned()).or_default().push(record.position());
        }
    }
    keys
}

fn two_that_think_every_slice_theirs_decide_each_command_once(topics: &dyn Topics) {
    const ROUNDS: usize = 12;
    const AT_ONCE: usize = 40;
    let (one, other, api) = (Stallable::of_all(topics), Stallable::of_all(topics), api_of(topics));
    api.with_partners();
    let mut told = BTreeMap::new();
    for (round, stalled) in [&one, &other].into_iter().cycle().take(ROUNDS).enumerate() {
        // Whoever is stalled meanwhile decides the same after it, in the term that it thinks open. Where neither is, one of
        // them mostly follows the other.
        let stall = stalled.stall();
        let numbers = round * AT_ONCE..(round + 1) * AT_ONCE;
        let commands = numbers.clone().map(|number| api.prepared(("RegisterDeal", numbered(number), &format!("r{number}"))));
        let decided = api.submit(commands.collect());
        drop(stall);
        told.extend(numbers.zip(decided).map(|(number, decided)| (format!("r{number}"), decided.expect("decided").position)));
    }
    for each in [&one, &other] {
        until("each has met the other", || each.processor.status().lost_terms() > 0);
    }
    let recorded = decisions_of(topics);
    for (key, position) in &told {
        assert_eq!(recorded.get(key), Some(&vec![*position]), "{key}");
    }
    for slice in topics.log().slices().all() {
        let next = next_commands(&*topics.log(), slice);
        assert!(next.is_sorted(), "{slice}: {next:?}");
    }
}

fn what_is_no_command_is_passed_over(topics: &dyn Topics) {
    let (processor, api) = (of_all(topics), api_of(topics));
    api.with_partners();
    let slices = topics.log().slices();
    let command = api.prepared(("RegisterDeal", numbered(1), "r"));
    let slice = slices.of(&command.stream);
    let elsewhere = slices.all().find(|other| *other != slice).expect("another slice");
    let whole = encode(&command);
    let text = std::str::from_utf8(&whole).expect("text");
    topics.write_foreign(slice, b"\xff\x00 what is this");
    topics.write_foreign(slice, &whole[..whole.len() / 2]);
    topics.write_foreign(slice, text.replacen("\"v\":1", "\"v\":9", 1).as_bytes());
    topics.write_foreign(slice, text.replacen("RegisterDeal", "RegisterDream", 1).as_bytes());
    topics.write_foreign(elsewhere, &whole);
    api.submit(vec![command]).remove(0).expect("decided").outcome.expect("accepted");
    until("all five are passed over", || processor.status().passed_over() == 5);
    assert_eq!(next_commands(&*topics.log(), slice).last(), Some(&5));
}

fn commands_that_leave_no_record_are_recorded_as_progress(topics: &dyn Topics) {
    const REPEATED: u64 = 10_000;
    let (_processor, api) = (of_all(topics), api_of(topics));
    api.with_partners();
    let command = api.prepared(("RegisterDeal", numbered(1), "r"));
    let first = api.submit(vec![command.clone()]).remove(0).expect("decided");
    let sender = topics.sender();
    for _ in 0..REPEATED {
        sender.send(&command, Box::new(|undecided| panic!("{undecided}"))).expect("sent");
    }
    let slice = first.position.slice;
    until("the progress", || next_commands(&*topics.log(), slice).last() == Some(&(REPEATED + 1)));
    let progress = valid(&*topics.log()).into_iter().filter(|record| record.body.starts_with(b"{\"progress\""));
    assert_eq!(progress.count(), 1);
    // It goes on in the same term, and the chain holds.
    let next = api.accept("ApproveDeal", json!({"deal_id": "d-1"}), "a");
    assert_eq!(next.position, Position { slice, pseq: first.position.pseq + 2 });
}

fn who_waits_too_long_or_with_too_many_is_told(topics: &dyn Topics) {
    // Nobody decides.
    let limits = SinkLimits { waiting: 2, patience: Duration::from_millis(200) };
    let (api, sink) = api_beside(topics, limits, &Kept::default(), None);
    let ask = |key: &str| api.prepared(("PublishRules", publish(), key));
    let too_many = api.submit(vec![ask("a"), ask("b"), ask("c")]);
    assert!(too_many.iter().all(|decided| matches!(decided, Err(Undecided::Overloaded))), "{too_many:?}");
    assert_eq!((sink.queued(), sink.silent_slices()), (0, Vec::new()), "what was refused was not sent");
    let waited = api.submit(vec![ask("a")]).remove(0).expect_err("nobody decides");
    assert!(matches!(waited, Undecided::Unknown(_)), "{waited}");
    until("it shows that nobody decides", || sink.undecided().is_some());
    assert_eq!(sink.silent_slices().len(), 1);
    assert!(sink.undecided().is_some_and(|told| told.contains("not decided in slice ")), "{:?}", sink.undecided());
    // Asked again with the same key, it is decided once, though it was sent twice.
    let _processor = of_all(topics);
    until("somebody decides", || sink.undecided().is_none());
    let api = api_of(topics);
    let first = api.accept("PublishRules", publish(), "a");
    let again = api.accept("PublishRules", publish(), "a");
    assert_eq!((again.position, again.replayed), (first.position, true));
    assert_eq!(decisions_of(topics)["a"].len(), 1);
}
