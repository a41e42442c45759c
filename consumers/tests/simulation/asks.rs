//! What partners and channel managers ask of the program: few enough ids that they meet.

use pledger_domain::rules::Rules;
use serde_json::{Value, json};

use crate::random::Random;

/// One thing that is asked, under one key, as often as it takes.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) name: &'static str,
    pub(crate) payload: Value,
    pub(crate) key: String,
    pub(crate) sender: &'static str,
    pub(crate) if_match: Option<u64>,
}

/// What has to be there before anything else makes sense.
pub(crate) fn opening() -> Vec<Ask> {
    let mut asks = vec![ask("PublishRules", json!({"program": Rules::DEFAULT, "effective_from": "2020-01-01"}))];
    for partner in ["p-1", "p-2"] {
        asks.push(ask("RegisterPartner", json!({"partner_id": partner, "name": partner, "roles": ["reseller"]})));
        asks.push(ask("SignAgreement", json!({"partner_id": partner})));
        asks.push(ask("ActivatePartner", json!({"partner_id": partner})));
    }
    let budget = json!({"budget_id": "b-1", "amount": usd(1_000), "starts_on": "2026-01-01", "ends_on": "2027-01-01"});
    asks.push(ask("OpenBudget", budget));
    asks.push(ask("AllocateFunds", json!({"allocation_id": "al-1", "budget_id": "b-1", "partner_id": "p-1", "amount": usd(600)})));
    asks.into_iter().enumerate().map(|(n, ask)| Ask { key: format!("opening-{n}"), ..ask }).collect()
}

fn ask(name: &'static str, payload: Value) -> Ask {
    Ask { name, payload, key: String::new(), sender: "anonymous", if_match: None }
}

fn usd(amount: u64) -> Value {
    json!({"amount": format!("{amount}.00"), "currency": "USD"})
}

/// The commands, those that compete or spend more often.
const NAMES: [&str; 24] = [
    "RegisterDeal",
    "RegisterDeal",
    "RegisterDeal",
    "RegisterDeal",
    "ApproveDeal",
    "ApproveDeal",
    "ApproveDeal",
    "WithdrawDeal",
    "CloseWon",
    "ExtendDeal",
    "RecordTouchpoint",
    "ReassignDeal",
    "SuspendPartner",
    "ActivatePartner",
    "RecordProgramCost",
    "AllocateFunds",
    "AllocateFunds",
    "RequestFunds",
    "RequestFunds",
    "ApproveFundRequest",
    "ClaimMDF",
    "ClaimMDF",
    "ApproveClaim",
    "PayClaim",
];

/// A random one.
pub(crate) fn random(random: &mut Random, number: usize) -> Ask {
    let name = *random.pick(&NAMES);
    let sender = *random.pick(&["anonymous", "portal"]);
    let if_match = random.once_in(15).then(|| random.below(4));
    Ask { name, payload: payload(name, random, number), key: format!("k-{number}"), sender, if_match }
}

fn payload(name: &str, random: &mut Random, number: usize) -> Value {
    let partner = format!("p-{}", 1 + random.below(2));
    let account = *random.pick(&["acme.com", "brewery.de"]);
    let deal = format!("d-{}", random.below(6));
    let (allocation, request, claim) =
        (format!("al-{}", 1 + random.below(3)), format!("rq-{}", random.below(4)), format!("cl-{}", random.below(6)));
    // The directory finds the account where it is left out; the deal may be known nowhere, or in two places.
    let of_deal = |random: &mut Random| {
        if random.once_in(3) { json!({"deal_id": deal}) } else { json!({"deal_id": deal, "account": account}) }
    };
    let with = |mut payload: Value, field: &str, value: Value| {
        payload[field] = value;
        payload
    };
    match name {
        "RegisterDeal" => json!({
            "deal_id": deal, "partner_id": partner, "account": {"name": account, "domain": account},
            "product": *random.pick(&["GTX Pro", "gtx pro", "GTX Basic"]), "amount": usd(1 + random.below(500)),
        }),
        "WithdrawDeal" => with(of_deal(random), "reason", json!("no project")),
        "CloseWon" => with(of_deal(random), "amount", usd(1 + random.below(500))),
        "ReassignDeal" => with(of_deal(random), "partner_id", json!(partner)),
        "RecordTouchpoint" => json!({
            "touchpoint_id": format!("t-{}", random.below(9)), "account": account, "partner_id": partner, "kind": "webinar",
            "occurred_at": "2026-01-15T12:00:00Z",
        }),
        "SuspendPartner" => json!({"partner_id": partner, "reason": "unpaid"}),
        "ActivatePartner" => json!({"partner_id": partner}),
        "RecordProgramCost" => json!({
            "cost_id": format!("co-{}", number / 3), "kind": "staff", "amount": usd(5), "partner_id": partner, "period": "2026-03",
        }),
        "AllocateFunds" => {
            json!({"allocation_id": allocation, "budget_id": "b-1", "partner_id": partner, "amount": usd(1 + random.below(600))})
        }
        "RequestFunds" => json!({
            "request_id": request, "allocation_id": allocation, "budget_id": "b-1", "activity": "Booth", "goal": "40 leads",
            "amount": usd(1 + random.below(400)),
        }),
        "ApproveFundRequest" => json!({"request_id": request}),
        "ClaimMDF" => json!({
            "claim_id": claim, "request_id": request, "amount": usd(1 + random.below(300)),
            "proof": [{"kind": "invoice", "uri": "https://files.example/1.pdf"}],
        }),
        "ApproveClaim" | "PayClaim" => json!({"claim_id": claim}),
        _ => of_deal(random),
    }
}

/// The same ask with another content, where its stream stays the same.
pub(crate) fn altered(ask: &Ask) -> Option<Ask> {
    let mut payload = ask.payload.clone();
    if let Some(amount) = payload.get_mut("amount") {
        *amount = usd(777);
    } else if payload.get("reason").is_some() {
        payload["reason"] = json!("something else");
    } else {
        return None;
    }
    Some(Ask { payload, ..ask.clone() })
}
