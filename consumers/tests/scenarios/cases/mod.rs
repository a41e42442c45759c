//! What a user meets, whatever engine runs below: given a ledger, when this is sent, then exactly that is the answer.
//!
//! Every one of these runs on every engine. What is about an engine itself stands beside it: `embedded` has its files, its
//! snapshots and its queue; `cluster` its topics, several processors, and senders who do not decide.

mod batches;
mod claims;
mod deals;
mod histories;
mod keys;
mod lives;
mod time;

use pledger_domain::{rejection::Rejection, values::PartnerId};
use pledger_ledger::{commands::Decided, edge::Incoming};

use crate::{
    home::Home,
    running::{Item, Running},
};

/// A scenario, by its name.
pub(crate) type Case = (&'static str, fn(&Home));

pub(crate) const CASES: &[Case] = &[
    (
        "a_deal_is_accepted_in_the_same_batch_as_its_partners_activation",
        batches::a_deal_is_accepted_in_the_same_batch_as_its_partners_activation,
    ),
    ("a_batch_is_decided_in_its_order", batches::a_batch_is_decided_in_its_order),
    ("a_refusal_stops_nothing_of_its_batch", batches::a_refusal_stops_nothing_of_its_batch),
    ("a_claim_needs_proof", claims::a_claim_needs_proof),
    ("two_claims_at_once_do_not_overspend", claims::two_claims_at_once_do_not_overspend),
    ("a_deal_is_registered_approved_and_won", deals::a_deal_is_registered_approved_and_won),
    ("a_deal_registered_twice_is_refused_by_its_id", deals::a_deal_registered_twice_is_refused_by_its_id),
    ("a_back_dated_registration_does_not_beat_protection", deals::a_back_dated_registration_does_not_beat_protection),
    ("a_protection_that_has_passed_lets_another_in", deals::a_protection_that_has_passed_lets_another_in),
    ("a_deal_on_two_accounts_has_to_be_named_with_its_account", deals::a_deal_on_two_accounts_has_to_be_named_with_its_account),
    ("a_refused_registration_makes_its_deal_known_nowhere", deals::a_refused_registration_makes_its_deal_known_nowhere),
    ("who_suspends_a_partner_has_no_deal_of_it_accepted", deals::who_suspends_a_partner_has_no_deal_of_it_accepted),
    ("a_repeated_key_gets_its_first_answer", keys::a_repeated_key_gets_its_first_answer),
    ("a_key_repeated_within_one_batch_is_decided_once", keys::a_key_repeated_within_one_batch_is_decided_once),
    ("a_key_with_another_payload_is_refused_in_one_batch_and_later", keys::a_key_with_another_payload_is_refused_in_one_batch_and_later),
    ("a_key_asked_by_many_at_once_is_decided_once", keys::a_key_asked_by_many_at_once_is_decided_once),
    ("a_refusal_that_may_pass_later_uses_no_key", keys::a_refusal_that_may_pass_later_uses_no_key),
    ("a_refusal_that_stands_uses_its_key", keys::a_refusal_that_stands_uses_its_key),
    ("a_stale_if_match_is_refused_and_uses_no_key", keys::a_stale_if_match_is_refused_and_uses_no_key),
    ("a_key_is_free_again_after_its_window", keys::a_key_is_free_again_after_its_window),
    ("a_random_history_keeps_every_promise", histories::a_random_history_keeps_every_promise),
    ("another_random_history_keeps_every_promise", histories::another_random_history_keeps_every_promise),
    ("a_third_random_history_keeps_every_promise", histories::a_third_random_history_keeps_every_promise),
    ("decisions_survive_a_restart", lives::decisions_survive_a_restart),
    ("facts_that_never_come_are_not_waited_for_and_use_no_key", lives::facts_that_never_come_are_not_waited_for_and_use_no_key),
    ("what_is_dated_years_ahead_is_refused", time::what_is_dated_years_ahead_is_refused),
    ("an_expired_certification_is_recorded_when_it_is_due", time::an_expired_certification_is_recorded_when_it_is_due),
    (
        "after_a_restart_every_expiry_is_recorded_and_not_the_first_alone",
        time::after_a_restart_every_expiry_is_recorded_and_not_the_first_alone,
    ),
    ("an_expired_certification_is_recorded_under_constant_load", time::an_expired_certification_is_recorded_under_constant_load),
    ("a_deal_that_expired_while_nothing_ran_is_recorded_afterwards", time::a_deal_that_expired_while_nothing_ran_is_recorded_afterwards),
];

fn refused(decided: Decided) -> Rejection {
    decided.expect("decided").outcome.expect_err("refused")
}

fn one_with(running: &Running, item: Item<'_>, change: impl FnOnce(&mut Incoming<'_>)) -> Decided {
    let command = running.prepare(item, change).expect("a command");
    running.submit(vec![command]).remove(0)
}

fn partner(id: &str) -> PartnerId {
    PartnerId::parse(id).expect("an id")
}
