//! A partner, and deals that are registered while something else goes on.

use serde_json::json;

use crate::{
    processes::Process,
    told::{Told, while_asking},
};

/// A partner whose deals are registered.
pub(crate) fn open(api: &Process) {
    for (name, payload) in [
        ("RegisterPartner", json!({"partner_id": "p-1", "name": "Nordwind", "roles": ["reseller"]})),
        ("SignAgreement", json!({"partner_id": "p-1"})),
        ("ActivatePartner", json!({"partner_id": "p-1"})),
    ] {
        let (status, body) = api.send(name, &payload, name);
        assert_eq!(status, 200, "{body}");
    }
}

/// Clients register deals while `meanwhile` runs; each asks again, under the same key, until it is answered.
pub(crate) fn under_load(api: &Process, meanwhile: impl FnOnce(&Told)) -> Told {
    under_load_of("d", api, meanwhile)
}

/// The same; the deals' ids begin with `kind`.
pub(crate) fn under_load_of(kind: &str, api: &Process, meanwhile: impl FnOnce(&Told)) -> Told {
    while_asking(|client, number, told| register(api, &format!("{kind}-{client}-{number}"), told), meanwhile)
}

fn register(api: &Process, deal: &str, told: &Told) {
    let domain = format!("{deal}.example");
    let payload = json!({
        "deal_id": deal, "partner_id": "p-1", "account": {"name": domain, "domain": domain}, "product": "GTX Pro",
        "amount": {"amount": "120.00", "currency": "USD"},
    });
    assert_eq!(told.ask(api, "RegisterDeal", &payload, deal), 200, "{deal} has no rival");
}
