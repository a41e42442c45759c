//! What is recorded otherwise than the rules give is no consequence of a draft. Ledgers are forged for it: the rules of
//! decisions are what they were.

use pledger_consumers::counterfactual::{Control, Options, Report, replay};
use pledger_domain::{account::AccountEvent, partner::PartnerEvent, values::Label};
use pledger_ledger::{
    memory::MemoryLog,
    record::{Decision, Events, Outcome},
};

use crate::{
    END, NO_PROTECTION, contested, funded,
    ledger::{draft, line, time},
};

/// It decides registrations, and all of them as before.
const ROUTING: (&str, &str) = ("routing = []", "routing = [{ region = \"nowhere\", reviewer = \"nobody\" }]");

/// The same under a draft, with everything controlled and with the differences controlled.
fn again(log: &MemoryLog, changes: &[(&str, &str)]) -> [Report; 2] {
    [Control::Everything, Control::Differences]
        .map(|control| replay(log, &[draft(changes)], Options::telling_all(control, time(END)), &mut |_| {}).expect("the log is read"))
}

fn unrepeated(report: &Report) -> Vec<&str> {
    report.unrepeated.iter().map(|one| one.command.as_str()).collect()
}

fn lines(report: &Report) -> Vec<String> {
    report.drafts[0].decisions.iter().map(line).collect()
}

/// d-1 is reviewed by somebody whom no rule names.
fn reviewed_by_a_stranger(decision: &mut Decision<'_>) {
    if let Outcome::Accepted(Events::Account(events)) = &mut decision.outcome
        && let [AccountEvent::DealRegistered(registered)] = events.to_mut().as_mut_slice()
        && registered.deal_id.as_str() == "d-1"
    {
        registered.reviewer = Some(Label::parse("stranger").expect("a label"));
    }
}

/// What the evaluation makes gold is silver on record.
fn not_gold(decision: &mut Decision<'_>) {
    if let Outcome::Accepted(Events::Partner(events)) = &mut decision.outcome {
        for event in events.to_mut() {
            if let PartnerEvent::TierEvaluated { earned: tier, .. } | PartnerEvent::TierPromoted { to: tier, .. } = event {
                *tier = "silver".parse().expect("a tier");
            }
        }
    }
}

#[test]
fn what_no_rules_give_is_told_and_is_no_difference_of_a_draft() {
    let log = contested().forged(reviewed_by_a_stranger);
    // Under a draft by which nothing else is decided otherwise, nothing but the forgery is found; what follows it comes out as
    // recorded.
    let [all, differences] = again(&log, &[ROUTING]);
    assert_eq!((unrepeated(&all), unrepeated(&differences)), (vec!["RegisterDeal"], vec!["RegisterDeal"]));
    assert_eq!((lines(&all), lines(&differences)), (vec![], vec![]));
    assert_eq!((differences.controlled, differences.controlled_streams), (1, 1));
    assert_eq!(all.controlled, all.decided);
    // Under a draft, what it changes later in the same stream is told, as if nothing were forged; the forgery only where the
    // draft changes a clause by which it was decided.
    let told = ["2026-02-02 ApproveDeal deal d-1: protected_until", "2026-03-01 RegisterDeal deal d-2: accepted, follows"];
    for (changes, found) in [(vec![NO_PROTECTION], vec![]), (vec![NO_PROTECTION, ROUTING], vec!["RegisterDeal"])] {
        let [all, differences] = again(&log, &changes);
        assert_eq!((lines(&all), lines(&differences)), (told.map(str::to_owned).to_vec(), told.map(str::to_owned).to_vec()));
        assert_eq!((unrepeated(&all), unrepeated(&differences)), (vec!["RegisterDeal"], found));
    }
}

#[test]
fn nothing_that_relies_on_it_is_put_down_to_the_draft() {
    let log = funded().forged(not_gold);
    // Whether the tier counts at all is the draft's: by it nobody but silver may ask, which p-1 is on record.
    for eligible in ["eligible_tiers = [\"silver\"]", "eligible_tiers = [\"gold\"]"] {
        let eligible_only = ("eligible_tiers = []", eligible);
        // Where the draft changes what tiers are earned by, the evaluation is decided again, and the forgery found.
        for (changes, found) in
            [(vec![eligible_only], vec![]), (vec![eligible_only, ("grace_days = 90", "grace_days = 30")], vec!["EvaluateTier"])]
        {
            let [all, differences] = again(&log, &changes);
            assert_eq!((unrepeated(&all), unrepeated(&differences)), (vec!["EvaluateTier"], found));
            assert_eq!(lines(&all), lines(&differences));
            assert_eq!(lines(&differences).is_empty(), eligible.contains("silver"), "{:?}", lines(&differences));
        }
    }
}

#[test]
fn drafts_share_their_controls() {
    let ledger = contested();
    let shorter = [("validity_days = 180", "validity_days = 30")];
    let controlled = |drafts: &[_]| {
        let report = replay(&ledger.log, drafts, Options::telling_all(Control::Differences, time(END)), &mut |_| {}).expect("read");
        assert_eq!(report.unrepeated, []);
        (report.controlled, report.controlled_streams)
    };
    // The approval under both; under one the registration that it stood against, under the other what falls due of it at other times.
    let alone = [controlled(&[draft(&[NO_PROTECTION])]), controlled(&[draft(&shorter)])];
    assert_eq!(alone, [(2, 1), (3, 1)]);
    assert_eq!(controlled(&[draft(&[NO_PROTECTION]), draft(&shorter)]), (4, 1));
    assert_eq!(controlled(&[draft(&[])]), (0, 0));
}
