//! What clients ask for: partners compete for the same accounts, and for more money than there is.

use serde_json::{Value, json};

use crate::{processes::Process, told::Told};

/// Chapters that share a budget.
const A_BUDGET: u64 = 4;

/// Partners whose deals are registered.
pub(crate) fn open(api: &Process) {
    let told = Told::default();
    for partner in ["p-0", "p-1"] {
        for (name, payload) in [
            ("RegisterPartner", json!({"partner_id": partner, "name": partner, "roles": ["reseller"]})),
            ("SignAgreement", json!({"partner_id": partner})),
            ("ActivatePartner", json!({"partner_id": partner})),
        ] {
            assert_eq!(told.ask(api, name, &payload, &format!("{name}-{partner}")), 200);
        }
    }
}

/// One chapter of one client: everybody is at the same account and budget at about the same time.
pub(crate) fn chapter(api: &Process, client: u64, chapter: u64, told: &Told) {
    compete(api, client, chapter, told);
    if chapter.is_multiple_of(A_BUDGET) {
        spend(api, client, chapter / A_BUDGET, told);
    }
}

fn compete(api: &Process, client: u64, chapter: u64, told: &Told) {
    let (deal, domain) = (format!("d-{client}-{chapter}"), format!("a{chapter}.example"));
    let mut payload = json!({
        "deal_id": deal, "partner_id": format!("p-{}", client % 2), "account": {"name": domain, "domain": domain},
        "product": "GTX Pro", "amount": usd(120),
    });
    if client == 0 {
        // Sealed with a key that is in the database.
        payload["contact"] = json!({"person_id": format!("person-{chapter}"), "name": "Erika Mustermann"});
    }
    if told.ask(api, "RegisterDeal", &payload, &deal) == 200 {
        told.ask(api, "ApproveDeal", &json!({"deal_id": deal, "account": domain}), &format!("approve-{deal}"));
        // Once more, as by somebody who did not hear the answer.
        told.ask(api, "RegisterDeal", &payload, &deal);
    }
}

/// Everybody opens the same budget, and wants more than its share of it.
fn spend(api: &Process, client: u64, number: u64, told: &Told) {
    let (budget, allocation, request) = (format!("b-{number}"), format!("al-{number}"), format!("rq-{client}-{number}"));
    let open = json!({"budget_id": budget, "amount": usd(100), "starts_on": "2020-01-01", "ends_on": "2999-01-01"});
    told.ask(api, "OpenBudget", &open, &budget);
    let allocate = json!({"allocation_id": allocation, "budget_id": budget, "partner_id": "p-0", "amount": usd(90)});
    told.ask(api, "AllocateFunds", &allocate, &allocation);
    let ask = json!({
        "request_id": request, "allocation_id": allocation, "budget_id": budget, "activity": "Booth", "goal": "40 leads", "amount": usd(40),
    });
    if told.ask(api, "RequestFunds", &ask, &request) == 200 {
        told.ask(api, "ApproveFundRequest", &json!({"request_id": request, "budget_id": budget}), &format!("approve-{request}"));
    }
}

fn usd(amount: u64) -> Value {
    json!({"amount": format!("{amount}.00"), "currency": "USD"})
}
