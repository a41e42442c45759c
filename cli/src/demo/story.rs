//! The story of a generated program: who does what when. Every choice is drawn from the seed.

use std::{cmp::Reverse, collections::BinaryHeap};

use pledger_domain::values::Timestamp;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::names;

/// What a demo is made from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plot {
    pub(crate) partners: usize,
    pub(crate) months: u32,
    pub(crate) seed: u64,
}

/// What happens at an instant.
#[derive(Clone, Debug)]
pub(crate) enum Scene {
    /// Somebody sends a command.
    Sent(Sent),
    /// Pledger itself holds all partners against the tiers, on the figures that its read models have.
    EvaluateTiers(Timestamp),
}

/// A command that somebody sends.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) at: Timestamp,
    pub(crate) command: &'static str,
    pub(crate) payload: Value,
    pub(crate) actor: String,
}

impl Scene {
    const fn at(&self) -> Timestamp {
        match self {
            Self::Sent(sent) => sent.at,
            Self::EvaluateTiers(at) => *at,
        }
    }
}

/// The last instant of every demo: the same in any year.
pub(crate) const ENDS_AT: &str = "2026-10-01T00:00:00Z";
/// Microseconds of an hour.
const HOUR_US: i64 = 3_600_000_000;

/// One partner as the story needs it.
struct Actor {
    id: String,
    region: &'static str,
    /// 0 to 1: how much it does.
    drive: f64,
    registered: Timestamp,
    active_from: Timestamp,
}

/// Scenes in the order of time; two at one instant in the order they were written.
pub(crate) struct Story {
    rng: ChaCha8Rng,
    plot: Plot,
    start: Timestamp,
    end: Timestamp,
    actors: Vec<Actor>,
    scenes: BinaryHeap<Reverse<(Timestamp, u64, usize)>>,
    written: Vec<Option<Scene>>,
    deals: u32,
}

impl Story {
    /// Writes the whole story.
    pub(crate) fn write(plot: Plot) -> Self {
        let end = Timestamp::parse(ENDS_AT).expect("a time");
        let start = pledger_domain::values::Month::from_index(end.month().index() - i32::try_from(plot.months).unwrap_or(24)).start();
        let mut story = Self {
            rng: ChaCha8Rng::seed_from_u64(plot.seed),
            plot,
            start,
            end,
            actors: Vec::new(),
            scenes: BinaryHeap::new(),
            written: Vec::new(),
            deals: 0,
        };
        story.onboard_partners();
        story.sell();
        story.fund();
        story.pay_for_the_program();
        story.evaluate_tiers();
        story
    }

    pub(crate) fn start(&self) -> Timestamp {
        self.start
    }

    /// How many scenes there are.
    pub(crate) fn len(&self) -> usize {
        self.scenes.len()
    }

    fn scene(&mut self, at: Timestamp, command: &'static str, actor: &str, payload: Value) {
        self.push(Scene::Sent(Sent { at, command, payload, actor: actor.to_owned() }));
    }

    fn push(&mut self, scene: Scene) {
        if scene.at() < self.end {
            self.scenes.push(Reverse((scene.at(), self.written.len() as u64, self.written.len())));
            self.written.push(Some(scene));
        }
    }

    /// An instant within `days` after `from`, in office hours.
    fn soon(&mut self, from: Timestamp, days: std::ops::Range<i64>) -> Timestamp {
        let day = from.plus_days(self.rng.random_range(days)).day();
        let seconds = self.rng.random_range(8 * 3600..18 * 3600_i64);
        let at = Timestamp::from_micros(i64::from(day) * pledger_domain::values::DAY_US + seconds * 1_000_000);
        at.max(from.plus_micros(self.rng.random_range(1..HOUR_US)))
    }

    fn onboard_partners(&mut self) {
        for n in 0..self.plot.partners {
            let (region, countries) = names::REGIONS[self.rng.random_range(0..names::REGIONS.len())];
            let country = countries[self.rng.random_range(0..countries.len())];
            let id = format!("p-{:03}", n + 1);
            let name = names::partner(n);
            // Two thirds are there from the first quarter on, the others join over the first half.
            let days = if self.rng.random_bool(0.66) { 0..60 } else { 60..(i64::from(self.plot.months) * 15).max(61) };
            let joins = self.soon(self.start, days);
            let (manager, roles) = (format!("pam-{}", n % 12 + 1), self.roles());
            self.scene(
                joins,
                "RegisterPartner",
                &manager,
                json!({"partner_id": id, "name": name, "roles": roles, "country": country, "region": region}),
            );
            let signs = self.soon(joins, 2..20);
            self.scene(signs, "SignAgreement", &manager, json!({"partner_id": id}));
            self.scene(
                signs.plus_micros(HOUR_US),
                "AssignPartnerManager",
                "channel-desk",
                json!({"partner_id": id, "manager_id": manager, "name": names::person(n % 12 + 7)}),
            );
            let trained = self.soon(signs, 3..25);
            let person = format!("{id}.sales1");
            self.scene(
                trained,
                "RecordCourseCompletion",
                &person,
                json!({"partner_id": id, "person_id": person, "course": "101", "hours": "6", "person_name": names::person(n)}),
            );
            let active_from = self.soon(trained, 1..6);
            self.scene(active_from, "ActivatePartner", &manager, json!({"partner_id": id}));
            let drive = self.rng.random_range(0.0..1.0_f64).powi(2);
            self.certify(n, &id, active_from, drive);
            self.actors.push(Actor { id, region, drive, registered: joins, active_from });
            self.leave(n, &manager);
        }
    }

    fn roles(&mut self) -> Value {
        let first = ["reseller", "var", "msp", "si", "referral"][self.rng.random_range(0..5)];
        if self.rng.random_bool(0.3) { json!([first, "influence"]) } else { json!([first]) }
    }

    /// Certificates of engineers, some of them renewed after a year.
    fn certify(&mut self, n: usize, id: &str, from: Timestamp, drive: f64) {
        let engineers = 1 + (drive * 6.0) as u32;
        for engineer in 1..=engineers {
            let person = format!("{id}.eng{engineer}");
            let level = if self.rng.random_bool(0.3) { "expert" } else { "professional" };
            let at = self.soon(from, 10..160);
            let award = json!({
                "partner_id": id, "person_id": person, "certification": "solution-architect", "level": level,
                "person_name": names::person(n * 3 + engineer as usize),
            });
            self.scene(at, "AwardCertification", "lms", award);
            if self.rng.random_bool(0.7) {
                let renewed = self.soon(at, 330..364);
                self.scene(
                    renewed,
                    "RecertifyPerson",
                    "lms",
                    json!({"partner_id": id, "person_id": person, "certification": "solution-architect"}),
                );
            }
        }
    }

    /// A few partners are suspended for a while, a few retire.
    fn leave(&mut self, n: usize, manager: &str) {
        let Actor { id, active_from, .. } = &self.actors[n];
        let (id, from) = (id.clone(), *active_from);
        if n % 29 == 11 {
            let at = self.soon(from, 200..400);
            self.scene(at, "SuspendPartner", manager, json!({"partner_id": id, "reason": "overdue compliance training"}));
            let back = self.soon(at, 14..40);
            self.scene(back, "ActivatePartner", manager, json!({"partner_id": id}));
        }
        if n % 67 == 33 {
            let at = self.soon(from, 420..600);
            self.scene(at, "RetirePartner", manager, json!({"partner_id": id, "reason": "merged into another partner"}));
        }
    }

    /// Deals: month by month, each partner registers as its drive says.
    fn sell(&mut self) {
        for month in 0..self.plot.months {
            let from = self.start.plus_days(i64::from(month) * 30);
            for n in 0..self.actors.len() {
                let chance = 0.15 + self.actors[n].drive * 1.6;
                let mut deals = chance.floor() as u32;
                deals += u32::from(self.rng.random_bool(chance.fract()));
                for _ in 0..deals {
                    let at = self.soon(from, 0..30);
                    if at > self.actors[n].active_from.plus_days(5) {
                        self.deal(n, at);
                    }
                }
            }
        }
    }

    fn deal(&mut self, n: usize, at: Timestamp) {
        self.deals += 1;
        let deal = format!("d-{:05}", self.deals);
        let customer = names::customer(self.rng.random_range(0..900));
        let domain = names::domain(&customer);
        let (product, price) = names::PRODUCTS[self.rng.random_range(0..names::PRODUCTS.len())];
        let seats = self.rng.random_range(1..12_u32);
        let amount = usd(i64::from(price) * i64::from(seats) * 100);
        let (id, region) = (self.actors[n].id.clone(), self.actors[n].region);
        let account = json!({"name": customer, "domain": domain});
        self.touch(n, &account, &deal, at);
        let register = json!({
            "deal_id": deal, "partner_id": id, "account": account, "product": product, "amount": amount, "region": region,
            "expected_close": at.plus_days(90).to_string(),
        });
        self.scene(at, "RegisterDeal", &format!("{id}.sales1"), register);
        self.rival(n, &account, product, &amount, at);
        let decided = at.plus_hours(self.rng.random_range(2..70));
        let about = json!({"deal_id": deal, "account": domain});
        if self.rng.random_bool(0.12) {
            self.scene(decided, "RejectDeal", "channel-desk", with(&about, json!({"reason": "no qualified contact at the customer"})));
            return;
        }
        self.scene(decided, "ApproveDeal", "channel-desk", about.clone());
        self.pursue(n, &about, i64::from(price) * i64::from(seats) * 100, decided);
    }

    /// What led to a deal: webinars, referrals, demos.
    fn touch(&mut self, actor: usize, account: &Value, deal: &str, at: Timestamp) {
        let (id, known_from) = (self.actors[actor].id.clone(), self.actors[actor].active_from);
        for n in 0..self.rng.random_range(0..4_u32) {
            let when = at.plus_days(-self.rng.random_range(1..100)).max(known_from);
            let own = self.rng.random_bool(0.6);
            let kind = ["webinar", "referral", "demo", "event", "workshop"][self.rng.random_range(0..5)];
            let mut touch =
                json!({"touchpoint_id": format!("t-{deal}-{n}"), "account": account, "kind": kind, "occurred_at": when.to_string()});
            if own {
                touch["partner_id"] = id.clone().into();
            } else {
                touch["channel"] = ["paid-search", "newsletter", "field-marketing"][self.rng.random_range(0..3)].into();
            }
            if self.rng.random_bool(0.25) {
                touch["campaign_id"] = format!("campaign-{}", self.rng.random_range(1..9_u32)).into();
            }
            self.scene(when, "RecordTouchpoint", "marketing", touch);
        }
    }

    /// Now and then another partner, or the vendor's own sellers, want the same account.
    fn rival(&mut self, n: usize, account: &Value, product: &str, amount: &Value, at: Timestamp) {
        let when = at.plus_days(self.rng.random_range(4..40));
        if self.rng.random_bool(0.06) {
            let other = self.rng.random_range(0..self.actors.len());
            if other != n && when > self.actors[other].active_from {
                self.deals += 1;
                let id = self.actors[other].id.clone();
                let deal = format!("d-{:05}", self.deals);
                let register = json!({"deal_id": deal, "partner_id": id, "account": account, "product": product, "amount": amount});
                self.scene(when, "RegisterDeal", &format!("{id}.sales1"), register);
            }
        } else if self.rng.random_bool(0.02) {
            let claim = json!({"claim_id": format!("direct-{}", self.deals), "account": account, "seller": "seller-7", "product": product});
            self.scene(when, "ClaimAccountDirect", "seller-7", claim);
        }
    }

    /// The opportunity's way to its end.
    fn pursue(&mut self, n: usize, about: &Value, cents: i64, approved: Timestamp) {
        let mut at = approved;
        for stage in ["qualified", "technical_validation", "business_validation", "committed"] {
            at = self.soon(at, 4..24);
            if self.rng.random_bool(0.10) {
                self.scene(at, "CloseLost", "crm", with(about, json!({"reason": "lost to a competitor"})));
                return;
            }
            self.scene(at, "AdvanceStage", "crm", with(about, json!({"stage": stage})));
            if self.rng.random_bool(0.04) {
                return; // It stalls, and expires.
            }
        }
        let closes = self.soon(at, 3..30);
        let sold = cents / 100 * self.rng.random_range(80..105);
        let margin = sold / 100 * self.rng.random_range(22..45);
        self.scene(closes, "CloseWon", "crm", with(about, json!({"amount": usd(sold), "gross_margin": usd(margin)})));
        if closes < self.end && self.rng.random_bool(0.8) {
            let billed = self.soon(closes, 5..35);
            let deal = about["deal_id"].as_str().unwrap_or_default();
            let revenue = json!({"revenue_id": format!("inv-{deal}"), "partner_id": self.actors[n].id, "amount": usd(sold), "gross_margin": usd(margin)});
            self.scene(billed, "RecordRevenue", "billing", with(about, revenue));
        }
    }

    /// Market development funds: a budget each half year, shares for the stronger partners.
    fn fund(&mut self) {
        for half in 0..self.plot.months.div_ceil(6) {
            let from = self.start.plus_days(i64::from(half) * 182);
            let (budget, until) = (format!("mdf-{}", half + 1), from.plus_days(182));
            let open = json!({"budget_id": budget, "amount": usd(60_000_000), "starts_on": from.to_string(), "ends_on": until.to_string()});
            self.scene(from.plus_micros(HOUR_US), "OpenBudget", "finance", open);
            for n in 0..self.actors.len() {
                if self.actors[n].drive > 0.45 && self.actors[n].active_from < from {
                    self.spend(n, &budget, from);
                }
            }
        }
    }

    fn spend(&mut self, n: usize, budget: &str, from: Timestamp) {
        let id = self.actors[n].id.clone();
        let allocation = format!("{budget}.{id}");
        let share = self.rng.random_range(20..60) * 10_000;
        let at = self.soon(from, 2..15);
        self.scene(
            at,
            "AllocateFunds",
            "finance",
            json!({"allocation_id": allocation, "budget_id": budget, "partner_id": id, "amount": usd(share)}),
        );
        let asked = self.soon(at, 5..60);
        let request = format!("{allocation}.r1");
        let wanted = share / 100 * self.rng.random_range(50..115);
        let about = json!({"budget_id": budget, "request_id": request});
        let ask = json!({
            "allocation_id": allocation, "activity": "regional customer event", "amount": usd(wanted), "goal": "twenty qualified leads",
            "campaign_id": format!("campaign-{}", self.rng.random_range(1..9_u32)),
        });
        self.scene(asked, "RequestFunds", &format!("{id}.mkt1"), with(&about, ask));
        let decided = self.soon(asked, 1..8);
        if self.rng.random_bool(0.15) {
            self.scene(decided, "RejectFundRequest", "finance", with(&about, json!({"reason": "no measurable goal"})));
            return;
        }
        self.scene(decided, "ApproveFundRequest", "finance", about.clone());
        if self.rng.random_bool(0.2) {
            return; // Never claimed: the window closes and the money goes back.
        }
        let (claim, claimed) = self.claim(&id, &about, decided, wanted / 100 * 90);
        let ruled = self.soon(claimed, 2..10);
        let about = json!({"budget_id": budget, "claim_id": claim});
        self.scene(ruled, "ApproveClaim", "finance", about.clone());
        let paid = self.soon(ruled, 5..25);
        self.scene(paid, "PayClaim", "finance", about);
    }

    /// A claim on an approved request: most come in time and with their proof. Answers the one that finance rules on, and
    /// when it was made.
    fn claim(&mut self, partner: &str, about: &Value, approved: Timestamp, cents: i64) -> (String, Timestamp) {
        let request = about["request_id"].as_str().unwrap_or_default().to_owned();
        // Here and there somebody remembers after the window has closed, which the rules set to 90 days.
        let days = if self.rng.random_bool(0.06) { 92..125 } else { 20..70 };
        let mut claimed = self.soon(approved, days);
        let mut claim = format!("{request}.c1");
        let actor = format!("{partner}.mkt1");
        if self.rng.random_bool(0.08) {
            let bare = json!({"claim_id": claim, "amount": usd(cents), "proof": []});
            self.scene(claimed, "ClaimMDF", &actor, with(about, bare));
            claimed = self.soon(claimed, 1..6);
            claim = format!("{request}.c2");
        }
        let proof = json!([{"kind": "invoice", "uri": format!("https://files.example/{claim}.pdf")}]);
        self.scene(claimed, "ClaimMDF", &actor, with(about, json!({"claim_id": claim, "amount": usd(cents), "proof": proof})));
        (claim, claimed)
    }

    /// What the program costs, month by month. A partner's manager costs from the month on in which the partner came.
    fn pay_for_the_program(&mut self) {
        for month in 0..self.plot.months {
            let period = pledger_domain::values::Month::from_index(self.start.month().index() + i32::try_from(month).unwrap_or(0));
            let booked = pledger_domain::values::Month::from_index(period.index() + 1).start().plus_micros(HOUR_US);
            for (kind, dollars) in [("staff", 42_000), ("technology", 9_500)] {
                let cost = json!({"cost_id": format!("{kind}-{period}"), "kind": kind, "amount": usd(dollars * 100), "period": period.to_string()});
                self.scene(booked, "RecordProgramCost", "erp", cost);
            }
            for n in (0..self.actors.len()).filter(|n| n % 3 == (month % 3) as usize) {
                if self.actors[n].registered >= booked {
                    continue;
                }
                let id = self.actors[n].id.clone();
                let dollars = 400 + (self.actors[n].drive * 2_600.0) as i64;
                let cost = json!({"cost_id": format!("pam-{id}-{period}"), "kind": "partner_manager", "amount": usd(dollars * 100), "partner_id": id, "period": period.to_string()});
                self.scene(booked, "RecordProgramCost", "erp", cost);
            }
        }
    }

    /// Six hours into every quarter partners are held against the tiers for the one before.
    fn evaluate_tiers(&mut self) {
        let first = self.start.month().index() / 3 + 1;
        let last = self.end.month().index() / 3;
        for quarter in first..last {
            let ended = pledger_domain::values::Month::from_index((quarter + 1) * 3).start().plus_hours(6);
            self.push(Scene::EvaluateTiers(ended));
        }
    }
}

impl Iterator for Story {
    type Item = Scene;
    fn next(&mut self) -> Option<Scene> {
        let Reverse((_, _, n)) = self.scenes.pop()?;
        self.written[n].take()
    }
}

fn usd(cents: i64) -> Value {
    json!({"amount": format!("{}.{:02}", cents / 100, cents % 100), "currency": "USD"})
}

/// The fields of both objects.
fn with(about: &Value, more: Value) -> Value {
    let mut all = about.clone();
    if let (Some(all), Value::Object(more)) = (all.as_object_mut(), more) {
        all.extend(more);
    }
    all
}
